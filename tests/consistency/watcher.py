"""Looks at the checkpoint all the time: its log offset never goes back, unless Redis itself is hurt."""

from __future__ import annotations

import threading
from contextlib import closing, suppress
from typing import Any

import redis


class Watcher:
    """A thread; a context manager. `went_back`: what was seen, as text."""

    def __init__(self, servers: Any, model: str) -> None:
        self.went_back: list[str] = []
        self._servers = servers
        self._key = f"gradstream:{{{model}}}"
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        with closing(self._servers.client()) as client:
            highest = 0
            while not self._over.wait(0.02):
                with suppress(redis.RedisError, OSError):
                    offset = int(client.hget(self._key, "log_offset") or highest)
                    if offset < highest:
                        self.went_back.append(
                            f"the checkpoint went back from log offset {highest} to {offset}"
                        )
                    highest = offset
