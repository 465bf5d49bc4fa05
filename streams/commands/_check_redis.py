"""Redis as a checkpoint store needs it: reachable, writable, and keeping what it was given."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from infra.settings import RedisSettings
    from streams.commands._findings import Findings

REDIS_SECONDS = 10.0


def check_redis(settings: RedisSettings, findings: Findings) -> bool:
    """Look at the server; returns whether it can be used."""
    import redis

    from infra.redis_clients import blocking_client, reason
    from infra.store import StoreUnavailable

    timeout = min(settings.timeout, REDIS_SECONDS)
    with findings.guarded():
        try:
            with blocking_client(settings, timeout) as client:
                _look(client, settings.address, findings)
                return True
        except (redis.RedisError, OSError) as error:
            raise StoreUnavailable(
                f"Redis at {settings.address}: {reason(error)}; check {settings.address_keys}, and that the "
                "server is up and takes writes"
            ) from error
    return False


def _look(client: Any, address: str, findings: Findings) -> None:
    import redis

    key = f"gradstream:check:{uuid.uuid4().hex}"
    client.set(key, "1", ex=10)
    client.delete(key)
    try:
        info = client.info()
    except redis.ResponseError:  # managed servers may forbid it
        findings.ok(f"Redis at {address}: answers and takes writes")
        return
    findings.ok(f"Redis {info.get('redis_version', '?')} at {address}: answers and takes writes")
    if not int(info.get("aof_enabled", 0)) and not _snapshots(client):
        findings.warn(
            f"Redis at {address}: persistence is off; after a restart each model is folded anew from its "
            "learning log, which takes longer; turn it on: redis-cli config set appendonly yes"
        )
    policy = str(info.get("maxmemory_policy", "noeviction"))
    if int(info.get("maxmemory", 0)) and not policy.startswith(("noeviction", "volatile")):
        findings.warn(
            f"Redis at {address}: maxmemory-policy {policy} may throw checkpoints away when memory is short; "
            "set it to noeviction"
        )


def _snapshots(client: Any) -> bool:
    import redis

    try:
        return bool(client.config_get("save").get("save"))
    except redis.ResponseError:
        return True  # not for us to know: say nothing
