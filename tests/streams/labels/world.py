"""Samples, labels and workers of one late-label partition on a log in memory, driven step by step by tests.

A sample, and a label, is named by its offset in its topic. A worker processes what comes next, sends what is
pending, reads records, lets rows go to a store, crashes; several may believe that the partition is theirs.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from models.rows import Rows
from models.spec import FeatureSpec, ModelSpec, NumericFeature
from streams.fold import genesis_value
from streams.ingest import Ingest
from streams.labels import stored
from streams.labels.codec import NEVER
from streams.labels.fold import LateFold
from streams.labels.join import Join
from streams.labels.messages import LabelBatch, LabelIngest
from streams.labels.plain import Rules
from streams.labels.view import LateBatch, LateView, new_fold
from streams.labels.waiting import Waiting
from streams.log_format import LogRecord, PartitionId
from tests.streams.machine_world import RawRecord
from tests.streams.simulation import SharedLog

SPEC = ModelSpec(
    task="binary",
    classes=(0, 1),
    features=FeatureSpec(numeric=(NumericFeature("x"),), categorical=("c",), hash_bits=6),
    late_labels=True,
)
P = PartitionId("samples", "id of samples", 0)
LABELS = {"label_topic": "labels", "label_topic_id": "id of labels"}


@dataclass(frozen=True)
class Sample:
    """What is sent; its features follow from its offset."""

    id: str
    time: int
    own: int | None = None
    weight: float = 1.0


@dataclass(frozen=True)
class Label:
    """What is sent."""

    id: str
    time: int
    label: int = 1
    weight: float = 1.0
    correction: bool = False


@dataclass(frozen=True)
class Cut:
    """A batch: samples and labels by their offsets, and whether the broker had no more labels."""

    samples: range
    labels: range
    ended: bool


@dataclass
class World:
    """Both topics, the log, and which batches stand in which of its records."""

    samples: Sequence[Sample]
    labels: Sequence[Label]
    rules: Rules
    remembered: int = 1000
    log: SharedLog = field(default_factory=SharedLog)
    cuts: dict[tuple[str, int], list[Cut]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.log.append("genesis", "founder", 0, genesis_value(SPEC, "test"))
        self.log.append("open", "founder", 1, None, **P.headers(), next=0, **LABELS, label_next=0)
        self.sample_records = [
            _record(i, {"id": one.id, "timestamp": one.time, "label": one.own, "weight": one.weight,
                        "features": {"x": i % 5 - 2, "c": f"c{i % 3}"}})
            for i, one in enumerate(self.samples)
        ]  # fmt: skip
        self.label_records = [
            _record(i, {"id": one.id, "timestamp": one.time, "label": one.label, "weight": one.weight,
                        "correction": one.correction})
            for i, one in enumerate(self.labels)
        ]  # fmt: skip

    def counted(self) -> list[LogRecord]:
        """The data records that count, as a reader of the log is told by the product's fold."""
        fold, found = new_fold(SPEC), []
        assert isinstance(fold, LateFold)
        for record in self.log.records:
            if record.kind == "open":
                fold.open(record)
            elif record.kind == "data" and fold.counts(record):
                fold.advance(record, {})
                found.append(record)
        return found

    def batches(self) -> list[Cut]:
        """All batches that count, in order."""
        return [cut for record in self.counted() for cut in self.cuts[record.worker, record.seq]]


def _record(offset: int, body: dict[str, object]) -> RawRecord:
    return RawRecord(offset, 0, body["id"].encode(), json.dumps(body).encode(), [("h", b"1")])  # type: ignore[attr-defined]


class Worker:
    """One that owns the partition, or believes so."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.refused: dict[tuple[str, int], list[tuple[str, int, str]]] = {}
        self.start()

    def start(self) -> None:
        """A new process: nothing is left but the log."""
        self.view = LateView(_late_fold(), str(uuid.uuid4()))
        self.view.waiting[P] = Waiting(no_rows(), SPEC.outputs, self.world.remembered)
        self.ingest, self.label_ingest = Ingest("m", SPEC), LabelIngest(SPEC)
        self.store: dict[str, bytes] = {}
        self.at: tuple[int, int] | None = None
        self._cuts: dict[int, Cut] = {}  # of pending batches, by id()
        self._letters: dict[int, list[tuple[str, int, str]]] = {}

    @property
    def waiting(self) -> Waiting:
        """What waits, as it sees it."""
        return self.view.waiting[P]

    def stand(self) -> bool:
        """Go on where the fold stands, once all is read back that it has sent (rule 11)."""
        if self.at is None and self.view.unread[P] <= 0 and P in self.view.fold.next:
            self.view.drop(P)
            self.at = (self.view.fold.next[P], self.view.fold.standings[P].label_next)
        return self.at is not None

    def process(self, samples: int, labels: int, ended: bool = False) -> bool:
        """One batch of at most so many samples and labels; whether there was anything."""
        if self.at is None:
            return False
        world, (s, k) = self.world, self.at
        stop, label_stop = min(s + samples, len(world.samples)), min(k + labels, len(world.labels))
        if (stop, label_stop) == (s, k):
            return False
        ingested = self.ingest.decode(P.topic, P.partition, world.sample_records[s:stop])
        batch = self.label_ingest.decode(k, label_stop, world.label_records[k:label_stop])
        self._recall(ingested.rows, batch, ended)
        join = Join(self.waiting, world.rules, ingested, world.sample_records.__getitem__, batch, ended)
        self._push(join, (s, stop), batch)
        self._cuts[id(self.view.pending[-1])] = Cut(range(s, stop), range(k, label_stop), ended)
        self.at = (stop, label_stop)
        return True

    def _push(self, join: Join, samples: tuple[int, int], labels: LabelBatch) -> None:
        """As LateProcessor does; nothing is sent but the record."""
        rows, served, origin = join.rows()
        learned = self.view.join(rows, served, origin)
        predicted, at = join.predicted()
        assert (rows.offsets[at] == predicted.rows.offsets).all()
        late = join.late_rows(rows, learned.served)
        self.waiting.clocks = join.change.clocks
        letters = [(P.topic, one.record.offset, one.exception) for one in join.dead_samples]
        letters += [("labels", one.record.offset, one.exception) for one in join.dead_labels]
        where = np.cumsum(~np.isnan(rows.labels)) - 1
        batch = LateBatch(
            partition=P, start=samples[0], stop=samples[1], rows=late.rows.select(late.labelled),
            served=late.served[late.labelled], dead_letters=len(letters), undo=learned.undo,
            refused=[(int(where[row]), reason) for row, reason in learned.refused], skipped=learned.skipped,
            label_start=labels.start, label_stop=labels.stop, late=late, facts=join.facts(),
            change=join.change,
        )  # fmt: skip
        self.view.push(batch)
        self._letters[id(batch)] = letters

    def send(self, most: int, lost: bool = False) -> LogRecord | None:
        """Append the first unsent batch and `most` - 1 behind it; a lost record never arrives (rule 12)."""
        group = [batch for batch in self.view.pending if batch.seq is None][:most]
        if not group:
            return None
        seq = self.view.next_seq()
        names = self.view.take_names(100)
        group[0].names = names
        value, headers = self.view.record_of(group, names)
        self.view.sent(group, seq)
        if lost:
            self.view.drop_all()
            self.view.producer_closed()
            self.at = None
            return None
        key = self.view.worker, seq
        self.world.cuts[key] = [self._cuts.pop(id(batch)) for batch in group]
        self.refused[key] = [letter for batch in group for letter in self._letters.pop(id(batch))]
        self.world.log.append("data", self.view.worker, seq, value, **headers)
        return self.world.log.records[-1]

    def read(self, most: int | None = None) -> None:
        """Fold the next records."""
        at = self.view.fold.log_offset
        records = self.world.log.records[at : None if most is None else at + most]
        dropped = self.view.fold_run(records).dropped
        standing = self.view.fold.standings.get(P)
        moved = standing is not None and self.at != (self.view.fold.next[P], standing.label_next)
        if dropped or (moved and not self.view.pending):
            self.at = None

    # The store

    def save(self) -> None:
        """Put what counted into the store."""
        changed, removed = self.waiting.begin_save(whole=False)
        rows, served = self.waiting.rows.of(np.fromiter(changed.values(), np.int64, len(changed)))
        for id_ in removed:
            self.store.pop(id_, None)
        self.store |= dict(zip(changed, stored.encode(rows, served), strict=True))

    def shrink(self, count: int) -> int:
        """Forget rows that the store has."""
        return self.waiting.let_go(count)

    def _recall(self, rows: Rows, labels: LabelBatch, ended: bool) -> None:
        """Have in memory what a batch needs, as LateProcessor does."""
        waiting, rules = self.waiting, self.world.rules
        ids = waiting.elsewhere.find(labels.ids)
        if rules.negative:
            s = max(waiting.clocks[0], int(rows.timestamps.max(initial=NEVER)))
            k = max(waiting.clocks[1], int(labels.times.max(initial=NEVER)))
            ids += waiting.elsewhere.older((max(s, k) if ended else k) - rules.patience - rules.horizon, 1000)
        ids = list(dict.fromkeys(ids))
        found, served = stored.decode([self.store[one] for one in ids], 1, SPEC.outputs, 0)
        waiting.recall(ids, found, served)

    def whole(self) -> dict[str, bytes]:
        """All that waits, as the store has it or would have it: id → sample."""
        index = self.waiting.index
        rows, served = self.waiting.rows.of(np.fromiter(index.values(), np.int64, len(index)))
        here = dict(zip(index, stored.encode(rows, served), strict=True))
        away = self.waiting.elsewhere.first(len(self.waiting.elsewhere))
        assert not here.keys() & set(away)
        return here | {one: self.store[one] for one in away}


def _late_fold() -> LateFold:
    fold = new_fold(SPEC)
    assert isinstance(fold, LateFold)
    return fold


def no_rows() -> Rows:
    """Rows of the model's shape, none of them."""
    rows, _ = stored.decode([], 1, SPEC.outputs, 0)
    return rows
