"""Counts of what became of samples and labels, and how long labels took: part of the fold's state."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from models.rows import Int64

STEPS = 8
"""Delays are counted in 8 classes between two powers of two milliseconds."""


class Tally(msgspec.Struct):
    """Of one model, since its start. Times in ms."""

    joined: int = 0
    expired: int = 0
    dropped: int = 0
    early: int = 0
    repeated: int = 0
    unmatched: int = 0
    corrections: int = 0
    delay_sum: int = 0
    delays: dict[str, int] = {}
    """Class of a delay, as text, → how many."""

    def take_delays(self, delays: Int64) -> None:
        """Count how long labels came after their samples (n,); earlier ones count as 0."""
        delays = np.maximum(delays, 0)
        self.delay_sum += int(delays.sum())
        classes, counts = np.unique(delay_class(delays), return_counts=True)
        for one, count in zip(map(str, classes.tolist()), counts.tolist(), strict=True):
            self.delays[one] = self.delays.get(one, 0) + count

    def summary(self) -> dict[str, Any]:
        """The delays for people: mean, and quantiles to within an eighth."""
        count = sum(self.delays.values())
        mean = self.delay_sum / count / 1000 if count else None
        shares = {f"p{percent}_seconds": self._quantile(percent / 100) for percent in (50, 90, 99)}
        return {"count": count, "mean_seconds": mean, **shares}

    def _quantile(self, share: float) -> float | None:
        wanted, below = share * sum(self.delays.values()), 0
        for one in sorted(map(int, self.delays)):
            below += self.delays[str(one)]
            if below >= wanted:
                return class_start(one + 1) / 1000
        return None


def delay_class(delays: Int64) -> Int64:
    """Class of each delay (n,) ≥ 0 ms: below 8 itself, then 8 classes an octave. Integers alone, so exact."""
    _, exponent = np.frexp(delays.astype(np.float64))
    octave = np.maximum(exponent.astype(np.int64) - 4, 0)
    return np.asarray(octave * STEPS + (delays >> octave))


def class_start(one: int) -> int:
    """The smallest delay of a class, in ms."""
    octave = max(one // STEPS - 1, 0)
    return (one - octave * STEPS) << octave
