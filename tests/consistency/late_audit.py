"""What late-label traffic must have become, against the learning log as a plain reader has it, and Redis."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from tests.consistency.late_reader import EXPIRED, OWN, LateLog
from tests.consistency.late_traffic import Traffic
from tests.integration.harness import Stream


def plain_log(stream: Stream) -> LateLog:
    """The whole learning log; nothing in it contradicts itself."""
    log = LateLog()
    for record in stream.read(f"{stream.name}.learning-log"):
        log.take(record)
    assert not log.problems, log.problems[:5]
    return log


def assert_every_label_joined_once(log: LateLog, made: Traffic, negative: bool = False) -> None:
    """Each sample that has a label in time was joined with it, exactly once; no other was."""
    joined = Counter(row.id for row in log.joined)
    assert not (wrong := {id_ for id_ in joined | made.joins if joined[id_] != made.joins[id_]}), wrong
    for row in log.joined:
        if made.joins[row.id] == 1:
            assert (row.label, row.label_time, row.weight) == made.joined[row.id], row.id
    assert Counter(row.id for row in log.learned if row.event == OWN) == Counter(made.own)
    expired = [row.id for row in log.learned if row.event == EXPIRED]
    gone = [id_ for _, id_ in log.gone]
    assert Counter(expired if negative else gone) == Counter(made.expired)
    assert not (gone if negative else expired)
    assert all(row.label == 0.0 for row in log.learned if row.event == EXPIRED)
    for name in ("repeated", "unmatched", "corrections"):
        assert log.counts[name] == made.counts[name], (name, log.counts, made.counts)
    assert log.counts["dropped"] == 0
    for desk in log.desks.values():
        assert len(desk.waiting) == 1, "only the last sample of a partition waits"
        assert not desk.early


def assert_redis_says_the_same(stream: Stream, log: LateLog) -> None:
    """Counters, offsets and metrics of the checkpoint are those of the reader."""
    found = stream.checkpoint()
    assert int(found["log_offset"]) == log.end
    labels = json.loads(found["labels"])
    plain = log.labels()
    mine = {name: labels["delays"][name] for name in plain["delays"]}
    assert {**{name: labels[name] for name in plain}, "delays": mine} == plain
    assert labels["offsets"] == {f"{stream.labels}-{p}": desk.label_next for p, desk in log.desks.items()}
    assert {name: (one["waiting"], one["early_waiting"]) for name, one in labels["partitions"].items()} == {
        f"{stream.samples}-{p}": (len(desk.waiting), len(desk.early)) for p, desk in log.desks.items()
    }
    assert json.loads(found["offsets"]) == {f"{stream.samples}-{p}": d.next for p, d in log.desks.items()}
    assert int(found["samples_learned"]) == len(log.learned)
    assert int(found["dead_letters"]) == log.counts["dead_letters"]
    assert int(found["ignored"]) == log.ignored
    loss = json.loads(found["metrics"])["log_loss"]
    assert abs(loss - log.log_loss()) < 1e-12


def assert_predictions_as_learned(stream: Stream, log: LateLog, made: Traffic) -> None:
    """Every sample was predicted once at least, but duplicates; what was learned is what was served."""
    served = stream.predictions()
    for values in served.values():
        assert len({json.loads(value)["id"] for value in values}) == 1
    learned = {(row.partition, row.offset): row for row in log.learned}
    for at, row in learned.items():
        assert row.prediction in [json.loads(value)["probability"] for value in served[at]], row
    samples = sum(1 for _ in made.of("samples"))
    assert len(served) == samples - made.counts["duplicates"]


def letters(stream: Stream) -> Counter[tuple[str, str, int, int]]:
    """Dead letters: class, topic, partition, offset; each stands in the partition of its record."""
    found: Counter[tuple[str, str, int, int]] = Counter()
    for record in stream.read(f"{stream.name}.dead-letters"):
        about = {name.removeprefix("__connect.errors."): value.decode() for name, value in record.headers}
        assert int(about["partition"]) == record.partition
        name = about["exception.class.name"].removeprefix("gradstream.")
        found[name, about["topic"], record.partition, int(about["offset"])] += 1
    return found


def record_at(records: list[Any], partition: int, offset: int) -> Any:
    """One of a topic's records."""
    return next(r for r in records if (r.partition, r.offset) == (partition, offset))
