"""What waits in the partitions of one worker: to the store and back, and again from the learning log.

A save takes what has counted, without pending batches, at the fold's log offset. A worker that is given a
partition begins with what the store has and applies the records that counted since; where the store has
nothing, it begins with the log. Which records counted is told by the log itself: each names the one before
it, and the fold knows the last.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import Any

import msgspec
import numpy as np

from infra.logs import logger
from infra.store import StoreUnavailable
from infra.waiting_store import WaitingSave, WaitingStore
from models.rows import Int64, Rows
from models.spec import ModelSpec
from streams.labels import stored
from streams.labels.codec import EarlyLabel
from streams.labels.fold import Facts, named
from streams.labels.view import LateView
from streams.labels.waiting import Waiting
from streams.learning_log import LogReader
from streams.log_contract import next_records
from streams.log_format import LogRecord, PartitionId, Undecodable

REMEMBERED = 20_000
"""Ids of joined samples of a model that are remembered, to tell a second label of theirs."""
MEMORY_BYTES = 64 * 1024 * 1024
"""Encoded samples of a model that wait in memory, about; the others wait in the store alone."""
MANY, SELDOM = 2_000, 5.0
"""More changes than MANY are saved every SELDOM seconds: on a fast stream most samples wait for less."""
REFRESH = 200
"""Log records after which a partition is saved although nothing changed in it: a start reads fewer."""

Place = tuple[int, str]
"""A log offset, and the record of a partition that was the last to count before it."""
_START: Place = (-1, "")
Counted = tuple[dict[str, EarlyLabel], list[str], tuple[int, int]]
"""Of a Waiting: early labels, joined ids, clocks."""

_early = msgspec.json.Decoder(list[EarlyLabel]).decode
_ids = msgspec.json.Decoder(list[str]).decode


class Keeper:
    """Of one model; the view has a Waiting for each partition that is kept."""

    def __init__(
        self,
        model: str,
        spec: ModelSpec,
        view: LateView,
        store: WaitingStore,
        log_topic_id: str,
        another_reader: Callable[[], LogReader],
    ) -> None:
        self.model, self._spec, self._view, self._store = model, spec, view, store
        self._topic_id = log_topic_id
        self._another_reader = another_reader
        self._saved: dict[PartitionId, float] = {}
        self._lock = asyncio.Lock()
        self.hold: Callable[[], AbstractAsyncContextManager[None]] = contextlib.nullcontext
        """Keeps the fold where it is for a while; set by who reads the log."""
        self.urgent = asyncio.Event()
        """More waits in memory than is to stay there: it is time to save."""
        self.lost: set[PartitionId] = set()
        """Partitions whose samples the store should have, and has not: they are to be loaded again."""
        features = spec.features
        self._columns = len(features.numeric_columns())
        self._codes = len(features.encode)

    @property
    def bytes_here(self) -> int:
        """About what waits in memory, without what is known of the samples that wait in the store alone."""
        return sum(waiting.rows.nbytes for waiting in self._view.waiting.values())

    # To the store

    async def save(self, worker: str) -> None:
        """Save every partition that changed; then let go of what does not fit in memory."""
        async with self._lock:
            urgent = self.urgent.is_set()
            self.urgent.clear()
            for partition, waiting in list(self._view.waiting.items()):
                if self._view.waiting.get(partition) is waiting:  # not let go or built again meanwhile
                    await self._save(partition, waiting, worker, urgent)
            self._shrink()

    async def _save(self, partition: PartitionId, waiting: Waiting, worker: str, urgent: bool) -> None:
        since, at = waiting.stored, self._view.fold.log_offset
        now = asyncio.get_running_loop().time()
        many = len(waiting.changed) + len(waiting.removed) > MANY
        if since is not None and many and not urgent and now < self._saved.get(partition, 0.0) + SELDOM:
            return
        idle = not (waiting.changed or waiting.removed or waiting.touched)
        if since is not None and (at <= since or (idle and at < since + REFRESH)):
            return
        if since is None and len(waiting.elsewhere):
            self.lost.add(partition)
            return
        if since is None and self._view.lets_go(partition):
            return
        fold = self._view.fold
        standing = fold.standings[partition]
        about = self._about(
            waiting.counted,
            log_offset=at,
            after=standing.after,
            next=fold.next[partition],
            label_next=standing.label_next,
            waiting=standing.waiting,
            saved_by=worker,
        )
        self._saved[partition] = now
        await self._write(partition, waiting, about)

    async def _write(self, partition: PartitionId, waiting: Waiting, about: dict[str, str]) -> None:
        """Save what changed since the last save, or all if there was none, as of a log offset."""
        since = waiting.stored
        changed, removed = waiting.begin_save(whole=since is None)
        rows, served = waiting.rows.of(np.fromiter(changed.values(), np.int64, len(changed)))
        save = WaitingSave(about, stored.Samples(list(changed), rows, served), removed, since)
        try:
            answer = await self._store.save(self.model, partition.partition, save)
        except BaseException:
            waiting.save_failed(changed, removed)
            raise
        if answer == "saved":
            waiting.stored = int(about["log_offset"])
        else:
            waiting.save_failed(changed, removed)
            if answer == "full":
                waiting.stored = None

    def _about(self, counted: Counted, **at: object) -> dict[str, str]:
        early, joined, clocks = counted
        json = msgspec.json.encode
        fields: dict[str, object] = {
            **at,
            "log_topic_id": self._topic_id,
            "sample_time": clocks[0],
            "label_time": clocks[1],
            "early": json(list(early.values())).decode(),
            "joined": json(list(joined)).decode(),
        }
        return {name: str(value) for name, value in fields.items()}

    def _shrink(self) -> None:
        """Forget rows that the store has, those that wait for longest, until the others fit in memory."""
        for waiting in self._view.waiting.values():
            self._let_go(waiting, len(self._view.waiting))

    def _let_go(self, waiting: Waiting, partitions: int) -> None:
        share = MEMORY_BYTES // max(1, partitions)
        while waiting.rows.nbytes > share and waiting.let_go(max(1000, len(waiting.rows) // 8)):
            pass

    # From the store

    async def recall(self, partition: PartitionId, ids: list[str]) -> bool:
        """Bring samples that wait in the store alone back into memory; False if the store lost one of them.

        Raises StoreUnavailable.
        """
        found = await self._store.samples(self.model, partition.partition, ids)
        waiting = self._view.waiting[partition]
        still = [i for i, one in enumerate(ids) if waiting.elsewhere.find([one])] if ids else []
        try:
            rows, served = self._decode([found[i] for i in still])
        except _LOST:
            self.lost.add(partition)
            return False
        waiting.recall([ids[i] for i in still], rows, served)
        return True

    def _decode(self, found: list[bytes | None]) -> tuple[Rows, Any]:
        samples = [one for one in found if one is not None]
        if len(samples) < len(found):
            raise LookupError(f"{len(found) - len(samples)} samples are not in the store")
        return stored.decode(samples, self._columns, self._spec.outputs, self._codes)

    # A partition that this worker is given

    async def load(self, partition: PartitionId) -> None:
        """Build what waits in a partition, up to where the fold stands; raises LogError."""
        if partition not in self.lost and partition in self._view.waiting:
            return  # kept up to date since it was ours
        self.lost.discard(partition)
        self._view.waiting.pop(partition, None)
        if not await self._build(partition, with_store=True):
            logger(model=self.model).warning(
                "Redis has other samples that wait than the learning log tells: they are built from there",
                partition=str(partition),
            )  # fmt: skip
            await self._build(partition, with_store=False)

    async def _build(self, partition: PartitionId, with_store: bool) -> bool:
        """As `load`; False, and nothing is there, if what the store had cannot have been right."""
        share = REMEMBERED // max(1, len(self._view.fold.next))
        waiting = Waiting(self._empty(), self._spec.outputs, max(share, 100))
        begin = await self._restore(partition, waiting) if with_store else _START
        at = await self._catch_up(partition, waiting, begin)
        async with self.hold():  # or the fold would go on and on meanwhile, with other partitions' records
            while at[0] < self._view.fold.log_offset:
                at = await self._catch_up(partition, waiting, at)
            standing = self._view.fold.standings[partition]
            right = (waiting.count, len(waiting.early)) == (standing.waiting, standing.early)
            if begin != _START and not right:
                return False
            self._view.waiting[partition] = waiting
        if not right:
            logger(model=self.model).warning(
                "samples that waited are in neither Redis nor the learning log any more: "
                "their labels will find nothing",
                partition=str(partition), expected=standing.waiting, found=waiting.count,
            )  # fmt: skip
        return True

    def keep(self, partitions: Iterable[PartitionId]) -> None:
        """Forget what waits in all partitions but these."""
        kept = set(partitions)
        for partition in self._view.waiting.keys() - kept:
            del self._view.waiting[partition]

    async def _restore(self, partition: PartitionId, waiting: Waiting) -> Place:
        """Begin with what the store has; returns what this is as of, _START if there is nothing."""
        fold = self._view.fold
        try:
            about = await self._store.about(self.model, partition.partition)
            offset = int(about.get("log_offset", "-1"))
            if about.get("log_topic_id") != self._topic_id or not 0 <= offset <= fold.log_offset:
                return _START
            after, clocks = about["after"], (int(about["sample_time"]), int(about["label_time"]))
            early, joined = _early(about["early"]), _ids(about["joined"])
            ids, samples = list[str](), list[Int64]()
            async for page in self._store.scan(self.model, partition.partition):
                ids += page
                samples.append(stored.times(list(page.values())))
            at = np.concatenate([np.zeros(0, dtype=np.int64), *samples])
            if len(ids) != int(about["waiting"]):  # a page may repeat what another had
                once = dict(zip(ids, at.tolist(), strict=True))
                ids, at = list(once), np.fromiter(once.values(), np.int64, len(once))
            waiting.elsewhere.add(ids, at)
            again = await self._store.about(self.model, partition.partition)
            if again.get("log_offset") != about["log_offset"] or len(waiting.elsewhere) != int(
                about["waiting"]
            ):
                raise LookupError("it changed while it was read")
        except StoreUnavailable as error:
            logger(model=self.model).warning(
                "what waits is built from the learning log", partition=str(partition), reason=str(error)
            )
            waiting.elsewhere.clear()
            return _START
        except _LOST:
            waiting.elsewhere.clear()
            return _START
        waiting.restore(early, joined, clocks)
        waiting.stored = offset
        return offset, after

    async def _catch_up(self, partition: PartitionId, waiting: Waiting, since: Place) -> Place:
        """Apply the records of the partition that counted, from a place to the fold; returns that."""
        until, last = self._view.fold.log_offset, self._view.fold.standings[partition].after
        begin, first = since
        if begin >= until:
            return since
        reader = self._another_reader()
        try:
            await reader.start()
            begin = max(begin, (await reader.bounds())[0])
            counted = await self._counted(reader, partition, (begin, until), first, last)
            if counted:
                reader.stand(min(counted))
                async for record in _records(reader, max(counted) + 1):
                    if record.offset in counted and record.kind == "data":
                        facts = Facts.of(record)
                        late = self._view.fold.decode_late(record)
                        waiting.apply(late, (facts.sample_time, facts.label_time))
                        if waiting.rows.nbytes > 2 * MEMORY_BYTES:
                            await self._spill(partition, waiting, record)
        finally:
            await reader.stop()
        return until, last

    async def _spill(self, partition: PartitionId, waiting: Waiting, record: LogRecord) -> None:
        """Give the store what waits behind a record that was just applied, so that it fits in memory.

        A store that does not answer is asked again at the next record: memory grows meanwhile. One that has
        lost what it was given before is not given a part of it.
        """
        if waiting.stored is None and len(waiting.elsewhere):
            return
        about = self._about(
            waiting.counted,
            log_offset=record.offset + 1,
            after=named(record),
            next=record.number("to"),
            label_next=record.number("label_to"),
            waiting=waiting.count,
            saved_by=self._view.worker,
        )
        with contextlib.suppress(StoreUnavailable):
            await self._write(partition, waiting, about)
        if waiting.stored is not None:
            self._let_go(waiting, 1)

    async def _counted(
        self, reader: LogReader, partition: PartitionId, between: tuple[int, int], first: str, last: str
    ) -> set[int]:
        """Log offsets of the partition's records that counted, `between` those, behind the one named `first`.

        A producer may have written a record twice: the one that counted is the earlier of those behind the
        record before it.
        """
        found: dict[str, tuple[list[int], str]] = {}
        reader.stand(between[0])
        async for record in _records(reader, between[1]):
            try:
                if record.kind in ("data", "hole") and record.partition() == partition:
                    after = record.headers.get("after", "")
                    found.setdefault(named(record), ([], after))[0].append(record.offset)
            except Undecodable:
                continue
        chain = list[list[int]]()
        while last != first and last in found:
            offsets, last = found.pop(last)
            chain.append(offsets)
        counted = list[int]()
        for offsets in reversed(chain):
            counted += [offset for offset in offsets if not counted or offset > counted[-1]][:1]
        return set(counted)

    def _empty(self) -> Rows:
        rows, _ = stored.decode([], self._columns, self._spec.outputs, self._codes)
        return rows


_LOST = (LookupError, ValueError, msgspec.MsgspecError)
"""What reading may raise that no save has written."""


async def _records(reader: LogReader, until: int) -> Any:
    """Records of the log before an offset."""
    while True:
        for record in await next_records(reader):
            if record.offset >= until:
                return
            yield record
            if record.offset == until - 1:
                return
        await asyncio.sleep(0)
