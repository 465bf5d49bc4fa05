"""gradstream's side: `predict_and_learn` on prebuilt batches of rows, undo kept, as a worker does."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.kernels.contest import OURS, Lap, Stopwatch
from models.model import Model
from models.rows import Float64, Int64, Rows
from models.spec import ModelSpec

BATCH = 1_000
"""Rows of a batch; what a worker takes at once is about that many."""


class Ours:
    """A model of gradstream on rows."""

    name = OURS

    def __init__(self, spec: ModelSpec, rows: Rows) -> None:
        self._spec, self._labels = spec, rows.labels
        starts = range(0, len(rows), BATCH)
        self._batches = [rows.slice(start, min(start + BATCH, len(rows))) for start in starts]

    def lap(self) -> Lap:
        """One pass over the batches by a new model."""
        model, served = Model(self._spec), []
        watch = Stopwatch()
        for batch in self._batches:
            learned = model.predict_and_learn(batch)
            if learned.undo is not None:
                model.forget(learned.undo)
            served.append(learned.served)
        return Lap.of(watch.stop(), np.concatenate(served), self._labels)


def hashed_rows(indices: Int64, labels: Float64) -> Rows:
    """Rows with the value 1 at `indices` (n, nonzeros)."""
    n, nonzeros = indices.shape
    return Rows(
        numeric=np.empty((n, 0)),
        indptr=np.arange(n + 1, dtype=np.int64) * nonzeros,
        indices=indices.astype(np.uint32).reshape(-1),
        values=np.ones(n * nonzeros),
        scaled_by=np.full(n * nonzeros, -1, dtype=np.int16),
        **_rest(labels),
    )


def dense_rows(x: Float64, labels: Float64) -> Rows:
    """Rows of dense columns `x` (n, d)."""
    n = len(x)
    return Rows(
        numeric=x,
        indptr=np.zeros(n + 1, dtype=np.int64),
        indices=np.empty(0, dtype=np.uint32),
        values=np.empty(0),
        scaled_by=np.empty(0, dtype=np.int16),
        **_rest(labels),
    )


def _rest(labels: Float64) -> dict[str, Any]:
    n = len(labels)
    return {
        "labels": labels,
        "weights": np.ones(n),
        "timestamps": np.zeros(n, dtype=np.int64),
        "offsets": np.arange(n),
    }
