"""The message that every peer writes for a sample: the same fields as gradstream's, so equally many bytes."""

from __future__ import annotations

import msgspec


class Prediction(msgspec.Struct, gc=False):
    """See docs/messages.md."""

    id: str
    model: str
    prediction: int
    probability: float
    samples_learned: int
    topic: str
    partition: int
    offset: int


def served(topic: str, offset: int, probability: float, learned: int) -> Prediction:
    """Of the sample at `offset` of the one partition, predicted after `learned` others."""
    return Prediction(
        f"{topic}-0-{offset}", "bench", int(probability >= 0.5), probability, learned, topic, 0, offset
    )
