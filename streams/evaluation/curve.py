"""A learning curve of bounded length over a stream whose length nobody knows beforehand."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from models.metrics import Metric, Metrics

FIRST_STRIDE = 50
MOST = 256


@dataclass(frozen=True, slots=True)
class Point:
    """The metrics after `samples` samples, of which `samples_learned` were learned from."""

    samples: int
    samples_learned: int
    metrics: dict[str, Metric | Metrics]

    def document(self) -> dict[str, Any]:
        """For machines."""
        return {
            "samples": self.samples,
            "samples_learned": self.samples_learned,
            "metrics": self.metrics,
        }


@dataclass(slots=True)
class Curve:
    """Points at the multiples of a stride. When there are MOST, every second goes and the stride doubles.

    So n samples give between MOST / 2 and MOST points, evenly spaced and always the same ones, for about
    MOST · (1 + log2(n)) / 2 readings of the metrics.
    """

    points: list[Point] = field(default_factory=list)
    stride: int = FIRST_STRIDE

    def until_next(self, samples: int) -> int:
        """How many samples after `samples` the next point stands."""
        return self.stride - samples % self.stride

    def is_due(self, samples: int) -> bool:
        """Whether a point belongs here."""
        return samples > 0 and samples % self.stride == 0

    def add(self, point: Point) -> None:
        """Add the point that is due."""
        self.points.append(point)
        if len(self.points) == MOST:
            self.points = self.points[1::2]
            self.stride *= 2

    def ended(self, point: Point) -> list[Point]:
        """All points, with the last samples' one at the end."""
        earlier = [one for one in self.points if one.samples < point.samples]
        return [*earlier, point]
