"""Pending batches to the learning log, in the order in which they were processed (rules 9 and 12).

A batch is appended when its predictions and dead letters are acknowledged. One append is in flight at a time;
neighbours of one partition that are ready meanwhile leave in one record: a low rate costs little, and a high
one makes large records.

After a failed append everything begins again, with longer and longer waits, until one succeeds; when none has
for GIVE_UP_SECONDS, the worker ends.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from infra.logs import logger
from streams.changes import Changes
from streams.learning_log import AppendFailed, LogError, LogGone, LogWriter
from streams.log_format import MAX_DATA_BYTES, Body
from streams.view import Batch, View

MAX_NAMES_A_RECORD = 10_000
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.1, 5.0
GIVE_UP_SECONDS = 60.0
LINGER_SECONDS = 0.02
"""So long a batch may wait for others to leave with it, where nobody else waits for the record."""
ENOUGH = 500
"""Samples that are not waited with."""
LEAST_DATA_BYTES = 256 * 1024


class Appender:
    """Sends what is pending. `failed` is awaited after a doubtful append, before anything else is sent."""

    def __init__(
        self,
        view: View,
        writer: LogWriter,
        changes: Changes,
        failed: Callable[[], Awaitable[None]],
        alone: Callable[[], bool] = lambda: False,
    ) -> None:
        """`alone`: whether no other worker waits for what this one appends."""
        self.last_delivery: float | None = None
        self.last_append: float | None = None
        self._view = view
        self._writer = writer
        self._changes = changes
        self._failed = failed
        self._alone = alone
        self._deliveries: dict[Batch, asyncio.Task[None]] = {}
        self._one_at_a_time = asyncio.Lock()
        self._failure: LogError | None = None  # while the producer is closed for it
        self._recovery = asyncio.Lock()
        self._failing_since: float | None = None
        self._wait = FIRST_WAIT_SECONDS
        self.largest = MAX_DATA_BYTES
        """A batch is split so that its encoded samples stay below this; less where the broker takes less."""

    def deliver(self, batch: Batch, delivery: Awaitable[None]) -> None:
        """Send a pending batch's predictions and dead letters; its append comes after."""

        async def run() -> None:
            await delivery
            self.last_delivery = time.monotonic()

        batch.made = asyncio.get_running_loop().time()
        self._deliveries[batch] = asyncio.create_task(run(), name=f"deliver {batch.partition}")

    def settle(self) -> None:
        """Forget the deliveries of batches that are no longer pending."""
        if len(self._deliveries) > len(self._view.pending):
            kept = set(self._view.pending)
            for batch in [batch for batch in self._deliveries if batch not in kept]:
                # A dropped batch's predictions may still go out: repeats are allowed.
                self._deliveries.pop(batch).add_done_callback(_look_away)

    async def run(self) -> None:
        """Append for ever; raises DeliveryFailed, or LogError when appends keep failing."""
        while True:
            await self._changes.until(lambda: self._first_unsent() is not None)
            batch = self._first_unsent()
            if batch is None:
                continue
            await asyncio.shield(self._deliveries[batch])
            await self._linger(batch)
            try:
                await self._append(batch)
            except AppendFailed as error:
                if error.too_large:
                    self.largest = max(self.largest // 2, LEAST_DATA_BYTES)
                await self._recover(error)
            else:
                self._succeeded()

    async def _linger(self, first: Batch) -> None:
        """At a low rate several batches leave in one record: that costs a fraction of one each."""
        wait = first.made + LINGER_SECONDS - asyncio.get_running_loop().time() if self._alone() else 0.0
        if wait > 0.0 and sum(len(batch.rows) for batch in self._view.pending if batch.seq is None) < ENOUGH:
            await asyncio.sleep(wait)

    async def append_plain(self, kind: str, value: bytes | None = None, **headers: object) -> None:
        """Append a record that carries no samples, twice if the first is in doubt; raises LogError."""
        while True:
            try:
                async with self._one_at_a_time:
                    seq = self._view.next_seq()
                    await self._send(kind, seq, value, **headers)
            except AppendFailed as error:
                await self._recover(error)
            else:
                self._succeeded()
                return

    async def begin_again(self) -> None:
        """A new producer after a failed append; raises LogError when appends have failed for too long."""
        while self._failure is not None:
            await self._back_off(self._failure)
            try:
                await self._writer.start()
            except LogError as error:
                self._failure = error
            else:
                self._failure = None

    async def stop(self) -> None:
        """Give up what is being delivered."""
        for task in self._deliveries.values():
            task.cancel()
        await asyncio.gather(*self._deliveries.values(), return_exceptions=True)

    async def _recover(self, error: LogError) -> None:
        """Begin again after a failure, once for all who met it."""
        if self._failure is None:
            self._failure = error
        async with self._recovery:
            if self._failure is not None:
                await self._failed()

    def _succeeded(self) -> None:
        if self._failing_since is not None:
            logger().info("appends succeed again")
        self._failing_since, self._wait = None, FIRST_WAIT_SECONDS

    async def _back_off(self, error: LogError) -> None:
        """Say why, and wait; raises LogError when appends have failed for too long."""
        now = time.monotonic()
        if self._failing_since is None:
            self._failing_since = now
        if now - self._failing_since > GIVE_UP_SECONDS:
            raise LogError(f"appends have failed for {GIVE_UP_SECONDS:.0f} s: {error}") from error
        logger().warning("append failed; trying again", reason=str(error), wait_seconds=self._wait)
        await asyncio.sleep(self._wait)
        self._wait = min(2 * self._wait, LONGEST_WAIT_SECONDS)

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
            if group and (not ready or size > self.largest):
                break
            group.append(batch)
        return group

    async def _append(self, first: Batch) -> None:
        async with self._one_at_a_time:
            group = self._group(first)
            if not group:
                return  # dropped meanwhile
            seq = self._view.next_seq()
            first.names = self._view.take_names(MAX_NAMES_A_RECORD)
            value, headers = self._view.record_of(group, first.names)
            self._view.sent(group, seq)
            await self._send("data", seq, value, **headers)
        self.last_append = time.monotonic()

    async def _send(self, kind: str, seq: int, value: Body | None, **headers: object) -> None:
        """One record to the log; raises AppendFailed, or LogGone if it landed below what was read before."""
        read = self._view.fold.log_offset
        offset = await self._writer.append(kind, self._view.worker, seq, value, **headers)
        if offset < read:
            raise LogGone(
                f"{self._writer.topic}: appended at offset {offset}, though all before {read} was read: "
                "the log was truncated; forget the model: gradstream reset"
            )


def _acknowledged(delivery: asyncio.Task[None]) -> bool:
    return delivery.done() and not delivery.cancelled() and delivery.exception() is None


def _look_away(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        task.exception()
