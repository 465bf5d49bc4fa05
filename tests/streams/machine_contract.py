"""The contract of the learning log written plainly: one reader, one record after the other, no undo.

Everything that the machine (tests/streams/test_machine.py) compares workers with stands here.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from hashlib import blake2b

from models.model import Model
from models.spec import ModelSpec
from streams.data_codec import DataCodec
from streams.fold import Fold
from streams.log_format import LogRecord, PartitionId, Undecodable


@dataclass(frozen=True)
class State:
    """What all who have read the log to the same offset have in common."""

    tensors: str
    next: dict[PartitionId, int]
    learned: int
    dead_letters: int

    @classmethod
    def of(cls, fold: Fold) -> State:
        """A worker's, without what is pending; samples that were refused or came while halted count too."""
        learned = fold.samples_learned + fold.refused + fold.skipped
        return cls(tensor_digest(fold.model), dict(fold.next), learned, fold.dead_letters)


class PlainFold:
    """Ten lines of contract; `states[k]` is the state at log offset k."""

    def __init__(self, spec: ModelSpec) -> None:
        self.model, self.codec = Model(spec), DataCodec(spec)
        self.next: dict[PartitionId, int] = {}
        self.learned: defaultdict[int, list[int]] = defaultdict(list)
        """Partition → offsets of its samples, in the order in which they were learned."""
        self.dead_letters = 0
        self.wasted = 0
        """Data records that did not count."""
        self.states = [self.state()]

    def read(self, record: LogRecord) -> None:
        """The next record of the log."""
        if record.kind == "open":
            self.next.setdefault(record.partition(), record.number("next"))
        elif record.kind == "resume" and self.model.halted():
            self.model.resume()
        elif record.kind == "data":
            self._data(record)
        self.states.append(self.state())

    def _data(self, record: LogRecord) -> None:
        partition = record.partition()
        if not self.next.get(partition) == record.number("from") < record.number("to"):
            self.wasted += 1
            return
        try:
            rows, served = self.codec.decode(record.value)
        except Undecodable:
            return
        self.model.learn(rows, served, keep_undo=False)
        self.next[partition] = record.number("to")
        self.dead_letters += record.number("dead_letters")
        self.learned[partition.partition] += rows.offsets.tolist()

    def state(self) -> State:
        """The state as it is now."""
        learned = sum(map(len, self.learned.values()))
        return State(tensor_digest(self.model), dict(self.next), learned, self.dead_letters)


def tensor_digest(model: Model) -> str:
    """Digest of the bytes of all tensors, without what is pending; apart from the product's own digest."""
    whole = blake2b(digest_size=16)
    for name, tensor in sorted(model.tensors().items()):
        whole.update(f"{name}{tensor.shape}".encode())
        whole.update(tensor.tobytes())
    return whole.hexdigest()
