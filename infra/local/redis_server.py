"""One redis-server with an append-only file."""

from __future__ import annotations

from pathlib import Path

from infra.local.state import HOST


def command(program: Path, port: int, data: Path) -> list[str]:
    """The command line of a server on the loopback interface that keeps every write in `data`."""
    options = {
        "bind": HOST,
        "port": str(port),
        "dir": str(data),
        "appendonly": "yes",
        "save": "",  # the append-only file holds everything already
        "daemonize": "no",
        "loglevel": "notice",
    }
    return [str(program), *(part for name, value in options.items() for part in (f"--{name}", value))]


def answering_pid(port: int) -> int | None:
    """The process id of the Redis that answers PING on this port; None when none does, or it is loading."""
    import redis

    with redis.Redis(HOST, port, socket_timeout=5, socket_connect_timeout=2) as client:
        try:
            client.ping()
            return int(client.info("server")["process_id"])
        except (redis.RedisError, OSError, KeyError, TypeError):
            return None
