"""A late-label model on real servers: what the tests of it send, wait for and look at."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import closing
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from tests.consistency.late_audit import (
    assert_every_label_joined_once,
    assert_predictions_as_learned,
    assert_redis_says_the_same,
    letters,
    plain_log,
)
from tests.consistency.late_traffic import BEGIN, SETTINGS, Traffic
from tests.integration.harness import Stream

TABLE = """
labels = "{name}.labels"
task = "binary"
save_every = "100ms"
{settings}
[models."{name}".features]
numeric = ["x"]
categorical = ["c"]
hash_bits = 10
"""


def table(name: str, more: str = "") -> str:
    """The model's table; `more`: further keys of it."""
    return TABLE.format(name=name, settings=f"{SETTINGS}\n{more}")


def send(stream: Stream, made: Traffic, start: int = 0, stop: int | None = None) -> None:
    """Produce the traffic, or a part of it."""
    topics = {"samples": stream.samples, "labels": stream.labels}
    stream.send(
        (topics[topic], partition, json.loads(value)["id"].encode(), value)
        for _, topic, partition, value in made.messages[start:stop]
    )


def audit(stream: Stream, made: Traffic, negative: bool = False) -> None:
    """All that can be said of the traffic after it was processed."""
    log = plain_log(stream)
    assert_every_label_joined_once(log, made, negative)
    assert_redis_says_the_same(stream, log)
    assert_predictions_as_learned(stream, log, made)
    found = Counter(name for name, *_ in letters(stream))
    assert found["DuplicateId"] >= made.counts["duplicates"]
    assert found["LateLabel"] + found["UnmatchedLabel"] >= made.counts["unmatched"]
    assert log.counts["dead_letters"] == made.counts["duplicates"] + made.counts["unmatched"]
    assert stream.command("verify", stream.name).returncode == 0


def waiting(stream: Stream) -> int:
    """How many samples wait, as the checkpoint says; -1 before there is one."""
    found: int = json.loads(stream.checkpoint().get("labels", "{}")).get("waiting", -1)
    return found


def log_end(stream: Stream) -> int:
    """Where the learning log ends."""
    with closing(KafkaConsumer(bootstrap_servers=stream.kafka)) as consumer:
        log = TopicPartition(f"{stream.name}.learning-log", 0)
        end: int = consumer.end_offsets([log])[log]
        return end


class Small:
    """Messages that are sent in order, by hand."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.records: list[tuple[str, int, bytes | None, bytes | None]] = []

    def sample(self, id_: Any, at: int, **fields: Any) -> None:
        """A sample, so many ms after the beginning."""
        body = {"id": id_, "timestamp": BEGIN + at, "features": {"x": 0.5, "c": "c"}, **fields}
        self.records.append((self.stream.samples, 0, b"key", json.dumps(body).encode()))

    def label(self, id_: Any, at: int, label: Any = 1, **fields: Any) -> None:
        """A label, so many ms after the beginning."""
        body = {"id": id_, "timestamp": BEGIN + at, "label": label, **fields}
        self.raw(json.dumps(body).encode())

    def raw(self, value: bytes | None, key: bytes | None = b"label key") -> None:
        """Anything on the labels topic."""
        self.records.append((self.stream.labels, 0, key, value))

    def run(self) -> None:
        """Send all, and process it."""
        self.stream.send(self.records)
        self.records = []
        self.stream.drain()


def joined(stream: Stream) -> dict[str, float | None]:
    return {row.id: row.label for row in plain_log(stream).joined}
