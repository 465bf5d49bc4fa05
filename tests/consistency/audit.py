"""The exact audit: what was produced against what the log counts, what was predicted, what Redis holds.

The log is read here a second time, by a plain reader that shares no code with the product: headers and Arrow
columns as docs/learning-log.md describes them, and the one rule that decides (`from` = the next offset).
"""

from __future__ import annotations

import io
import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import redis
import safetensors.numpy

from tests.consistency.counting import SLOTS, slot

Coordinates = tuple[int, int]
"""Partition and offset of a sample."""


@dataclass
class PlainLog:
    """What a learning log says to its plainest reader."""

    next: dict[int, int] = field(default_factory=dict)
    learned: list[Coordinates] = field(default_factory=list)
    slots: Counter[int] = field(default_factory=Counter)
    dead_letters: int = 0
    counted: int = 0
    ignored: int = 0
    holes: list[tuple[int, int, int]] = field(default_factory=list)
    end: int = 0
    echoes: int = 0
    """Records that were ignored because an earlier one of the same worker had taken their place (rule 11)."""
    _taken: dict[tuple[int, int], str] = field(default_factory=dict)

    def in_hole(self, at: Coordinates) -> bool:
        """Whether the log says that a sample was gone before it was read."""
        return any(at[0] == p and start <= at[1] < stop for p, start, stop in self.holes)

    def read(self, record: Any) -> None:
        """Take in one record as Kafka gives it."""
        headers = {name: value.decode() for name, value in record.headers}
        kind = record.key.decode()
        self.end = record.offset + 1
        if kind in ("genesis", "resume"):
            return
        partition = int(headers["partition"])
        if kind == "open":
            self.next.setdefault(partition, int(headers["next"]))
            return
        start, stop = int(headers["from"]), int(headers["to"])
        if self.next.get(partition) != start or stop <= start:
            self.ignored += 1
            self.echoes += self._taken.get((partition, start)) == headers["worker"]
            return
        self.next[partition] = stop
        self._taken[partition, start] = headers["worker"]
        self.counted += 1
        self.dead_letters += int(headers["dead_letters"])
        if kind == "hole":
            self.holes.append((partition, start, stop))
            return
        with pa.ipc.open_stream(io.BytesIO(record.value)) as reader:
            batch = reader.read_next_batch()
        self.learned += [(partition, offset) for offset in batch.column(0).to_pylist()]
        for indices in batch.column(batch.schema.names.index("indices")).to_pylist():
            self.slots.update(index & (SLOTS - 1) for index in indices)


@dataclass
class Report:
    """The figures of one episode; it is right when `problems` is empty."""

    produced: int = 0
    learned_once: int = 0
    lost: int = 0
    repeated: int = 0
    unequal: int = 0
    faults: int = 0
    ignored: int = 0
    redone: int = 0
    events: list[str] = field(default_factory=list)
    recoveries: list[tuple[str, float]] = field(default_factory=list)
    """What went on again, and after how many seconds."""
    problems: list[str] = field(default_factory=list)

    def expect(self, holds: bool, problem: str) -> bool:
        """Note a problem unless `holds`."""
        if not holds:
            self.problems.append(problem)
        return holds


@dataclass
class Input:
    """What must be learned, what must become a dead letter; `maybe`: what may be either."""

    labelled: dict[Coordinates, int] = field(default_factory=dict)
    valid: set[Coordinates] = field(default_factory=set)
    invalid: set[Coordinates] = field(default_factory=set)
    maybe: set[Coordinates] = field(default_factory=set)

    def add(self, at: Coordinates, value: bytes) -> None:
        """Take in a sample, read by a rule as plain as the samples."""
        body = json.loads(value)
        name = body["features"]["s"]
        if not isinstance(name, str):
            self.invalid.add(at)
            return
        self.valid.add(at)
        if "label" in body:
            self.labelled[at] = slot(name)

    def allow(self, at: Coordinates, value: bytes) -> None:
        """A sample that was there for a while: whether anybody read it is not known."""
        if at not in self.valid and at not in self.invalid:
            self.maybe.add(at)


def audit_input(report: Report, log: PlainLog, given: Input) -> None:
    """Every labelled sample is learned exactly once by the log, in the order of its partition."""
    times = Counter(log.learned)
    report.produced = len(given.labelled)
    report.learned_once = sum(times[at] == 1 for at in given.labelled)
    lost = [at for at in given.labelled if times[at] == 0]
    repeated = [at for at, count in times.items() if count > 1]
    report.lost += len(lost)
    report.repeated += len(repeated)
    report.expect(not lost, f"{len(lost)} samples lost, the first at {lost[:1]}")
    report.expect(not repeated, f"{len(repeated)} samples learned more than once, {repeated[:1]}")
    report.expect(
        0 <= log.dead_letters - len(given.invalid) <= len(given.maybe),
        f"the log counts {log.dead_letters} dead letters, {len(given.invalid)} samples are invalid",
    )
    foreign = times.keys() - given.labelled.keys() - given.maybe
    report.expect(not foreign, f"{len(foreign)} learned that nobody sent, {min(foreign, default=0)}")
    order: defaultdict[int, list[int]] = defaultdict(list)
    for partition, offset in log.learned:
        order[partition].append(offset)
    report.expect(all(o == sorted(o) for o in order.values()), "a partition was learned out of order")


def audit_predictions(report: Report, log: PlainLog, given: Input, predictions: list[Any]) -> None:
    """Every valid sample was predicted, so nothing was learned that was not."""
    predicted = set()
    for record in predictions:
        body = json.loads(record.value)
        report.expect(body["partition"] == record.partition, "a prediction in another partition")
        predicted.add((record.partition, body["offset"]))
    unpredicted = (given.valid | set(log.learned)) - predicted
    report.lost += len(unpredicted)
    report.expect(not unpredicted, f"{len(unpredicted)} not predicted, {min(unpredicted, default=0)}")


def audit_redis(report: Report, log: PlainLog, client: redis.Redis, model: str) -> None:
    """The checkpoint is the state at the log's end: every weight counts what the log counts."""
    text = {k.decode(): v.decode() for k, v in client.hgetall(f"gradstream:{{{model}}}").items()}
    if not report.expect("log_offset" in text, "no checkpoint in Redis"):
        return
    report.expect(
        int(text["log_offset"]) == log.end, f"checkpoint at {text['log_offset']}, the log ends at {log.end}"
    )
    report.expect(
        int(text["samples_learned"]) == len(log.learned),
        f"samples_learned {text['samples_learned']}, the log has {len(log.learned)}",
    )
    report.expect(
        int(text["dead_letters"]) == log.dead_letters,
        f"dead_letters {text['dead_letters']}, the log has {log.dead_letters}",
    )
    weights = stored_weights(client, model)
    expected = np.zeros(SLOTS)
    for at, count in log.slots.items():
        expected[at] = count
    wrong = np.flatnonzero(weights[-SLOTS:] != expected)
    twice = int((weights[-SLOTS:] > expected).sum())
    report.repeated += twice
    report.lost += len(wrong) - twice
    report.expect(not len(wrong), f"{len(wrong)} weights in Redis do not count what the log counts")
    found = client.get(f"gradstream:{{{model}}}:unequal")
    if found is not None:
        report.unequal += 1
        report.problems.append(f"the workers' audit found a difference: {found.decode()}")


def stored_weights(client: redis.Redis, model: str) -> Any:
    """The tensor `weights` as it lies in Redis, in one piece."""
    fields = {k.decode(): v for k, v in client.hgetall(f"gradstream:{{{model}}}:tensors").items()}
    names = sorted(
        (n for n in fields if n.partition("/")[0] == "weights"), key=lambda n: int(n.partition("/")[2] or 0)
    )
    return np.concatenate([safetensors.numpy.load(fields[name])["weights"].ravel() for name in names])
