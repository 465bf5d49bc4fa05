"""The view of a late-label model: as View, and what waits in the partitions that this worker owns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

from models.model import Learned, Model
from models.rows import Float64, Int64, Rows
from models.spec import ModelSpec
from streams.data_codec import DataCodec
from streams.fold import Fold
from streams.labels.codec import LateCodec, LateRows
from streams.labels.fold import Facts, LateFold
from streams.labels.waiting import Change, Waiting
from streams.log_format import LogRecord, PartitionId
from streams.view import Batch, Outcome, View


@dataclass(slots=True, eq=False)
class LateBatch(Batch):
    """A processed batch of both topics of a partition; `rows` and `served` are what is learned."""

    label_start: int = 0
    label_stop: int = 0
    late: LateRows | None = None
    facts: Facts = field(default_factory=Facts)
    change: Change = field(default_factory=Change)
    size: int = 0

    def __post_init__(self) -> None:
        self.nbytes = self.size


class LateView(View):
    """See the module."""

    fold: LateFold

    def __init__(self, fold: LateFold, worker: str, audit_every: int = 0) -> None:
        super().__init__(fold, worker, audit_every)
        self.waiting: dict[PartitionId, Waiting] = {}
        """Of partitions that this worker owns, as of the fold and what is pending."""

    def join(self, rows: Rows, served: Float64, origin: Int64) -> Learned:
        """Predict samples, learn from those that joined, in order (Model.join); pending is learned before."""
        self._redo()
        learned = self.model.join(rows, served, origin)
        self._note_names(rows)
        return learned

    def lets_go(self, partition: PartitionId) -> bool:
        """Whether a pending batch lets go of what is in the store alone: it waits until the batch counts."""
        pending = cast(Sequence[LateBatch], self.pending)
        return any(batch.change.gone for batch in pending if batch.partition == partition)

    def record_of(self, group: Sequence[Batch], names: dict[int, str]) -> tuple[bytes, dict[str, object]]:
        """See View.record_of."""
        batches = cast(Sequence[LateBatch], group)
        standing = self.fold.standings[group[0].partition]
        facts = batches[0].facts
        for batch in batches[1:]:
            facts = facts.then(batch.facts)
        rows = [batch.late for batch in batches if batch.late is not None]
        headers = self._range(group) | {
            "samples": sum(len(late.rows) for late in rows),
            "label_topic": standing.label_topic,
            "label_topic_id": standing.label_topic_id,
            "label_from": batches[0].label_start,
            "label_to": batches[-1].label_stop,
            "after": self._before(batches[0]),
            **facts.headers(),
        }
        return self.fold.late_codec.encode_late(rows, names), headers

    def _before(self, batch: Batch) -> str:
        """The record of the batch's partition that is to count before its own, as records name one."""
        before = self.fold.standings[batch.partition].after
        for other in self.pending:
            if other is batch:
                break
            if other.partition == batch.partition:
                before = f"{self.worker}:{other.seq}"
        return before

    def _confirmed(self, batch: Batch) -> None:
        super()._confirmed(batch)
        assert isinstance(batch, LateBatch)
        assert batch.late is not None
        self.fold.count(batch.late)
        if (waiting := self.waiting.get(batch.partition)) is not None:
            waiting.confirm(batch.change)

    def _fold_foreign(self, record: LogRecord, outcome: Outcome) -> None:
        fold = self.fold
        late = fold.decode_late(record) if record.kind == "data" else None
        partition = fold.advance(record, late.rows.names if late is not None else {})
        if any(batch.partition == partition for batch in self.pending):
            # They were computed from what waited before this record.
            self._undo_all()
            self._remove(partition)
            outcome.dropped.add(partition)
        if late is None:
            return
        if bool(late.labelled.any()):
            self._undo_all()
            learned = late.labelled
            rows = late.rows.select(learned)
            done = self.model.learn(rows, late.served[learned], keep_undo=False)
            fold.learned(partition, rows, done.refused, done.skipped)
        fold.count(late)
        if (waiting := self.waiting.get(partition)) is not None:
            waiting.apply(late, fold.standings[partition].clocks)

    def _remove(self, partition: PartitionId) -> None:
        waiting = self.waiting.get(partition)
        if waiting is not None:
            gone = [batch for batch in self.pending if batch.partition == partition]
            waiting.revert(batch.change for batch in gone if isinstance(batch, LateBatch))
        super()._remove(partition)


def new_fold(spec: ModelSpec) -> Fold:
    """The fold of a model that has read nothing."""
    if spec.late_labels:
        return LateFold(Model(spec), LateCodec(spec))
    return Fold(Model(spec), DataCodec(spec))


def view_of(fold: Fold, worker: str, audit_every: int = 0) -> View:
    """The view of a fold, of the kind that it needs."""
    if isinstance(fold, LateFold):
        return LateView(fold, worker, audit_every)
    return View(fold, worker, audit_every)
