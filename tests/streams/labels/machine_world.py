"""What surrounds the workers of a late-label model: topics, the reader of labels, the log, stores; in memory.

As tests.streams.machine_world, with what late labels add. Nothing happens by chance or by the clock.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from infra.store import SaveAnswer, StoreUnavailable
from infra.waiting_store import MemoryWaitingStore, WaitingSave
from streams.log_format import parse_record
from streams.memory_log import Append, Headers, MemoryLog
from streams.topic_reader import Piece
from tests.consistency.late_reader import AT_ONCE, OWN, WAITS, LateLog, rows_of
from tests.streams.labels.world import Label, Sample
from tests.streams.machine_world import MemoryOutput, RawRecord, WatchedWriter


class Topic:
    """One partition of samples or labels; offsets without a record are gaps."""

    def __init__(self) -> None:
        self.end = 0
        self.records: list[RawRecord] = []

    def produce(self, message: Sample | Label | None) -> None:
        """One more record; None: a gap, as compaction or a transaction's marker leaves one."""
        at, self.end = self.end, self.end + 1
        if message is None:
            return
        body: dict[str, Any] = {"id": message.id, "timestamp": message.time, "weight": message.weight}
        if isinstance(message, Sample):
            body |= {"label": message.own, "features": {"x": at % 5 - 2, "c": f"c{at % 3}"}}
        else:
            body |= {"label": message.label, "correction": message.correction}
        self.records.append(RawRecord(at, 0, message.id.encode(), json.dumps(body).encode()))

    def between(self, start: int, stop: int) -> list[RawRecord]:
        """The records of offsets [start, stop)."""
        return [record for record in self.records if start <= record.offset < stop]


class MemoryTopicReader:
    """A worker's reader of the labels topic (streams.topic_reader.TopicReader); it fetches when told to."""

    def __init__(self, topics: Sequence[Topic], arrived: Callable[[], Awaitable[None]]) -> None:
        self._topics, self._arrived = topics, arrived
        self._read: dict[int, int] = {}
        self._pieces: dict[int, list[Piece]] = {}
        self._ends: dict[int, int] = {}  # as of the last fetch

    async def start(self) -> None:
        """See TopicReader."""

    async def run(self) -> None:
        """See TopicReader."""

    async def stop(self) -> None:
        """See TopicReader."""

    async def fetch(self, partition: int, size: int) -> None:
        """The broker answers: up to so many offsets, and where the topic ends."""
        if partition not in self._read:
            return
        topic, start = self._topics[partition], self._read[partition]
        stop = min(start + size, topic.end)
        if stop > start:
            self._pieces[partition].append(Piece(start, stop, topic.between(start, stop)))
            self._read[partition] = stop
        self._ends[partition] = topic.end
        await self._arrived()

    def stand(self, partition: int, offset: int) -> None:
        """See TopicReader; an answer that is on its way is lost."""
        self._read[partition], self._pieces[partition] = offset, []
        self._ends.pop(partition, None)

    def keep(self, partitions: set[int]) -> None:
        """See TopicReader."""
        for partition in self._read.keys() - partitions:
            del self._read[partition], self._pieces[partition]
            self._ends.pop(partition, None)

    def peek(self, partition: int) -> Piece | None:
        """See TopicReader."""
        pieces = self._pieces.get(partition)
        return pieces[0] if pieces else None

    def take(self, partition: int) -> Piece:
        """See TopicReader."""
        return self._pieces[partition].pop(0)

    def ended(self, partition: int) -> bool:
        """See TopicReader."""
        end = self._ends.get(partition)
        return end is not None and not self._pieces[partition] and self._read[partition] >= end

    async def end(self, partition: int) -> int:
        """See TopicReader."""
        return self._topics[partition].end


class WatchedLateLog(MemoryLog):
    """Looks at each record as it leaves its worker, and gives it to the plain reader when it arrives."""

    def __init__(self) -> None:
        super().__init__()
        self.plain = LateLog()
        self.waiting: list[dict[int, frozenset[str]]] = [{}]
        """Log offset → partition → ids that wait there, as of the records before it."""
        self.senders: dict[str, tuple[WatchedWriter, MemoryOutput]] = {}
        self.arrived: dict[tuple[str, int], int] = {}

    def put(self, key: bytes | None, value: bytes | None, headers: Headers) -> int:
        """See MemoryLog."""
        offset = super().put(key, value, headers)
        record = parse_record(offset, key, value, headers)
        self.arrived.setdefault((record.worker, record.seq), offset)
        self.plain.read(offset, record.kind, record.headers, value)
        self.waiting.append({p: frozenset(desk.waiting) for p, desk in self.plain.desks.items()})
        assert not self.plain.problems, self.plain.problems
        return offset

    def send(self, append: Append) -> None:
        """See MemoryLog; the samples that it brings were predicted by its worker, which knows that."""
        record = parse_record(-1, append.key, append.value, append.headers)
        writer, output = self.senders[record.worker]
        writer.sent.append(record)
        if record.kind == "data":
            partition = record.partition().partition
            for row in rows_of(partition, record.value)[0]:
                if row.event in (WAITS, OWN, AT_ONCE):
                    assert (partition, row.offset) in output.predicted, "appended before it was predicted"
            assert record.number("dead_letters") <= len(output.dead), "appended before its dead letters"
        super().send(append)


class TornStore(MemoryWaitingStore):
    """A store of what waits that can be away, emptied, or put back to an earlier state.

    Whatever a worker saves has to be what the log says at that offset, unless somebody took rows away before.
    """

    def __init__(self, log: WatchedLateLog) -> None:
        super().__init__()
        self._log = log
        self.away = False
        self._torn: set[tuple[str, int]] = set()
        self._kept: list[tuple[dict[Any, Any], dict[Any, Any], set[tuple[str, int]]]] = []

    async def save(self, model: str, partition: int, save: WaitingSave) -> SaveAnswer:
        """See WaitingStore."""
        self._ask()
        answer = await super().save(model, partition, save)
        if answer == "saved":
            key = model, partition
            if save.since is None:
                self._torn.discard(key)
            if key not in self._torn:
                here = self._log.waiting[int(save.about["log_offset"])][partition]
                assert self.waiting[key].keys() == here, "what was saved is not what waits"
                assert save.about["waiting"] == str(len(here))
            rows = {key: dict(rows) for key, rows in self.waiting.items()}
            self._kept.append((dict(self.abouts), rows, set(self._torn)))
        return answer

    async def about(self, model: str, partition: int) -> Mapping[str, str]:
        """See WaitingStore."""
        self._ask()
        return await super().about(model, partition)

    async def samples(self, model: str, partition: int, ids: Sequence[str]) -> list[bytes | None]:
        """See WaitingStore."""
        self._ask()
        return await super().samples(model, partition, ids)

    def lose(self) -> None:
        """It was emptied."""
        self.abouts, self.waiting, self._torn = {}, {}, set()

    def lose_rows(self) -> None:
        """Part of it was: somebody deleted the hashes with the samples."""
        self._torn |= {key for key, rows in self.waiting.items() if rows}
        self.waiting = {}

    def rewind(self, index: int) -> None:
        """As it was some saves ago: it lost its last seconds."""
        if self._kept:
            abouts, waiting, torn = self._kept[-1 - index % len(self._kept)]
            self.abouts, self._torn = dict(abouts), set(torn)
            self.waiting = {key: dict(rows) for key, rows in waiting.items()}

    def _ask(self) -> None:
        if self.away:
            raise StoreUnavailable("away")
