"""A worker's view of a model: the fold of the log plus its own batches that have not come back (pending).

Pending batches are learned at once, so that a worker predicts with all that it has seen. When another
worker's record comes first, pending is undone, that record folded, and pending learned again on top, as
`git rebase` does: not before the next prediction needs it, since more may come until then, and a batch whose
own record comes meanwhile is learned for good instead. Everything here is synchronous and free of Kafka:
tests drive it directly.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from models.model import Learned, Model
from models.rows import Float64, Rows
from models.undo import Undo
from streams.fold import MAX_NAMES, Fold
from streams.log_format import Body, LogRecord, PartitionId, Undecodable


@dataclass(slots=True, eq=False)
class Batch:
    """A processed batch of one input partition, [start, stop), until its record has come back."""

    partition: PartitionId
    start: int
    stop: int
    rows: Rows  # the labelled samples alone
    served: Float64  # their predictions as they went out
    dead_letters: int
    undo: Undo | None = None
    refused: list[tuple[int, str]] = field(default_factory=list)
    skipped: int = 0
    seq: int | None = None  # of the log record that it was sent in
    names: dict[int, str] = field(default_factory=dict)  # sent with it
    outgoing_bytes: int = 0  # about what its predictions and dead letters hold in memory
    made: float = 0.0  # when it was processed, by the event loop's clock
    nbytes: int = field(init=False)
    """About what it holds in memory, and takes in the log."""

    def __post_init__(self) -> None:
        self.nbytes = 512 + self.rows.nbytes


@dataclass(slots=True)
class Outcome:
    """What a run of log records did.

    dropped: partitions whose pending was dropped; digests: log offset and the fold's digest there.
    """

    dropped: set[PartitionId] = field(default_factory=set)
    digests: list[tuple[int, str]] = field(default_factory=list)


def among(labelled: npt.NDArray[np.bool_], refused: Sequence[tuple[int, str]]) -> list[tuple[int, str]]:
    """Refused rows of a batch by their place among the labelled ones."""
    if not refused:
        return []
    places = np.cumsum(labelled) - 1
    return [(int(places[row]), reason) for row, reason in refused]


class View:
    """Fold plus pending of one model in one worker."""

    def __init__(self, fold: Fold, worker: str, audit_every: int = 0) -> None:
        """`audit_every`: a run of records notes the fold's digest at each multiple of it; 0: never."""
        self.fold = fold
        self.worker = worker
        self._audit_every = audit_every
        self.pending: deque[Batch] = deque()
        self.unread: Counter[PartitionId] = Counter()
        self._seq_partition: dict[int, PartitionId] = {}
        self._undone = False
        self.samples_redone = 0
        self.unsent_names: dict[int, str] = {}
        self._seq = 0

    def next_seq(self) -> int:
        """The number of this worker's next log record."""
        self._seq += 1
        return self._seq - 1

    @property
    def model(self) -> Model:
        """The tensors: of the fold, with pending on top unless it is undone at the moment."""
        return self.fold.model

    def predict_and_learn(self, rows: Rows) -> Learned:
        """Predict every sample, then learn from it if it is labelled, in order; pending is learned before."""
        self._redo()
        learned = self.model.predict_and_learn(rows)
        self._note_names(rows)
        return learned

    def _note_names(self, rows: Rows) -> None:
        """Names that are to go out with the next records."""
        for hash_, name in rows.names.items():
            if hash_ not in self.fold.names and len(self.unsent_names) < MAX_NAMES:
                self.unsent_names[hash_] = name

    def push(self, batch: Batch) -> None:
        """Add a learned batch at the end of pending."""
        self.pending.append(batch)

    def take_names(self, most: int) -> dict[int, str]:
        """Up to `most` names of hashed features that the log does not know yet, to be sent with a record."""
        taken: dict[int, str] = {}
        for hash_ in list(self.unsent_names)[:most]:
            name = self.unsent_names.pop(hash_)
            if hash_ not in self.fold.names:
                taken[hash_] = name
        return taken

    def record_of(self, group: Sequence[Batch], names: dict[int, str]) -> tuple[Body, dict[str, object]]:
        """Body and headers of the data record in which the neighbours `group` leave."""
        value = self.fold.codec.encode_all([(batch.rows, batch.served) for batch in group], names)
        return value, self._range(group)

    def _range(self, group: Sequence[Batch]) -> dict[str, object]:
        return {
            **group[0].partition.headers(),
            "from_": group[0].start,
            "to": group[-1].stop,
            "samples": sum(len(batch.rows) for batch in group),
            "dead_letters": sum(batch.dead_letters for batch in group),
        }

    def sent(self, group: Sequence[Batch], seq: int) -> None:
        """Note that the neighbours `group` leave in the log record `seq`."""
        for batch in group:
            batch.seq = seq
        self._seq_partition[seq] = group[0].partition
        self.unread[group[0].partition] += 1

    def producer_closed(self) -> None:
        """Nothing more that this worker sent will be waited for (rule 11)."""
        self._seq_partition.clear()
        self.unread.clear()

    def fold_run(self, records: Sequence[LogRecord]) -> Outcome:
        """Fold records in log order; pending that foreign ones have undone is redone when it is needed."""
        outcome = Outcome()
        for record in records:
            self._fold_one(record, outcome)
            if self._audit_every and self.fold.log_offset % self._audit_every == 0:
                outcome.digests.append((self.fold.log_offset, self.fold.digest()))
        return outcome

    def drop(self, partition: PartitionId) -> None:
        """Forget what is pending for a partition; the caller seeks it again."""
        if any(batch.partition == partition for batch in self.pending):
            self._undo_all()
            self._remove(partition)

    def drop_all(self) -> None:
        """Forget all that is pending."""
        self._undo_all()
        for partition in {batch.partition for batch in self.pending}:
            self._remove(partition)

    def _fold_one(self, record: LogRecord, outcome: Outcome) -> None:
        fold = self.fold
        fold.read(record)
        own = record.worker == self.worker
        if own and (partition := self._seq_partition.pop(record.seq, None)) is not None:
            self.unread[partition] -= 1
        try:
            if record.kind == "genesis":
                fold.begin(record)
            elif record.kind == "open":
                fold.open(record)
            elif record.kind == "resume":
                self._resume()
            elif not fold.counts(record):
                fold.ignored += 1
            elif own and self.pending and self.pending[0].seq == record.seq:
                self._confirm(record)
            else:
                self._fold_foreign(record, outcome)
        except Undecodable:
            fold.undecodable += 1
        if fold.too_many_names():
            self._undo_all()
            fold.prune_names()

    def _confirm(self, record: LogRecord) -> None:
        """Our own record at the head of pending: the view stands, unless it is undone at the moment."""
        names: dict[int, str] = {}
        while self.pending and self.pending[0].seq == record.seq:
            batch = self.pending.popleft()
            if self._undone:
                learned = self.model.learn(batch.rows, batch.served, keep_undo=False)
                batch.refused, batch.skipped = learned.refused, learned.skipped
                self.samples_redone += len(batch.rows)
            elif batch.undo is not None:
                self.model.forget(batch.undo)
            self._confirmed(batch)
            names |= batch.names
        self.fold.advance(record, names)

    def _confirmed(self, batch: Batch) -> None:
        """A batch has counted and is learned for good."""
        self.fold.learned(batch.partition, batch.rows, batch.refused, batch.skipped)

    def _fold_foreign(self, record: LogRecord, outcome: Outcome) -> None:
        fold = self.fold
        rows, served = fold.decode(record) if record.kind == "data" else (None, None)
        partition = fold.advance(record, rows.names if rows is not None else {})
        if rows is not None and len(rows):
            self._undo_all()
            assert served is not None
            learned = self.model.learn(rows, served, keep_undo=False)
            fold.learned(partition, rows, learned.refused, learned.skipped)
        first = next((b for b in self.pending if b.partition == partition), None)
        if first is not None and first.start != fold.next[partition]:
            self._undo_all()
            self._remove(partition)
            outcome.dropped.add(partition)

    def _resume(self) -> None:
        """The model learns again, if it had stopped."""
        if self.model.halted():
            self._undo_all()
            self.model.resume()
        else:
            self.fold.ignored += 1

    def _undo_all(self) -> None:
        if not self._undone:
            for batch in reversed(self.pending):
                if batch.undo is not None:
                    self.model.undo(batch.undo)
                    batch.undo = None
            self._undone = True

    def _redo(self) -> None:
        if not self._undone:
            return
        for batch in self.pending:
            learned = self.model.learn(batch.rows, batch.served, keep_undo=True)
            batch.undo, batch.refused, batch.skipped = learned.undo, learned.refused, learned.skipped
            self.samples_redone += len(batch.rows)
        self._undone = False

    def _remove(self, partition: PartitionId) -> None:
        """Take a partition's batches out of (undone) pending; their names are to be sent again."""
        for batch in self.pending:
            if batch.partition == partition:
                self.unsent_names.update(batch.names)
        self.pending = deque(batch for batch in self.pending if batch.partition != partition)
