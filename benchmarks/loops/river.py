"""Peer `river`: confluent-kafka around River.

python -m benchmarks.loops.river BOOTSTRAP SAMPLES-TOPIC PREDICTIONS-TOPIC COUNT
"""

from __future__ import annotations

import sys
from typing import Any

from confluent_kafka import Message

from benchmarks.loops.confluent import ConfluentLoop, values_and_offsets
from benchmarks.loops.river_learner import RiverLearner


class River:
    """The work: a sample at a time."""

    def __init__(self, topic: str) -> None:
        self.learner = RiverLearner(topic)

    def warm_up(self) -> None:
        """There is nothing to compile."""

    def process(self, messages: list[Message]) -> list[dict[str, Any]]:
        """See Work."""
        step = self.learner.predict_and_learn
        return [{"value": one} for one in map(step, *values_and_offsets(messages))]


if __name__ == "__main__":
    bootstrap, topic, predictions, count = sys.argv[1:]
    ConfluentLoop(bootstrap, topic, predictions, River(topic)).run(int(count)).write()
