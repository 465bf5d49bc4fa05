"""Settings → redis-py clients: of the server at the URL, or of the one that the Sentinels call master.

With Sentinels each new connection asks them first, and a connection whose server has been demoted is closed;
so a client goes on with the new master after a failover. No client here tries again by itself: its caller
knows when.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import redis
import redis.asyncio as aioredis
import redis.asyncio.retry
import redis.asyncio.sentinel
import redis.connection
import redis.sentinel
from redis.backoff import NoBackoff
from redis.retry import Retry

if TYPE_CHECKING:
    from infra.settings import RedisSettings

# Without types in redis-py.
_Sentinel: Any = redis.sentinel.Sentinel
_AsyncSentinel: Any = redis.asyncio.sentinel.Sentinel
_parse_url: Any = redis.connection.parse_url
_NO_MASTER = (redis.sentinel.MasterNotFoundError, redis.asyncio.sentinel.MasterNotFoundError)


def async_client(settings: RedisSettings) -> aioredis.Redis:
    """A client for coroutines; `close` ends it."""
    url, times = settings.url.get_secret_value(), _times(settings.timeout)
    if not settings.sentinels:
        return aioredis.Redis.from_url(url, **times)
    server, sentinel = _options(url, times)
    sentinel["retry"] = redis.asyncio.retry.Retry(NoBackoff(), 0)
    sentinels = _AsyncSentinel(_addresses(settings), sentinel_kwargs=sentinel, **server)
    return cast(aioredis.Redis, sentinels.master_for(settings.sentinel_master))


async def close(client: aioredis.Redis) -> None:
    """Close a client of `async_client` and what it asks Sentinels with."""
    await client.aclose()
    for sentinel in _sentinels(client):
        await sentinel.aclose()


@contextmanager
def blocking_client(settings: RedisSettings, timeout: float) -> Iterator[redis.Redis]:
    """A client for threads, whose answers are text, until the end of the block."""
    url = settings.url.get_secret_value()
    options = {**_times(timeout), "retry": Retry(NoBackoff(), 0)}
    if not settings.sentinels:
        with redis.Redis.from_url(url, decode_responses=True, **options) as client:
            yield client
        return
    server, sentinel = _options(url, options)
    sentinels = _Sentinel(_addresses(settings), sentinel_kwargs=sentinel, **server)
    client = sentinels.master_for(settings.sentinel_master, decode_responses=True)
    try:
        yield client
    finally:
        client.close()
        for one in _sentinels(client):
            one.close()


def reason(error: Exception) -> str:
    """Why Redis cannot be used, in one line."""
    if isinstance(error, _NO_MASTER):  # its own text shows the clients with all their arguments
        return "no Sentinel answers (without a login) and knows this master to be up"
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def _times(timeout: float) -> dict[str, Any]:
    return {"socket_timeout": timeout, "socket_connect_timeout": timeout}


def _options(url: str, more: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a URL says of connections to the servers, and of those to the Sentinels.

    Its host is nobody's here. Sentinels get its TLS, and not its user, password and database.
    """
    server: dict[str, Any] = {**_parse_url(url), **more}
    server.pop("host", None)
    server.pop("port", None)
    if server.pop("connection_class", None) is not None:  # rediss://
        server["ssl"] = True
    shared = {key: value for key, value in server.items() if key.startswith(("ssl", "socket_", "retry"))}
    return server, shared


def _addresses(settings: RedisSettings) -> list[tuple[str, int]]:
    pairs = (sentinel.rpartition(":") for sentinel in settings.sentinels)
    return [(host.strip("[]"), int(port)) for host, _, port in pairs]


def _sentinels(client: Any) -> list[Any]:
    """The clients of the Sentinels that a client's connections ask."""
    manager = getattr(client.connection_pool, "sentinel_manager", None)
    return list(manager.sentinels) if manager is not None else []
