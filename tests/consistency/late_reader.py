"""What the learning log of a late-label model says to its plainest reader.

No code is shared with the product: headers, Arrow columns and `parts` are read as docs/learning-log.md
describes them. Whatever a record says that cannot be true of what came before it is noted as a problem.
"""

from __future__ import annotations

import io
import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

WAITS, JOINED, EXPIRED, OWN, AT_ONCE = range(5)
COUNTS = ("repeated", "unmatched", "corrections", "dropped", "dead_letters")
CLIP = 1e-15
"""How near to 0 and 1 a probability is taken in the log loss."""


@dataclass(frozen=True)
class Row:
    """One row of a data record that counted."""

    partition: int
    offset: int
    time: int
    label: float | None
    weight: float
    prediction: Any
    id: str
    event: int
    label_time: int | None
    features: tuple[Any, ...]

    @property
    def sample(self) -> tuple[Any, ...]:
        """What is the sample's alone, and the same in all of its rows."""
        return self.partition, self.offset, self.time, self.prediction, self.id, self.features


@dataclass
class Desk:
    """One partition: where it stands, and what lies there."""

    next: int
    label_next: int
    after: str = ""
    waiting: dict[str, Row] = field(default_factory=dict)
    early: dict[str, list[Any]] = field(default_factory=dict)


@dataclass
class LateLog:
    """The log so far."""

    desks: dict[int, Desk] = field(default_factory=dict)
    learned: list[Row] = field(default_factory=list)
    gone: list[tuple[int, str]] = field(default_factory=list)
    """Partition and id of samples that were let go without a label."""
    kept_early: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    holes: list[tuple[int, Mapping[str, str]]] = field(default_factory=list)
    counted: int = 0
    ignored: int = 0
    end: int = 0
    problems: list[str] = field(default_factory=list)

    def take(self, record: Any) -> None:
        """Read one record as a Kafka client gives it."""
        headers = {name: value.decode() for name, value in record.headers}
        self.read(record.offset, record.key.decode(), headers, record.value)

    def read(self, offset: int, kind: str, headers: Mapping[str, str], value: bytes | None) -> None:
        """Read one record: it counts from where its partition stands, behind the one that it names."""
        self.end = offset + 1
        if kind == "genesis":
            self.ignored += offset > 0
        if kind in ("genesis", "resume"):
            return
        partition = int(headers["partition"])
        if kind == "open":
            self.ignored += partition in self.desks
            self.desks.setdefault(partition, Desk(int(headers["next"]), int(headers["label_next"])))
            return
        desk = self.desks[partition]
        start, stop = int(headers["from"]), int(headers["to"])
        label_start, label_stop = int(headers["label_from"]), int(headers["label_to"])
        forward = stop >= start and label_stop >= label_start and (stop, label_stop) != (start, label_start)
        stands = (desk.next, desk.label_next, desk.after) == (start, label_start, headers["after"])
        if not (stands and forward):
            self.ignored += 1
            return
        self.counted += 1
        desk.next, desk.label_next = stop, label_stop
        desk.after = f"{headers['worker']}:{headers['seq']}"
        if kind == "hole":
            self.holes.append((partition, headers))
            return
        self.counts.update({name: int(headers[name]) for name in COUNTS})
        self._fold(partition, desk, value)
        for name, there in (("waiting", desk.waiting), ("early", desk.early)):
            self._expect(int(headers[name]) == len(there), f"{offset}: {name} {headers[name]}, {len(there)}")

    def _fold(self, partition: int, desk: Desk, value: bytes | None) -> None:
        rows, parts = rows_of(partition, value)
        for part in parts:
            these, rows = rows[: part["rows"]], rows[part["rows"] :]
            for row in these:
                if row.event != WAITS:
                    self._learn(desk, row)
            for id_ in part["gone"]:
                desk.waiting.pop(id_, None)  # one that came in this batch as well was never there
                self.gone.append((partition, id_))
            for row in these:
                if row.event == WAITS:
                    self._expect(row.id not in desk.waiting, f"{row.id} waits twice")
                    desk.waiting[row.id] = row
            for id_ in part["given_up"]:
                desk.early.pop(id_, None)
            for early in part["early"]:
                desk.early[early[0]] = early
            self.kept_early += len(part["early"])
        self._expect(not rows, "rows that are no part's")

    def _learn(self, desk: Desk, row: Row) -> None:
        if row.event in (JOINED, EXPIRED):
            waited = desk.waiting.pop(row.id, None)
            self._expect(row.event == EXPIRED or waited is not None, f"{row.id} joined, and did not wait")
            same = waited is None or waited.sample == row.sample
            self._expect(same, f"{row.id}: learned as {row}, it waited as {waited}")
        else:
            self._expect(row.id not in desk.waiting, f"{row.id} is learned while another of this id waits")
        self._expect((row.label_time is not None) == (row.event in (JOINED, AT_ONCE)), f"label's time: {row}")
        if row.event != EXPIRED:
            desk.early.pop(row.id, None)
        self.learned.append(row)

    def _expect(self, holds: bool, problem: str) -> None:
        if not holds:
            self.problems.append(problem)

    # What came of it

    @property
    def joined(self) -> list[Row]:
        """Samples with the labels that came for them."""
        return [row for row in self.learned if row.event in (JOINED, AT_ONCE)]

    def labels(self) -> dict[str, Any]:
        """What `inspect --json` is to say under "labels", without the delays' quantiles and the clocks."""
        delays = [max(0, (row.label_time or 0) - row.time) for row in self.joined]
        expired = sum(row.event == EXPIRED for row in self.learned) + len(self.gone)
        return {
            "joined": len(self.joined),
            "expired": expired - self.counts["dropped"],
            "early": self.kept_early,
            **{name: self.counts[name] for name in ("dropped", "repeated", "unmatched", "corrections")},
            "waiting": sum(len(desk.waiting) for desk in self.desks.values()),
            "delays": {
                "count": len(delays),
                "mean_seconds": sum(delays) / len(delays) / 1000 if delays else None,
            },
        }

    def log_loss(self) -> float:
        """Of all that was learned by a binary model, weighted, by the predictions as they were served."""
        total = math.fsum(row.weight * _loss(row) for row in self.learned)
        return total / math.fsum(row.weight for row in self.learned)


def _loss(row: Row) -> float:
    probability = row.prediction if row.label == 1.0 else 1.0 - row.prediction
    return -math.log(min(max(probability, CLIP), 1.0 - CLIP))


def rows_of(partition: int, value: bytes | None) -> tuple[list[Row], list[dict[str, Any]]]:
    """The rows of a data record's body, and its parts."""
    with pa.ipc.open_stream(io.BytesIO(value or b"")) as reader:
        batch = reader.read_next_batch()
    offset, time, label, weight, prediction, id_, event, label_time, *features = (
        column.to_pylist() for column in batch.columns
    )
    seen = [_plain(row) for row in zip(*features, strict=True)] if features else [()] * len(offset)
    columns = zip(offset, time, label, weight, prediction, id_, event, label_time, seen, strict=True)
    rows = [Row(partition, *values) for values in columns]
    defaults: dict[str, Any] = {"early": [], "given_up": [], "gone": []}
    parts = json.loads(batch.schema.metadata[b"parts"])
    return rows, [{**defaults, **part} for part in parts]


def _plain(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Lists as tuples, so that rows can be compared and put into sets."""
    return tuple(tuple(value) if isinstance(value, list) else value for value in values)
