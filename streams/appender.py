"""Pending batches to the learning log, in the order in which they were processed (rules 9 and 12).

A batch is appended when its predictions and dead letters are acknowledged. One append is in flight at a time;
neighbours of one partition that are ready meanwhile leave in one record: a low rate costs little, and a high
one makes large records.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from streams.changes import Changes
from streams.learning_log import AppendFailed, LogWriter
from streams.log_format import MAX_DATA_BYTES
from streams.view import Batch, View

MAX_NAMES_A_RECORD = 10_000


class Appender:
    """Sends what is pending. `failed` is awaited after a doubtful append, before anything else is sent."""

    def __init__(
        self, view: View, writer: LogWriter, changes: Changes, failed: Callable[[], Awaitable[None]]
    ) -> None:
        self.last_delivery: float | None = None
        self.last_append: float | None = None
        self._view = view
        self._writer = writer
        self._changes = changes
        self._failed = failed
        self._deliveries: dict[Batch, asyncio.Task[None]] = {}
        self._one_at_a_time = asyncio.Lock()

    def deliver(self, batch: Batch, delivery: Awaitable[None]) -> None:
        """Send a pending batch's predictions and dead letters; its append comes after."""

        async def run() -> None:
            await delivery
            self.last_delivery = time.monotonic()

        self._deliveries[batch] = asyncio.create_task(run(), name=f"deliver {batch.partition}")

    def settle(self) -> None:
        """Forget the deliveries of batches that are no longer pending."""
        if len(self._deliveries) > len(self._view.pending):
            kept = set(self._view.pending)
            for batch in [batch for batch in self._deliveries if batch not in kept]:
                # A dropped batch's predictions may still go out: repeats are allowed.
                self._deliveries.pop(batch).add_done_callback(_look_away)

    async def run(self) -> None:
        """Append for ever; raises DeliveryFailed."""
        while True:
            await self._changes.until(lambda: self._first_unsent() is not None)
            batch = self._first_unsent()
            if batch is None:
                continue
            await asyncio.shield(self._deliveries[batch])
            try:
                await self._append(batch)
            except AppendFailed:
                await self._failed()

    async def append_plain(self, kind: str, value: bytes | None = None, **headers: object) -> None:
        """Append a record that carries no samples; raises AppendFailed."""
        async with self._one_at_a_time:
            await self._writer.append(kind, self._view.worker, self._view.next_seq(), value, **headers)

    async def begin_again(self) -> None:
        """A new producer after a failed append; raises LogError."""
        await self._writer.start()

    async def stop(self) -> None:
        """Give up what is being delivered."""
        for task in self._deliveries.values():
            task.cancel()
        await asyncio.gather(*self._deliveries.values(), return_exceptions=True)

    def _first_unsent(self) -> Batch | None:
        return next((batch for batch in self._view.pending if batch.seq is None), None)

    def _group(self, first: Batch) -> list[Batch]:
        """`first` and the neighbours of its partition after it that are acknowledged too, up to 4 MiB."""
        group: list[Batch] = []
        size = 0
        for batch in self._view.pending:
            if not group and batch is not first:
                continue
            size += batch.nbytes
            ready = batch.partition == first.partition and _acknowledged(self._deliveries[batch])
            if group and (not ready or size > MAX_DATA_BYTES):
                break
            group.append(batch)
        return group

    async def _append(self, first: Batch) -> None:
        async with self._one_at_a_time:
            group = self._group(first)
            if not group:
                return  # dropped meanwhile
            where, seq = first.partition, self._view.next_seq()
            first.names = self._view.take_names(MAX_NAMES_A_RECORD)
            value = self._view.fold.codec.encode_all([(b.rows, b.served) for b in group], first.names)
            self._view.sent(group, seq)
            await self._writer.append(
                "data",
                self._view.worker,
                seq,
                value,
                **where.headers(),
                from_=first.start,
                to=group[-1].stop,
                samples=sum(len(batch.rows) for batch in group),
                dead_letters=sum(batch.dead_letters for batch in group),
            )
        self.last_append = time.monotonic()


def _acknowledged(delivery: asyncio.Task[None]) -> bool:
    return delivery.done() and not delivery.cancelled() and delivery.exception() is None


def _look_away(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        task.exception()
