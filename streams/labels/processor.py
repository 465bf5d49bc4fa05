"""A late-label model in one worker: as Processor, with samples and labels of a partition read together.

Samples come through Faust, as always. Labels are read beside them, and both are taken in the order of their
event times: before samples are processed, the labels that are earlier and that the broker has are there. What
is at the end of its topic holds nothing up.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from infra.kafka_admin import TopicInfo
from infra.logs import logger
from infra.store import StoreUnavailable
from streams.ingest import Ingested
from streams.labels.codec import NEVER
from streams.labels.fold import LateFold
from streams.labels.join import MOST_EXPIRED, Join, in_order
from streams.labels.keeper import MEMORY_BYTES, Keeper
from streams.labels.messages import LabelBatch, LabelIngest
from streams.labels.plain import Rules
from streams.labels.sizes import fitting
from streams.labels.view import LateBatch, LateView
from streams.log_format import PartitionId
from streams.processor import LETTER_BYTES, PREDICTION_BYTES, Fetched, Processor
from streams.records import Record
from streams.stride import CHUNK
from streams.topic_reader import TopicReader
from streams.view import among

POLL_SECONDS = 0.02
AWAY_SECONDS = 1.0
FULL_SECONDS = 10.0
"""So long it is told again that memory is full."""


@dataclass(slots=True)
class _Samples:
    """Samples of a partition that were decoded and not processed yet: of [start, stop), among `records`."""

    start: int
    stop: int
    records: Sequence[Record]
    ingested: Ingested

    def cut(self, count: int) -> tuple[_Samples, _Samples | None]:
        """The first `count` valid samples, with the dead letters between them, and the rest."""
        one = self.ingested
        if count >= len(one.ids):
            return self, None
        middle = int(one.rows.offsets[count])
        parts = []
        for start, stop, these in (
            (self.start, middle, slice(0, count)),
            (middle, self.stop, slice(count, None)),
        ):
            rows = one.rows.slice(*these.indices(len(one.ids))[:2])
            rows.names = one.rows.names if start == self.start else {}
            dead = [letter for letter in one.dead if start <= letter.record.offset < stop]
            ingested = Ingested(one.topic, one.partition, one.ids[these], one.keys[these], rows, dead)
            parts.append(_Samples(start, stop, self.records, ingested))
        return parts[0], parts[1]

    def none(self) -> _Samples:
        """No sample, and none of its range."""
        one = self.ingested
        rows = one.rows.slice(0, 0)
        return _Samples(self.start, self.start, (), Ingested(one.topic, one.partition, [], [], rows, []))

    def record(self, offset: int) -> Record:
        """The record at an offset."""
        return next(record for record in self.records if record.offset == offset)


class LateProcessor(Processor):
    """See the module."""

    view: LateView

    def __init__(
        self,
        *args: Any,
        keeper: Keeper,
        labels: Callable[[Callable[[], Awaitable[None]]], TopicReader],
        label_ingest: LabelIngest,
        rules: Callable[[], Rules],
        behind: Callable[[PartitionId, int], bool],
        label_topic: Callable[[], TopicInfo],
    ) -> None:
        """The positional arguments are Processor's.

        labels: makes the reader of the labels topic, given whom to tell of more; behind: whether a samples
        partition has more to read than up to an offset.
        """
        super().__init__(*args)
        self._keeper = keeper
        keeper.hold = self._hold
        self._labels = labels(self._changes.notify)
        self._label_ingest = label_ingest
        self._rules = rules
        self._behind = behind
        self._label_topic = label_topic
        self._label_at: dict[PartitionId, int] = {}
        self._decoded: dict[PartitionId, LabelBatch] = {}
        self._locks: dict[PartitionId, asyncio.Lock] = {}
        self._away_until = 0.0
        self._full_since: float | None = None
        self._told_away = False

    @property
    def fold(self) -> LateFold:
        """See Processor."""
        return self.view.fold

    @contextlib.asynccontextmanager
    async def _hold(self) -> AsyncIterator[None]:
        """The fold stays where it is."""
        async with self._folding:
            yield

    # Life

    def start(self) -> None:
        """See Processor."""
        super().start()
        for name, body in (("label reader", self._read_labels), ("labels", self._labels_alone)):
            task = asyncio.create_task(body(), name=name)
            task.add_done_callback(self.check)
            self._tasks.append(task)

    async def stop(self) -> None:
        """See Processor."""
        await super().stop()
        await self._labels.stop()

    async def wake(self) -> None:
        """See Processor; partitions whose samples the store has lost are built again from the log."""
        for partition in list(self._keeper.lost):
            self._load_again(partition)
        await super().wake()

    async def labels_folded(self, partition: PartitionId, offset: int) -> None:
        """Wait until the fold of a partition's labels has come to `offset`."""

        def holds() -> bool:
            standing = self.fold.standings.get(partition)
            return standing is not None and standing.label_next >= offset

        await self._changes.until(holds)

    # Assignment

    async def take(self, partitions: Collection[PartitionId]) -> dict[PartitionId, int]:
        """See Processor; what waits in the partitions is here afterwards."""
        await super().take(partitions)
        for partition in partitions:
            await self._keeper.load(partition)
        return {partition: self.fold.next[partition] for partition in partitions}

    def assigned(self, partitions: Collection[PartitionId]) -> None:
        """See Processor."""
        self._keeper.keep(partitions)
        self._labels.keep({partition.partition for partition in partitions})

    def stand(self, partition: PartitionId, offset: int) -> int:
        """See Processor; its labels are read from where the fold stands."""
        self._label_at[partition] = at = self.fold.standings[partition].label_next
        self._decoded.pop(partition, None)
        self._labels.stand(partition.partition, at)
        return super().stand(partition, offset)

    async def open(self, partition: PartitionId, start: int, label_start: int | None = None) -> None:
        """See Processor."""
        topic = self._label_topic()
        await self._appender.append_plain(
            "open", None, **partition.headers(), next=start,
            label_topic=topic.name, label_topic_id=topic.topic_id, label_next=label_start or 0,
        )  # fmt: skip
        await self._changes.until(lambda: partition in self.fold.next)

    async def skip_hole(self, partition: PartitionId, start: int, stop: int, reason: bytes) -> None:
        """See Processor."""
        at = self.fold.standings[partition].label_next
        await self._skip(partition, (start, stop), (at, at), reason)
        await self._changes.until(lambda: self.fold.next[partition] != start)

    async def skip_label_hole(self, partition: PartitionId, start: int, stop: int, reason: bytes) -> None:
        """As `skip_hole`, of the labels topic."""
        at = self.fold.next[partition]
        await self._skip(partition, (at, at), (start, stop), reason)
        await self._changes.until(lambda: self.fold.standings[partition].label_next != start)

    async def _skip(
        self, partition: PartitionId, samples: tuple[int, int], labels: tuple[int, int], reason: bytes
    ) -> None:
        standing = self.fold.standings[partition]
        await self._appender.append_plain(
            "hole", reason, **partition.headers(), from_=samples[0], to=samples[1], samples=0, dead_letters=0,
            label_topic=standing.label_topic, label_topic_id=standing.label_topic_id,
            label_from=labels[0], label_to=labels[1], after=standing.after,
        )  # fmt: skip

    async def _prepare(self, partition: PartitionId) -> None:
        await self._keeper.load(partition)

    def _overtaken(self) -> set[PartitionId]:
        pending = {batch.partition for batch in self.view.pending}
        return {
            p
            for p, at in self._positions.items()
            if p not in pending
            and (at.offset, self._label_at[p]) != (self.fold.next[p], self.fold.standings[p].label_next)
        }

    # Samples

    async def process(self, fetched: Fetched) -> None:
        """See Processor."""
        partition = self._owned.get((fetched.topic, fetched.partition))
        if partition is None or not self._current(partition, fetched.start, fetched.seek):
            self.throughput.discarded += 1
            return
        records, start, begin = fetched.records, fetched.start, 0
        while begin == 0 or begin < len(records):
            end = begin + CHUNK
            stop = records[end].offset if end < len(records) else fetched.stop
            decoded = self.ingest.decode(
                partition.topic, partition.partition, records[begin:end], fetched.parsed_part(begin, end)
            )
            decoded.ids, decoded.keys = list(decoded.ids), list(decoded.keys)  # looked up one by one
            piece: _Samples | None = _Samples(start, stop, records[begin:end], decoded)
            while piece is not None:
                async with self._lock(partition):
                    await self._changes.until(lambda: self._room() > 0)
                    if not await self._ready(partition, piece, fetched.seek):
                        self.ingest.encoder.unname(piece.ingested.rows.names)
                        self.throughput.discarded += begin == 0
                        return  # dropped meanwhile
                    if self.throughput.first_record is None:
                        self.throughput.first_record = fetched.received
                    piece = await self._advance(partition, piece, fetched.seek)
                await self._changes.notify()
                await asyncio.sleep(0)
            start, begin = stop, end

    def _lock(self, partition: PartitionId) -> asyncio.Lock:
        return self._locks.setdefault(partition, asyncio.Lock())

    async def _ready(self, partition: PartitionId, piece: _Samples, seek: int) -> bool:
        """Wait until labels are there, or their end is known; False if the samples are stale by then."""

        def holds() -> bool:
            return (
                not self._current(partition, piece.start, seek)
                or self._head(partition) is not None
                or self._labels.ended(partition.partition)
                or self._away()
            )

        await self._changes.until(holds)
        return self._current(partition, piece.start, seek)

    async def _advance(self, partition: PartitionId, piece: _Samples, seek: int) -> _Samples | None:
        """Process what may be processed of samples and labels; returns the rest of the samples."""
        labels = None if self._away() else self._head(partition)
        samples, taken = self._plan(partition, piece.ingested, labels, None)
        now, rest = piece.cut(samples) if samples or not piece.ingested.ids else (piece.none(), piece)
        batch = self._cut(partition, labels, taken)
        if (now.start, batch.start) == (now.stop, batch.stop):
            return piece  # others took the room
        covered = await self._covered(partition, now.ingested, labels, taken, batch.stop)
        if labels is None and self._head(partition) is not None and not self._away():
            return piece  # a label came meanwhile, and may be earlier
        if not await self._recalled(partition, now.ingested, batch, covered):
            return piece
        if self._current(partition, piece.start, seek) and self._label_at[partition] == batch.start:
            with self._stride.step(len(now.ingested.ids) + len(batch)):
                self._step(partition, now, batch, covered)
            return rest
        return piece

    # Labels that no sample brings along

    async def _read_labels(self) -> None:
        await self._labels.start()
        await self._labels.run()

    async def _labels_alone(self) -> None:
        """Process labels while no samples come: up to the samples' time where there are more of those."""
        while True:
            await self._changes.until(lambda: any(self._head(p) is not None for p in self._positions))
            moved = [await self._one_alone(p) for p in list(self._positions) if self._head(p) is not None]
            if any(moved):
                await self._changes.notify()
                await asyncio.sleep(0)
            else:
                await asyncio.sleep(POLL_SECONDS)

    async def _one_alone(self, partition: PartitionId) -> bool:
        """Process labels of one partition; whether there were any that may be processed now."""
        lock = self._lock(partition)
        if lock.locked() or self._away() or not self._room():
            return False
        async with lock:
            position, labels = self._positions.get(partition), self._head(partition)
            if position is None or labels is None:
                return False
            seek = position.seek
            more = self._behind(partition, position.offset)
            none = self._no_samples(partition, position.offset)
            _, count = self._plan(
                partition, none.ingested, labels, self.view.waiting[partition].clocks[0] if more else None
            )
            if not count and len(labels):
                return False
            batch = self._cut(partition, labels, count)
            covered = not more and await self._covered(partition, none.ingested, labels, count, batch.stop)
            if not await self._recalled(partition, none.ingested, batch, covered):
                return False
            if not self._current(partition, none.start, seek) or self._label_at[partition] != batch.start:
                return False
            with self._stride.step(len(batch)):
                self._step(partition, none, batch, covered)
            return True

    # What may be processed

    def _head(self, partition: PartitionId) -> LabelBatch | None:
        """The next labels of a partition, if they are here."""
        if partition not in self._decoded and self._labels.peek(partition.partition) is not None:
            piece = self._labels.take(partition.partition)
            self._decoded[partition] = self._label_ingest.decode(piece.start, piece.stop, piece.records)
        return self._decoded.get(partition)

    def _plan(
        self, partition: PartitionId, samples: Ingested, labels: LabelBatch | None, until: int | None
    ) -> tuple[int, int]:
        """How many samples and labels are next, in the order of their times, within the room there is.

        No sample is later than the last of the labels: there may be more of these behind it. Labels are
        earlier than the last sample, or than `until` if there are no samples: there may be more samples of
        that very time, and those come first.
        """
        room, n = self._room(), len(samples.ids)
        waiting, most = self.view.waiting[partition], self._appender.largest
        if labels is None:
            return fitting(samples, None, np.ones(min(room, n), dtype=np.bool_), 0, most) if n else 0, 0
        if not len(labels):
            return 0, 0
        keys = in_order(waiting.clocks[0], samples.rows.timestamps), in_order(waiting.clocks[1], labels.times)
        last = int(keys[0][-1]) if n else until
        here = int(np.searchsorted(keys[0], keys[1][-1], side="right"))
        there = len(labels) if last is None else int(np.searchsorted(keys[1], last))
        is_sample = np.zeros(here + there, dtype=np.bool_)
        is_sample[np.arange(here) + np.searchsorted(keys[1][:there], keys[0][:here])] = True
        room = fitting(samples, labels, is_sample[:room], waiting.row_bytes, most)
        taken = int(is_sample[:room].sum())
        return taken, min(room, len(is_sample)) - taken

    def _cut(self, partition: PartitionId, labels: LabelBatch | None, count: int) -> LabelBatch:
        """The first labels; of a batch that has none, all of its range."""
        if labels is not None and (count or not len(labels)):
            return labels.cut(count)[0]
        at = self._label_at[partition]
        return self._label_ingest.decode(at, at, ())

    async def _covered(
        self, partition: PartitionId, samples: Ingested, labels: LabelBatch | None, count: int, stop: int
    ) -> bool:
        """Whether no label that the broker has is earlier than the samples: their time may let others expire.

        The broker is asked only if there is something to expire.
        """
        if labels is not None and count < len(labels):
            return True
        if self._away() or not self._expires(partition, samples):
            return False
        end = await self._labels.end(partition.partition)
        return end <= stop

    def _expires(self, partition: PartitionId, samples: Ingested) -> bool:
        waiting, rules, times = self.view.waiting[partition], self._rules(), samples.rows.timestamps
        bound = max(*waiting.clocks, int(times.max(initial=NEVER))) - rules.patience - rules.horizon
        oldest = [one for one in (waiting.oldest,) if one is not None]
        return min([*oldest, int(times.min(initial=bound))]) < bound

    def _room(self) -> int:
        """See Processor; none while more waits in memory than may, because the store does not take it."""
        here, now = self._keeper.bytes_here, asyncio.get_running_loop().time()
        if here > MEMORY_BYTES:
            self._keeper.urgent.set()
        if here <= 2 * MEMORY_BYTES:
            self._full_since = None
            return super()._room()
        if self._full_since is None:
            self._full_since = now
        elif now - self._full_since > FULL_SECONDS:
            self._full_since = now
            logger(model=self._keeper.model).warning(
                "too many samples wait in memory: nothing is read until Redis takes them"
            )
        return 0

    # What waits in the store alone

    def _away(self) -> bool:
        """Whether the store did not answer a moment ago: labels wait, samples go on."""
        return asyncio.get_running_loop().time() < self._away_until

    async def _recalled(
        self, partition: PartitionId, samples: Ingested, labels: LabelBatch, covered: bool
    ) -> bool:
        """Bring back into memory what this batch needs; False if that cannot be now."""
        waiting, rules = self.view.waiting[partition], self._rules()
        ids = waiting.elsewhere.find(labels.ids)
        if rules.negative and not self._away():
            s = max(waiting.clocks[0], int(samples.rows.timestamps.max(initial=NEVER)))
            clock = max(waiting.clocks[1], int(labels.times.max(initial=NEVER)))
            bound = (max(s, clock) if covered else clock) - rules.patience - rules.horizon
            here = len(waiting.older(bound))  # what expires at once is bounded, and these go first
            ids += waiting.elsewhere.older(bound, max(0, MOST_EXPIRED - here))
        if not ids:
            return True
        try:
            if await self._keeper.recall(partition, list(dict.fromkeys(ids))):
                self._told_away = False
                return True
        except StoreUnavailable as error:
            self._away_until = asyncio.get_running_loop().time() + AWAY_SECONDS
            if not self._told_away:
                self._told_away = True
                log = logger(model=self._keeper.model)
                log.warning("labels wait for samples that are in Redis", reason=str(error))
            return False
        self._load_again(partition)
        return False

    def _load_again(self, partition: PartitionId) -> None:
        if self._positions.pop(partition, None) is not None:
            self.view.drop(partition)
            self._appender.settle()
            self._recover(partition)

    # One batch

    def _no_samples(self, partition: PartitionId, offset: int) -> _Samples:
        empty = self.ingest.decode(partition.topic, partition.partition, ())
        return _Samples(offset, offset, (), empty)

    def _step(self, partition: PartitionId, samples: _Samples, labels: LabelBatch, covered: bool) -> None:
        """Join, predict, learn and send one batch; nothing else happens meanwhile."""
        waiting = self.view.waiting[partition]
        join = Join(
            waiting, self._rules(), samples.ingested, samples.record, labels, covered, self._appender.largest
        )
        rows, served, origin = join.rows()
        learned = self.view.join(rows, served, origin)
        predicted, at = join.predicted()
        late = join.late_rows(rows, learned.served)
        waiting.clocks = join.change.clocks
        labelled = late.labelled
        letters = len(join.dead_samples) + len(join.dead_labels)
        batch = LateBatch(
            partition=partition,
            start=samples.start,
            stop=samples.stop,
            rows=late.rows.select(labelled),
            served=late.served[labelled],
            dead_letters=letters,
            undo=learned.undo,
            refused=among(~np.isnan(rows.labels), learned.refused),
            skipped=learned.skipped,
            outgoing_bytes=PREDICTION_BYTES * len(at) + LETTER_BYTES * letters,
            label_start=labels.start,
            label_stop=labels.stop,
            late=late,
            facts=join.facts(),
            change=join.change,
            size=512 + late.nbytes,
        )
        self.view.push(batch)
        self._positions[partition].offset = samples.stop
        self._label_at[partition] = labels.stop
        self._go_on(partition, labels)
        self.throughput.samples += len(at)
        self.pacing.processed(len(batch.rows), self.view.pending, self.view.samples_redone)
        topic = self.fold.standings[partition].label_topic
        delivery = self._outgoing.send(
            partition, predicted, learned.served[at], learned.learned_before[at], (topic, join.dead_labels)
        )
        self._appender.deliver(batch, delivery)

    def _go_on(self, partition: PartitionId, labels: LabelBatch) -> None:
        """Labels of this batch are behind."""
        head = self._decoded.get(partition)
        if head is None or head.start != labels.start:
            return
        _, rest = head.cut(len(labels)) if len(labels) else (head, None if head.stop == labels.stop else head)
        if rest is None:
            del self._decoded[partition]
        else:
            self._decoded[partition] = rest
