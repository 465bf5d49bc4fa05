"""The fold of a learning log: what every reader does with each record, in log order.

`Fold` keeps what is not a tensor: the log offset, each input partition's next offset, counts, names. The
tensors are the model's. Nothing here knows Kafka, Redis, a clock or a random number.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import msgspec
import numpy as np

from models.errors import GradstreamError
from models.model import Model
from models.rows import Float64, Rows
from models.spec import FOLD_VERSION, ModelSpec
from streams.data_codec import DataCodec
from streams.log_format import LogRecord, PartitionId, Undecodable

MAX_NAMES = 100_000
"""Names of hashed features that are kept; above it the lighter half is forgotten."""
KEPT_REFUSED = 100


class GenesisError(GradstreamError):
    """The log was begun with another specification, fold or kernel than this worker has."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A valid sample whose update was refused (rule 6), and why."""

    topic: str
    partition: int
    offset: int
    reason: str


@dataclass(slots=True)
class Fold:
    """State of one model at `log_offset` of its learning log, without the tensors.

    log_offset: offset of the next log record to read; last_worker and last_seq name the one before it.
    """

    model: Model
    codec: DataCodec
    log_offset: int = 0
    last_worker: str = ""
    last_seq: int = -1
    genesis: bytes | None = None
    next: dict[PartitionId, int] = field(default_factory=dict)
    samples_learned: int = 0
    dead_letters: int = 0
    ignored: int = 0
    undecodable: int = 0
    refused: int = 0
    skipped: int = 0
    holes: list[dict[str, Any]] = field(default_factory=list)
    last_refused: deque[Refused] = field(default_factory=lambda: deque(maxlen=KEPT_REFUSED))
    names: dict[int, str] = field(default_factory=dict)
    names_changed: bool = True

    def read(self, record: LogRecord) -> None:
        """Note that `record` is behind; comes before everything else that is done with it."""
        self.log_offset = record.offset + 1
        self.last_worker = record.worker
        self.last_seq = record.seq

    def counts(self, record: LogRecord) -> bool:
        """Rule 3: whether a `data` or `hole` record starts where its partition stands, and goes on."""
        partition = record.partition()
        start, stop = record.number("from"), record.number("to")
        return self.next.get(partition) == start and stop > start

    def begin(self, record: LogRecord) -> None:
        """Rule 1: the first genesis counts."""
        if self.genesis is None:
            self.genesis = record.value or b""
        else:
            self.ignored += 1

    def open(self, record: LogRecord) -> None:
        """Rule 2: the first `open` of a partition sets its next offset."""
        partition, start = record.partition(), record.number("next")
        if partition in self.next:
            self.ignored += 1
        else:
            self.next[partition] = start

    def advance(self, record: LogRecord, names: dict[int, str]) -> PartitionId:
        """Move past a record that counts; its samples are learned apart (`learned`)."""
        partition = record.partition()
        self.next[partition] = record.number("to")
        if record.kind == "hole":
            self.holes.append(
                {"partition": str(partition), "from": record.number("from"), "to": record.number("to")}
            )
        else:
            self.dead_letters += record.number("dead_letters")
            self._name(names)
        return partition

    def learned(
        self, partition: PartitionId, rows: Rows, refused: Sequence[tuple[int, str]], skipped: int
    ) -> None:
        """Count the samples of a record that counted, those that were refused or came while halted apart."""
        self.samples_learned += len(rows) - len(refused) - skipped
        self.refused += len(refused)
        self.skipped += skipped
        for row, reason in refused:
            offset = int(rows.offsets[row])
            self.last_refused.append(Refused(partition.topic, partition.partition, offset, reason))

    def decode(self, record: LogRecord) -> tuple[Rows, Float64]:
        """The samples of a data record; raises Undecodable."""
        if record.number("dead_letters") > record.number("to") - record.number("from"):
            raise Undecodable(f"{record.number('dead_letters')} dead letters in a range that is shorter")
        rows, served = self.codec.decode(record.value)
        if record.number("samples") != len(rows):
            raise Undecodable(f"{len(rows)} rows, header 'samples' says {record.number('samples')}")
        return rows, served

    def digest(self) -> str:
        """Hex digest of all that decides what the fold does next: tensors, next offsets, counts."""
        opened = sorted((p.topic, p.topic_id, p.partition, at) for p, at in self.next.items())
        counts = (self.samples_learned, self.dead_letters, self.refused, self.skipped, self.ignored)
        text = msgspec.json.encode((self.model.digest(), opened, counts, self.undecodable))
        return blake2b(text, digest_size=16).hexdigest()

    def too_many_names(self) -> bool:
        """Whether `prune_names` is due; it needs the model's tensors at exactly this log offset."""
        return len(self.names) > MAX_NAMES

    def prune_names(self) -> None:
        """Keep the names of the heavier half of the weights, so that the table stays bounded."""
        hashes = np.fromiter(self.names, dtype=np.int64, count=len(self.names))
        weight = self.model.heaviness(hashes)
        heaviest = np.lexsort((hashes, -weight))[: MAX_NAMES // 2]
        self.names = {int(h): self.names[int(h)] for h in hashes[np.sort(heaviest)]}
        self.names_changed = True

    def _name(self, names: dict[int, str]) -> None:
        new = {h: name for h, name in names.items() if h not in self.names}
        if new:
            self.names.update(new)
            self.names_changed = True


def genesis_value(spec: ModelSpec, self_test: str) -> bytes:
    """The body of a genesis record."""
    body = {"spec": msgspec.to_builtins(spec), "fold_version": FOLD_VERSION, "self_test": self_test}
    return msgspec.json.encode(body, order="sorted")


def begun_with(genesis: bytes) -> ModelSpec | None:
    """The specification in a genesis record's body; None if it is none that this release can read."""
    try:
        return msgspec.convert(msgspec.json.decode(genesis)["spec"], ModelSpec)
    except (msgspec.MsgspecError, KeyError, TypeError):
        return None


def check_genesis(found: bytes, spec: ModelSpec, self_test: str, name: str) -> None:
    """Raise GenesisError where the log's genesis differs from this worker's, and say in what."""
    mine = msgspec.json.decode(genesis_value(spec, self_test))
    try:
        theirs = msgspec.json.decode(found)
        begun = begun_with(found)
        if begun is not None:  # with what a later release added, as the log is read
            theirs["spec"] = msgspec.json.decode(begun.to_json())
        # The task first: what is derived from it differs with it.
        differences = sorted(_differences(theirs, mine, ""), key=lambda text: not text.startswith("task "))
    except (msgspec.DecodeError, AttributeError, TypeError):
        differences = ["the genesis record is not readable"]
    if differences:
        raise GenesisError(
            f"model {name}: its learning log was begun with other settings: {', '.join(differences[:3])}"
            + (f" (and {len(differences) - 3} more)" if len(differences) > 3 else "")
            + f"; put it back, choose a new model name, or forget the model: gradstream reset {name}"
        )


def _differences(theirs: Any, mine: Any, path: str) -> list[str]:
    if isinstance(theirs, dict) and isinstance(mine, dict):
        keys = sorted(theirs.keys() | mine.keys())
        return [d for key in keys for d in _differences(theirs.get(key), mine.get(key), f"{path}.{key}")]
    if theirs == mine:
        return []
    shown = path.lstrip(".").removeprefix("spec.")
    return [f"{shown} was {msgspec.json.encode(theirs).decode()}, now {msgspec.json.encode(mine).decode()}"]
