"""A stream's features as peers take them: numbers by name, and the names of the indicators that are 1.

The same features as gradstream's encoder makes of the same declaration; `scaled` is what a user of a peer
without a scaler of its own would put before it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.quality.streams import Stream
from models.rows import Float64


class Named:
    """The samples of a stream."""

    def __init__(self, stream: Stream) -> None:
        declared, samples = stream.features, stream.samples
        self.columns: list[str] = declared["numeric"]
        self.numeric = np.array([[sample[name] for name in self.columns] for sample in samples], np.float64)
        groups = [(name,) for name in declared.get("categorical", ())]
        self.fields: list[tuple[str, ...]] = [*groups, *map(tuple, declared.get("interactions", ()))]
        self.indicators = [[indicator(field, sample) for field in self.fields] for sample in samples]
        """Of each sample, in the order of `fields`."""

    def scaled(self, own: bool) -> Float64:
        """(n, d) standardised by mean and variance of the samples before, and of the sample itself if `own`.

        gradstream and River learn with its own taken in and predict without. Sums are of values moved by the
        first one, so that little is lost in Σx²/n - mean².
        """
        moved = self.numeric - self.numeric[:1]
        count = np.arange(1, len(moved) + 1)[:, None]
        means = np.cumsum(moved, axis=0) / count
        deviations = np.sqrt(np.maximum(np.cumsum(moved**2, axis=0) / count - means**2, 0.0))
        if not own:
            means, deviations = _one_later(means), _one_later(deviations)
        return np.where(deviations > 0.0, (moved - means) / np.where(deviations > 0.0, deviations, 1.0), 0.0)


def _one_later(values: Float64) -> Float64:
    return np.concatenate([np.zeros_like(values[:1]), values[:-1]])


def indicator(field: tuple[str, ...], sample: dict[str, Any]) -> str:
    """`origin=JFK`, or `origin=JFK*dest=LAX` of a cross."""
    return "*".join(f"{name}={sample[name]}" for name in field)
