"""River's logistic regression without its pipeline: what an expert leaves of `naive`'s work in River.

The same numbers come out: standardised online, AdaGrad, the intercept as a constant feature. A pipeline asks
each of its steps what it is, for each sample; here they are called directly.
"""

from __future__ import annotations

from typing import Any

import msgspec
from river import linear_model, optim, preprocessing

from benchmarks.loops.prediction import served
from benchmarks.samples import LEARNING_RATE


class RiverLearner:
    """Decodes, predicts, learns, encodes: a sample at a time, as River does."""

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.scaler: Any = preprocessing.StandardScaler()
        self.model: Any = linear_model.LogisticRegression(optim.AdaGrad(LEARNING_RATE), intercept_lr=0.0)
        self.learned = 0
        self.decode = msgspec.json.Decoder().decode
        self.encode = msgspec.json.Encoder().encode

    def predict_and_learn(self, value: Any, offset: int) -> bytes:
        """The prediction of a sample as JSON, made before it was learned."""
        sample = self.decode(value)
        x: dict[Any, float] = sample["features"]
        z = self.scaler.transform_one(x)
        z["intercept"] = 1.0
        probability = self.model.predict_proba_one(z).get(True, 0.5)
        self.scaler.learn_one(x)
        z = self.scaler.transform_one(x)
        z["intercept"] = 1.0
        self.model.learn_one(z, bool(sample["label"]))
        self.learned += 1
        return self.encode(served(self.topic, offset, probability, self.learned - 1))
