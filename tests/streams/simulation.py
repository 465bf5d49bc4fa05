"""Workers that share a learning log in memory, driven step by step by tests. No Kafka, no tasks.

The log is a list. A worker processes the next samples of a partition it owns, sends what is pending, reads
records, crashes, wakes up as a zombie. The input of a partition is a long array of rows; a sample's offset is
its position in it.
"""

from __future__ import annotations

import uuid

import numpy as np

from models.model import Model
from models.rows import Rows
from models.spec import ModelSpec
from streams.data_codec import DataCodec
from streams.fold import Fold, genesis_value
from streams.log_format import LogRecord, PartitionId, envelope, parse_record
from streams.view import Batch, View


class SharedLog:
    """An append-only list of records."""

    def __init__(self) -> None:
        self.records: list[LogRecord] = []

    def append(self, kind: str, worker: str, seq: int, value: bytes | None, **headers: object) -> None:
        headers_ = envelope(worker, seq, **headers)
        self.records.append(parse_record(len(self.records), kind.encode(), value, headers_))


class SimulatedWorker:
    """One worker of the simulation: rules 8 to 12 in their simplest form."""

    def __init__(self, spec: ModelSpec, log: SharedLog, inputs: dict[PartitionId, Rows]) -> None:
        self.spec, self.log, self.inputs = spec, log, inputs
        self.start()

    def start(self) -> None:
        """A new process: nothing is left but the log."""
        self.view = View(Fold(Model(self.spec), DataCodec(self.spec)), str(uuid.uuid4()))
        self.positions: dict[PartitionId, int] = {}

    def take(self, partition: PartitionId) -> None:
        self.view.drop(partition)
        self.read()
        if partition not in self.view.fold.next:
            headers = {"topic": partition.topic, "topic_id": partition.topic_id}
            self.log.append(
                "open", self.view.worker, self.view.next_seq(), None, **headers,
                partition=partition.partition, next=0,
            )  # fmt: skip
            self.read()
        self.positions[partition] = self.view.fold.next[partition]

    def process(self, partition: PartitionId, size: int) -> None:
        start = self.positions.get(partition)
        if start is None:
            return
        stop = min(start + size, len(self.inputs[partition]))
        if stop == start:
            return
        rows = self.inputs[partition].slice(start, stop)
        learned = self.view.predict_and_learn(rows)
        labelled = ~np.isnan(rows.labels)
        where = np.cumsum(labelled) - 1
        self.view.push(
            Batch(partition, start, stop, rows.select(labelled), learned.served[labelled], 0, learned.undo,
                  [(int(where[row]), reason) for row, reason in learned.refused], learned.skipped)
        )  # fmt: skip
        self.positions[partition] = stop

    def send(self, most: int, lost: bool = False) -> LogRecord | None:
        """Append the first unsent batch and up to `most` - 1 neighbours; a lost one never arrives."""
        unsent = [b for b in self.view.pending if b.seq is None]
        if not unsent:
            return None
        group = []
        for batch in unsent[:most]:
            if batch.partition != unsent[0].partition:
                break
            group.append(batch)
        seq = self.view.next_seq()
        names = self.view.take_names(100)
        group[0].names = names
        value = self.view.fold.codec.encode_all([(b.rows, b.served) for b in group], names)
        self.view.sent(group, seq)
        if lost:  # rule 12: a doubtful append ends the producer
            self.view.drop_all()
            self.view.producer_closed()
            self.positions.clear()
            return None
        where = group[0].partition
        self.log.append(
            "data", self.view.worker, seq, value, topic=where.topic, topic_id=where.topic_id,
            partition=where.partition, from_=group[0].start, to=group[-1].stop,
            samples=sum(len(b.rows) for b in group), dead_letters=0,
        )  # fmt: skip
        return self.log.records[-1]

    def read(self, most: int | None = None) -> None:
        at = self.view.fold.log_offset
        run = self.log.records[at : None if most is None else at + most]
        for partition in self.view.fold_run(run).dropped | self._overtaken():
            self.positions.pop(partition, None)

    def _overtaken(self) -> set[PartitionId]:
        """As Processor has it: what would come next starts where the fold has been."""
        waiting = {batch.partition for batch in self.view.pending}
        following = self.view.fold.next
        return {p for p, at in self.positions.items() if p not in waiting and at != following[p]}

    def recover(self) -> None:
        """Put dropped partitions back on their feet once their echoes are read (rule 11)."""
        for partition in self.inputs:
            if partition in self.positions or partition not in self.view.fold.next:
                continue
            if self.view.unread[partition] <= 0 and not any(
                b.partition == partition for b in self.view.pending
            ):
                self.positions[partition] = self.view.fold.next[partition]


def begin(spec: ModelSpec, log: SharedLog) -> None:
    """The log's first record."""
    log.append("genesis", "founder", 0, genesis_value(spec, "test"))


def plain_fold(
    spec: ModelSpec, records: list[LogRecord]
) -> tuple[Model, dict[PartitionId, int], list[tuple[str, int]]]:
    """The contract in its plainest form: one reader, one record after the other, no pending, no undo.

    Returns the model, each partition's next offset, and (partition, offset) of samples as they were learned.
    """
    model, codec = Model(spec), DataCodec(spec)
    following: dict[PartitionId, int] = {}
    learned = []
    for record in records:
        if record.kind == "open":
            following.setdefault(record.partition(), record.number("next"))
        elif record.kind == "data":
            where = record.partition()
            if following.get(where) == record.number("from") < record.number("to"):
                following[where] = record.number("to")
                rows, served = codec.decode(record.value)
                model.learn(rows, served, keep_undo=False)
                learned += [(str(where), int(offset)) for offset in rows.offsets]
    return model, following, learned
