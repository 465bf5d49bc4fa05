"""One model in one worker: fetched batches in, predictions out, samples learned through the log.

The processor knows neither Faust nor how batches are fetched. It is given fetched batches (`process`), told
of assignments (`take`), and asks for a seek through a callback. Tasks run beside it: one reads the log, one
appends to it (streams.appender), and one for each dropped partition puts it back on its feet.

Order of things for one batch (rule 9): decode, predict with the view, learn in the view, send predictions
and dead letters; when both are acknowledged, append; when the record has come back, it is folded.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from streams.appender import Appender
from streams.changes import Changes
from streams.fold import Fold
from streams.ingest import Ingest
from streams.learning_log import LogReader, LogWriter
from streams.log_format import LogRecord, PartitionId
from streams.outgoing import Outgoing
from streams.pacing import Pacing
from streams.records import Record
from streams.stride import STEP_SECONDS, Stride
from streams.view import Batch, View, among

MAX_PENDING_BATCHES = 64
MAX_PENDING_BYTES = 12 * 1024 * 1024
PREDICTION_BYTES = 600
LETTER_BYTES = 4_000
"""About what a dead letter takes in memory besides its value: headers, twice, and what they are made of."""

Seek = Callable[[PartitionId, int, int], Awaitable[None]]
"""Puts the fetcher of a partition at an offset; batches fetched from then on carry the seek's number."""


class Parsed(Protocol):
    """The records of a batch, parsed once for several models (streams.joint)."""

    def part(self, start: int, stop: int) -> Sequence[Any]:
        """What was parsed of records start … stop - 1."""

    def since(self, skipped: int) -> Parsed:
        """Without the first records."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A fetched batch. start and stop are fetch positions: what compaction took away is between them."""

    topic: str
    partition: int
    seek: int
    start: int
    stop: int
    records: Sequence[Record]
    received: float  # time.monotonic()
    parsed: Parsed | None = None

    def parsed_part(self, start: int, stop: int) -> Sequence[Any] | None:
        """What was parsed of records start … stop - 1 for several models; None: each model parses."""
        return None if self.parsed is None else self.parsed.part(start, stop)

    def since(self, offset: int) -> Fetched:
        """Without the records before an offset, which is in [start, stop)."""
        if offset == self.start:
            return self
        skipped = sum(record.offset < offset for record in self.records)
        parsed = None if self.parsed is None else self.parsed.since(skipped)
        return replace(self, start=offset, records=self.records[skipped:], parsed=parsed)


@dataclass(slots=True)
class Position:
    """Where a partition that this worker owns stands: what it processes next, after which seek."""

    offset: int
    seek: int


@dataclass(slots=True)
class Throughput:
    """What this worker did since its start; times are of time.monotonic()."""

    samples: int = 0
    discarded: int = 0
    first_record: float | None = None


class Processor:
    """See the module. All methods run in one event loop."""

    def __init__(
        self,
        view: View,
        ingest: Ingest,
        outgoing: Outgoing,
        reader: LogReader,
        writer: LogWriter,
        seek: Seek,
        note: Callable[[int, str], None],
    ) -> None:
        """`note` hears of the fold's digests at audited log offsets."""
        self.view = view
        self._note = note
        self.throughput = Throughput()
        self.ingest = ingest
        self._outgoing = outgoing
        self._reader = reader
        self._seek = seek
        self._seeks = 0
        self._positions: dict[PartitionId, Position] = {}
        self._owned: dict[tuple[str, int], PartitionId] = {}
        self.pacing = Pacing()
        self._stride = Stride()
        self._changes = Changes()
        self._folding = asyncio.Lock()
        self._appender = Appender(view, writer, self._changes, self._begin_again, lambda: self.pacing.alone)
        self._recoveries: dict[PartitionId, asyncio.Task[None]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def last_acknowledged(self) -> tuple[float | None, float | None]:
        """When the last prediction, and the last append, were acknowledged (time.monotonic())."""
        return self._appender.last_delivery, self._appender.last_append

    @property
    def fold(self) -> Fold:
        """The fold of the log as this worker has read it."""
        return self.view.fold

    # Life

    def start(self) -> None:
        """Begin to read the log and to append; a failure of either resolves `failed`."""
        for name, body in (("log reader", self._read_log), ("log appender", self._appender.run)):
            task = asyncio.create_task(body(), name=name)
            task.add_done_callback(self.check)
            self._tasks.append(task)

    async def folded(self, partition: PartitionId, offset: int) -> None:
        """Wait until the fold of a partition has come to `offset`."""
        await self._changes.until(lambda: self.fold.next.get(partition, -1) >= offset)

    async def drained(self) -> None:
        """Wait until nothing is pending."""
        await self._changes.until(lambda: not self.view.pending)

    async def wake(self) -> None:
        """There may be room that was not there before."""
        await self._changes.notify()

    async def stop(self) -> None:
        """End the tasks; what is pending stays in the input and is processed by the next owner."""
        tasks = [*self._tasks, *self._recoveries.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._appender.stop()

    # Assignment (rules 8, 10, 11)

    def release_all(self) -> None:
        """The worker owns no partition any more. Pending batches go on: the log decides about them."""
        self._positions.clear()
        self._owned.clear()
        for task in self._recoveries.values():
            task.cancel()
        self._recoveries.clear()

    async def take(self, partitions: Collection[PartitionId]) -> dict[PartitionId, int]:
        """Own partitions: returns the offset that each is processed from next.

        One that is not open yet was added after the model began: it opens at 0 (rule 14).
        """
        for partition in partitions:
            self._positions.pop(partition, None)
            self._owned.pop((partition.topic, partition.partition), None)
            self.view.drop(partition)
        self._appender.settle()
        await self._changes.notify()
        for partition in partitions:
            await self._echoes_read(partition)
        await self.read_to_end()
        for partition in partitions:
            if partition not in self.fold.next:
                await self.open(partition, 0)
        return {partition: self.fold.next[partition] for partition in partitions}

    def assigned(self, partitions: Collection[PartitionId]) -> None:
        """All that was `take`n in one assignment: nothing else is this worker's."""

    def stand(self, partition: PartitionId, offset: int) -> int:
        """Process batches from `offset` on that carry the returned seek number.

        Called before the fetcher is sought: its first batch may be here before the seek's answer.
        """
        self._seeks += 1
        self._owned[partition.topic, partition.partition] = partition
        self.pacing.own(len(self._owned), len(self.fold.next))
        self._positions[partition] = Position(offset, self._seeks)
        return self._seeks

    async def open(self, partition: PartitionId, start: int, label_start: int | None = None) -> None:
        """Append `open` and wait until the log has it (whoever's came first).

        `label_start` is of the labels topic, for a model that has one.
        """
        await self._appender.append_plain("open", None, **partition.headers(), next=start)
        await self._changes.until(lambda: partition in self.fold.next)

    async def skip_hole(self, partition: PartitionId, start: int, stop: int, reason: bytes) -> None:
        """Append `hole` for a range that is gone from the input, and wait until the fold is past it."""
        await self._appender.append_plain(
            "hole", reason, **partition.headers(), from_=start, to=stop, samples=0, dead_letters=0
        )
        await self._changes.until(lambda: self.fold.next[partition] != start)

    async def read_to_end(self) -> None:
        """Wait until the fold has all that the log has now."""
        end = await self._reader.end()
        await self._changes.until(lambda: self.fold.log_offset >= end)

    # Batches (rule 9)

    async def process(self, fetched: Fetched) -> None:
        """Predict, learn and send one fetched batch; returns when it is pending, or discarded as stale."""
        partition = self._owned.get((fetched.topic, fetched.partition))
        if partition is None or not self._current(partition, fetched.start, fetched.seek):
            self.throughput.discarded += 1
            return
        records, start, begin = fetched.records, fetched.start, 0
        while begin == 0 or begin < len(records):
            await self._changes.until(lambda: self._room() > 0)
            if not self._current(partition, start, fetched.seek):
                self.throughput.discarded += begin == 0
                return  # dropped meanwhile
            if self.throughput.first_record is None:
                self.throughput.first_record = fetched.received
            end = begin + self._room()
            stop = records[end].offset if end < len(records) else fetched.stop
            some = records[begin:end]
            with self._stride.step(len(some)):
                self._process(partition, start, stop, some, fetched.parsed_part(begin, end))
            start, begin = stop, end
            await self._changes.notify()
            await asyncio.sleep(0)

    def position(self, topic: str, partition: int) -> Position | None:
        """Where a partition stands that is processed now; None: not this worker's, or dropped."""
        owned = self._owned.get((topic, partition))
        return None if owned is None else self._positions.get(owned)

    def _current(self, partition: PartitionId, start: int, seek: int) -> bool:
        position = self._positions.get(partition)
        return position is not None and (position.offset, position.seek) == (start, seek)

    def _process(
        self,
        partition: PartitionId,
        start: int,
        stop: int,
        records: Sequence[Record],
        parsed: Sequence[Any] | None,
    ) -> None:
        ingested = self.ingest.decode(partition.topic, partition.partition, records, parsed)
        if ingested.rows.nbytes > self._appender.largest and len(records) > 1:
            self.ingest.encoder.unname(ingested.rows.names)
            half = len(records) // 2
            middle = records[half].offset
            one, other = (None, None) if parsed is None else (parsed[:half], parsed[half:])
            self._process(partition, start, middle, records[:half], one)
            self._process(partition, middle, stop, records[half:], other)
            return
        learned = self.view.predict_and_learn(ingested.rows)
        labelled = ~np.isnan(ingested.rows.labels)
        every = bool(labelled.all())
        batch = Batch(
            partition=partition,
            start=start,
            stop=stop,
            rows=ingested.rows if every else ingested.rows.select(labelled),
            served=learned.served if every else learned.served[labelled],
            dead_letters=len(ingested.dead),
            undo=learned.undo,
            refused=among(labelled, learned.refused),
            skipped=learned.skipped,
            outgoing_bytes=PREDICTION_BYTES * len(ingested.rows)
            + sum(LETTER_BYTES + len(letter.record.value or b"") for letter in ingested.dead),
        )
        self.view.push(batch)
        self._positions[partition].offset = stop
        self.throughput.samples += len(ingested.rows)
        self.pacing.processed(len(batch.rows), self.view.pending, self.view.samples_redone)
        delivery = self._outgoing.send(partition, ingested, learned.served, learned.learned_before)
        self._appender.deliver(batch, delivery)

    def _room(self) -> int:
        """How many records may be processed now, in one batch."""
        pending = self.view.pending
        if len(pending) >= MAX_PENDING_BATCHES:
            return 0
        if sum(batch.nbytes + batch.outgoing_bytes for batch in pending) >= MAX_PENDING_BYTES:
            return 0
        return self.pacing.room(pending, self._stride.most)

    async def _begin_again(self) -> None:
        """Rule 12: after a doubtful append nothing is certain but the log."""
        self.view.drop_all()
        self._appender.settle()
        self.view.producer_closed()
        self._positions.clear()
        await self._changes.notify()  # there is room, and no echo to wait for
        await self._appender.begin_again()
        await self.read_to_end()
        for partition in self._owned.values():
            if partition not in self._positions:
                self._recover(partition)

    # Reading (rule 10)

    async def _read_log(self) -> None:
        while True:
            run = await self._reader.run()
            if run:
                async with self._folding:
                    await self._fold_in_steps(run)
                await self._changes.notify()

    async def _fold_in_steps(self, run: list[LogRecord]) -> None:
        """Fold records; the loop goes on in between where they take long."""
        since = time.monotonic()
        for record in run:
            if time.monotonic() - since > STEP_SECONDS:
                await asyncio.sleep(0)
                since = time.monotonic()
            self._fold(record)

    def _fold(self, record: LogRecord) -> None:
        outcome = self.view.fold_run([record])
        for offset, digest in outcome.digests:
            self._note(offset, digest)
        self._appender.settle()
        for partition in outcome.dropped | self._overtaken():
            if self._positions.pop(partition, None) is not None:
                self._recover(partition)

    def _overtaken(self) -> set[PartitionId]:
        """Partitions with nothing pending that another owner has moved: what comes next would be ignored."""
        waiting = {batch.partition for batch in self.view.pending}
        standing = self._positions.items()
        return {p for p, at in standing if p not in waiting and at.offset != self.fold.next[p]}

    def _recover(self, partition: PartitionId) -> None:
        if partition not in self._recoveries:
            task = asyncio.create_task(self._stand_again(partition), name=f"recover {partition}")
            self._recoveries[partition] = task
            task.add_done_callback(self.check)

    async def _stand_again(self, partition: PartitionId) -> None:
        """Rules 10 and 11: wait for the echoes of what was dropped, then seek to the fold's offset."""
        try:
            while partition not in self._positions:  # it may be dropped again before the seek is answered
                await self._echoes_read(partition)
                await self._prepare(partition)
                offset = self.fold.next[partition]
                await self._seek(partition, offset, self.stand(partition, offset))
        finally:
            if self._recoveries.get(partition) is asyncio.current_task():
                del self._recoveries[partition]

    async def _prepare(self, partition: PartitionId) -> None:
        """What a partition needs besides its offset before it is processed again."""

    async def _echoes_read(self, partition: PartitionId) -> None:
        await self._changes.until(lambda: self.view.unread[partition] <= 0)

    def check(self, task: asyncio.Task[None]) -> None:
        """A task that failed ends the worker: nothing is swallowed."""
        if not task.cancelled() and (error := task.exception()) is not None and not self.failed.done():
            self.failed.set_exception(error)
