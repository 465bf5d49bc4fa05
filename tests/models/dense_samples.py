"""The samples over which optimizers are followed step by step, and what both sides are told."""

from __future__ import annotations

import numpy as np

N, COLUMNS, RATE = 1_000, 6, 0.03


def dense_samples() -> tuple[np.ndarray, np.ndarray]:
    """(N, COLUMNS) features and (N,) labels whose weights wander; every fifth value is 0."""
    rng = np.random.default_rng(11)
    x = rng.normal(size=(N, COLUMNS)) * [1.0, 0.1, 2.0, 1.0, 0.5, 1.0]
    x[rng.random((N, COLUMNS)) < 0.2] = 0.0
    wandering = np.cumsum(rng.normal(size=(N, COLUMNS)) * 0.05, axis=0) + 1.0
    return x, (x * wandering).sum(axis=1) + 0.7 + rng.normal(size=N) * 0.3
