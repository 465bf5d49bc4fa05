"""Peer `expert`: the loop that someone who knows the tools writes by hand, for this one stream.

confluent-kafka, a typed msgspec decoder, one numba kernel. It has no learning log, checkpoint, dead letters
or second worker: a crash loses the model, an invalid record ends it.

    python -m benchmarks.expert BOOTSTRAP SAMPLES-TOPIC PREDICTIONS-TOPIC COUNT [FEATURES [PARTITIONS]]
"""

from __future__ import annotations

import sys
from itertools import chain
from typing import Any

import msgspec
import numpy as np
from confluent_kafka import Message
from msgspec.structs import astuple

from benchmarks.kernel import test_then_train
from benchmarks.loops.confluent import ConfluentLoop, values_and_offsets
from benchmarks.loops.prediction import Prediction
from benchmarks.samples import LEARNING_RATE, names


class Expert:
    """The work: decode, predict and learn, encode; each in one pass over the whole batch."""

    def __init__(self, topic: str, features: int = 10, partitions: int = 1) -> None:
        """`features`: how many numbers a sample has, x0, x1, …"""
        self.topic, self.features, self.partitions = topic, features, partitions
        self.state = np.zeros((4, features + 1))
        self.count = 0.0
        self.decode = msgspec.json.Decoder(_sample_type(features)).decode
        self.encode = msgspec.json.Encoder().encode

    def warm_up(self) -> None:
        """Load the compiled kernel (a third of a second, also from numba's cache) before the first record."""
        test_then_train(np.empty((0, 1)), np.empty(0), np.zeros((4, 2)), 0.0, LEARNING_RATE, np.empty(0))

    def process(self, messages: list[Message]) -> list[dict[str, Any]]:
        """See Work."""
        values, offsets = values_and_offsets(messages)
        decoded = list(map(self.decode, values))
        n, d = len(decoded), self.features
        if not n:
            return []
        cells = chain.from_iterable([astuple(s.features) for s in decoded])
        x = np.fromiter(cells, np.float64, n * d).reshape(n, d)
        labels = np.fromiter([s.label for s in decoded], np.float64, n)
        probabilities = np.empty(n)
        learned = int(self.count)
        self.count = test_then_train(x, labels, self.state, self.count, LEARNING_RATE, probabilities)
        if self.partitions > 1:
            return self._of_many(messages, offsets, probabilities.tolist(), learned)
        encode, topic = self.encode, self.topic
        return [
            {
                "value": encode(
                    Prediction(f"{topic}-0-{at}", "bench", int(p >= 0.5), p, learned + i, topic, 0, at)
                )
            }
            for i, (at, p) in enumerate(zip(offsets, probabilities.tolist(), strict=True))
        ]

    def _of_many(
        self, messages: list[Message], offsets: list[int], probabilities: list[float], learned: int
    ) -> list[dict[str, Any]]:
        """The same, each prediction to the partition of its sample."""
        encode, topic = self.encode, self.topic
        where: list[Any] = [m.partition() for m in messages]
        rows = zip(where, offsets, probabilities, strict=True)
        return [
            {
                "value": encode(
                    Prediction(
                        f"{topic}-{part}-{at}", "bench", int(p >= 0.5), p, learned + i, topic, part, at
                    )
                ),
                "partition": part,
            }
            for i, (part, at, p) in enumerate(rows)
        ]


def _sample_type(features: int) -> Any:
    """One record; what is not named here is skipped."""
    numbers = msgspec.defstruct("Features", [(name, float) for name in names(features)], gc=False)
    return msgspec.defstruct("Sample", [("features", numbers), ("label", float)], gc=False)


if __name__ == "__main__":
    bootstrap, topic, predictions, count, *shape = sys.argv[1:]
    ConfluentLoop(bootstrap, topic, predictions, Expert(topic, *map(int, shape))).run(int(count)).write()
