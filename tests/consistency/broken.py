"""Deliberately broken variants of a worker: each leaves out one rule of the log, and the suite must notice.

They are put over the product from outside (tests.consistency.program): nothing in it knows of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any


def any_from() -> None:
    """Rule 3 left out: a record counts wherever it begins."""
    from streams.fold import Fold

    def counts(self: Fold, record: Any) -> bool:
        return record.partition() in self.next and record.number("to") > record.number("from")

    Fold.counts = counts  # type: ignore[method-assign]


def append_early() -> None:
    """Rule 9 left out: a batch is appended before its predictions are acknowledged."""
    from streams.appender import Appender

    tasks = set()

    def deliver(self: Appender, batch: Any, delivery: Awaitable[None]) -> None:
        async def send() -> None:
            await asyncio.sleep(0.2)  # a broker that is slow with predictions
            await delivery

        task = asyncio.ensure_future(send())
        tasks.add(task)
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._deliveries[batch] = asyncio.create_task(asyncio.sleep(0))

    Appender.deliver = deliver  # type: ignore[method-assign]


def _save_script(old: str, new: str) -> None:
    from infra.redis_store import RedisStore

    init = RedisStore.__init__

    def patched(self: Any, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        script = self._save_script.script
        text = script.decode() if isinstance(script, bytes) else script
        assert old in text
        self._save_script = self._redis.register_script(text.replace(old, new))

    RedisStore.__init__ = patched  # type: ignore[method-assign]


def save_lower() -> None:
    """Rule 16 left out: the store takes a save at a lower log offset."""
    _save_script("if tonumber(stored) >= new then return 'stale' end", "")


def save_without_since() -> None:
    """Rule 16 left out: the store takes changed blocks whatever it holds."""
    _save_script("tonumber(stored) < tonumber(ARGV[3])", "false")


def no_wait() -> None:
    """Rule 11 left out: a dropped partition goes on at once."""
    from streams.processor import Processor

    async def echoes_read(self: Processor, partition: Any) -> None:
        await asyncio.sleep(0)

    Processor._echoes_read = echoes_read  # type: ignore[method-assign]


class _FromZero(dict[Any, int]):
    def __missing__(self, key: object) -> int:
        return 0


def no_open() -> None:
    """Rule 2 left out: a worker begins a partition without `open`."""
    from streams.checkpoints import Checkpoints
    from streams.processor import Processor
    from streams.view import View

    init = View.__init__

    def patched(self: View, fold: Any, *args: Any, **kwargs: Any) -> None:
        fold.next = _FromZero(fold.next)
        init(self, fold, *args, **kwargs)

    load = Checkpoints._take_over

    def taken_over(self: Any, found: Any) -> None:
        load(self, found)
        self._view.fold.next = _FromZero(self._view.fold.next)

    async def opened(self: Processor, partition: Any, start: int) -> None:
        await asyncio.sleep(0)

    Checkpoints._take_over = taken_over  # type: ignore[method-assign]
    View.__init__ = patched  # type: ignore[method-assign]
    Processor.open = opened  # type: ignore[method-assign]


VARIANTS: dict[str, Callable[[], None]] = {
    "any-from": any_from,
    "append-early": append_early,
    "save-lower": save_lower,
    "save-without-since": save_without_since,
    "no-wait": no_wait,
    "no-open": no_open,
}
