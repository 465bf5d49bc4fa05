"""What a local stack remembers between commands, and the lock that lets one command at a time change it."""

from __future__ import annotations

import fcntl
import json
import os
import random
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from infra.local.errors import LocalStackError
from infra.local.processes import ProcessId

HOST = "127.0.0.1"
# Below the ports that systems take for outgoing connections (from 32768 on Linux, from 49152 elsewhere): a
# server that was killed must find its port free again, not lent to one of its own clients.
PORT_RANGE = range(20000, 32000)


@dataclass(slots=True)
class State:
    """Ports, chosen once, and the identity of each server that was started last (None after a stop)."""

    kafka_port: int
    controller_port: int
    redis_port: int
    kafka: ProcessId | None = None
    redis: ProcessId | None = None

    @classmethod
    def fresh(cls) -> State:
        """A state with three free ports."""
        kafka, controller, redis = free_ports(3)
        return cls(kafka, controller, redis)


def free_ports(count: int) -> list[int]:
    """So many different ports of PORT_RANGE on which nothing listens now, drawn at random.

    Raises LocalStackError when there are not so many.
    """
    chosen: list[int] = []
    for port in random.sample(PORT_RANGE, len(PORT_RANGE)):
        if len(chosen) == count:
            break
        if can_listen(port):
            chosen.append(port)
    if len(chosen) < count:
        raise LocalStackError(
            f"no free ports between {PORT_RANGE.start} and {PORT_RANGE.stop} on {HOST}: end some servers"
        )
    return chosen


def can_listen(port: int) -> bool:
    """Whether nothing listens on this port. Connections that linger after a server's end do not count."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def load(directory: Path) -> State | None:
    """The state kept in a directory, or None when there is none.

    Raises LocalStackError when the file is there and is not one.
    """
    path = directory / "state.json"
    try:
        fields = json.loads(path.read_text())
        for server in ("kafka", "redis"):
            fields[server] = ProcessId(**fields[server]) if fields[server] else None
        return State(**fields)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LocalStackError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, TypeError, KeyError):
        raise LocalStackError(
            f"{path} is not the state of a local stack: end its servers by hand, then delete {directory}"
        ) from None


def save(directory: Path, state: State) -> None:
    """Write the state so that a reader sees the old one or the new one, never a part."""
    temporary = directory / "state.json.new"
    temporary.write_text(json.dumps(asdict(state)))
    os.replace(temporary, directory / "state.json")


@contextmanager
def locked(directory: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold the directory for one command; `waiting` is called when another one holds it already.

    Raises LocalStackError when the directory cannot be made or written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = (directory / "lock").open("w")
    except OSError as error:
        raise LocalStackError(
            f"{directory} cannot hold a local stack ({error.strerror}): give another folder with --dir"
        ) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
