"""River's factorization machine, which takes dictionaries."""

from __future__ import annotations

from typing import Any

import numpy as np
from river.facto import FMClassifier

from benchmarks.kernels.contest import Lap, Stopwatch
from models.rows import Float64, Int64

ROWS = 2_000
"""A lap of River: it takes as long as a hundred times as many of the others."""


class RiverMachine:
    """As River has it, but for the number of factors."""

    name = "River"

    def __init__(self, indices: Int64, labels: Float64, factors: int) -> None:
        self._samples = [{str(index): 1.0 for index in row} for row in indices[:ROWS].tolist()]
        self._labels, self._factors = labels[:ROWS], factors

    def lap(self) -> Lap:
        """Predict, then learn, each of the first rows."""
        model: Any = FMClassifier(n_factors=self._factors, seed=1)
        truths = (self._labels > 0).tolist()
        served = []
        watch = Stopwatch()
        for x, y in zip(self._samples, truths, strict=True):
            served.append(model.predict_proba_one(x).get(True, 0.5))
            model.learn_one(x, y)
        return Lap.of(watch.stop(), np.array(served)[:, None], self._labels)
