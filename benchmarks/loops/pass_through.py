"""Peer `pass-through`: confluent-kafka without any work.

Records are consumed, and as many bytes as a prediction has are produced for each. No loop in Python that
looks at its samples is faster.

    python -m benchmarks.loops.pass_through BOOTSTRAP SAMPLES-TOPIC PREDICTIONS-TOPIC COUNT [PARTITIONS]
"""

from __future__ import annotations

import sys
from itertools import cycle, islice
from typing import Any

import msgspec
from confluent_kafka import Message

from benchmarks.loops.confluent import ConfluentLoop, values_and_offsets
from benchmarks.loops.prediction import served

BATCH = 2_000
"""Records taken at once; there is no work whose data had to stay in the cache."""


class PassThrough:
    """No work."""

    def __init__(self, topic: str, partitions: int = 1) -> None:
        """`partitions`: predictions go to all of them in turn."""
        value = msgspec.json.encode(served(topic, 123_456, 0.123456789012345678, 123_456))
        parts = islice(cycle(range(partitions)), BATCH)
        self.batch: list[dict[str, Any]] = [{"value": value, "partition": part} for part in parts]

    def warm_up(self) -> None:
        """There is nothing to compile."""

    def process(self, messages: list[Message]) -> list[dict[str, Any]]:
        """See Work."""
        values, _ = values_and_offsets(messages)
        return self.batch[: len(values)]


if __name__ == "__main__":
    bootstrap, topic, predictions, count, *shape = sys.argv[1:]
    work = PassThrough(topic, *map(int, shape))
    ConfluentLoop(bootstrap, topic, predictions, work, BATCH).run(int(count)).write()
