"""Made-up models and samples for the tests of the mathematics."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from typing import Any

import numpy as np

from models.kernels.table import read_table
from models.model import Model
from models.rows import Rows
from models.spec import (
    FeatureSpec,
    ModelSpec,
    NumericFeature,
    OptimizerSpec,
    ScheduleSpec,
    Task,
    UpdateSpec,
)

CLASSES = ("red", "green", "blue")


def model_spec(
    task: Task = "binary",
    columns: int = 3,
    bits: int | None = None,
    scaling: Any = "standard",
    products: bool = False,
    **given: Any,
) -> ModelSpec:
    """Numeric columns x0 … and, with `bits`, a hashed part; `given`: optimizer, update."""
    features = FeatureSpec(
        numeric=tuple(NumericFeature(f"x{i}", scaling=scaling) for i in range(columns)),
        interactions=(("x0", "x1"),) if products else (),
        hash_bits=bits,
    )
    return ModelSpec(task, features, classes=CLASSES if task == "multiclass" else (), **given)


def make_rows(
    spec: ModelSpec,
    n: int,
    seed: int = 0,
    entries: int = 3,
    missing: float = 0.1,
    unlabelled: float = 0.1,
    weighted: bool = True,
) -> Rows:
    """n learnable rows; numeric values are multiples of 1/8, so that a variance is 0 or far from it."""
    rng = np.random.default_rng(seed)
    columns = len(spec.features.numeric_columns())
    numeric = np.round(rng.normal(0.5, 1.0, (n, columns)) * 8) / 8
    lengths = rng.integers(0, 2 * entries + 1, n) if spec.features.hash_bits is not None else np.zeros(n, int)
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    nnz = int(indptr[-1])
    indices = rng.integers(0, 2**32, 50, dtype=np.uint32)[rng.integers(0, 50, nnz)]
    signal = numeric.sum(axis=1) - columns / 2 + rng.normal(size=n)
    if spec.task == "regression":
        labels = np.round(signal * 8) / 8
        if spec.loss is not None and spec.loss.name == "poisson":
            labels = np.abs(labels)
    else:
        labels = np.clip(np.floor(signal + max(2, spec.outputs) / 2), 0, max(2, spec.outputs) - 1)
    numeric[rng.random((n, columns)) < missing] = np.nan
    labels[rng.random(n) < unlabelled] = np.nan
    return Rows(
        numeric=numeric,
        indptr=indptr,
        indices=indices,
        values=rng.choice([1.0, 1.0, 0.5, -2.0], nnz),
        scaled_by=rng.integers(-1, columns, nnz).astype(np.int16),
        labels=labels,
        weights=rng.choice([0.0, 0.5, 1.0, 2.0], n, p=[0.1, 0.2, 0.5, 0.2]) if weighted else np.ones(n),
        timestamps=np.arange(n, dtype=np.int64),
        offsets=np.arange(n, dtype=np.int64),
    )


def without_repeats(rows: Rows, bits: int) -> Rows:
    """The rows with the first entry of each coordinate alone."""
    keep = np.zeros(len(rows.indices), dtype=bool)
    for first, last in pairwise(rows.indptr):
        _, at = np.unique(rows.indices[first:last] & ((1 << bits) - 1), return_index=True)
        keep[first + at] = True
    return dataclasses.replace(
        rows,
        indptr=np.concatenate([[0], np.cumsum(keep)])[rows.indptr],
        indices=rows.indices[keep],
        values=rows.values[keep],
        scaled_by=rows.scaled_by[keep],
    )


def plain_rows(numeric: Any, labels: Any, weights: Any = None) -> Rows:
    """Dense rows as they are."""
    numeric = np.array(numeric, dtype=np.float64)
    n = len(numeric)
    return Rows(
        numeric=numeric,
        indptr=np.zeros(n + 1, dtype=np.int64),
        indices=np.zeros(0, dtype=np.uint32),
        values=np.zeros(0),
        scaled_by=np.zeros(0, dtype=np.int16),
        labels=np.array(labels, dtype=np.float64),
        weights=np.ones(n) if weights is None else np.array(weights, dtype=np.float64),
        timestamps=np.zeros(n, dtype=np.int64),
        offsets=np.arange(n, dtype=np.int64),
    )


def chunks(rows: Rows, size: int) -> list[Rows]:
    """Neighbouring slices of `size` rows."""
    return [rows.slice(at, min(at + size, len(rows))) for at in range(0, len(rows), size)]


def learn_all(model: Model, rows: Rows, size: int | None = None) -> np.ndarray:
    """Test-then-train in chunks, nothing left pending; the served predictions."""
    served = []
    for part in chunks(rows, size or len(rows)):
        learned = model.predict_and_learn(part)
        assert learned.undo is not None
        model.forget(learned.undo)
        served.append(learned.served)
    return np.concatenate(served)


def weights_of(model: Model) -> np.ndarray:
    """(C, K) weights."""
    return model.layout.view(model.S, "weights").copy()


def params_now(model: Model) -> np.ndarray:
    """(C, K) weights of a linear model with all steps taken, those too that no sample called for."""
    layout = model.layout
    out = np.empty((layout.coordinates, layout.outputs))
    read_table(model.S, model._plan, np.arange(layout.coordinates), out.reshape(-1))
    return out


def state_bytes(model: Model) -> bytes:
    """All state of the view: S and the buffered rows."""
    tensors = model.tensors(())
    return b"".join(tensors[name].tobytes() for name in sorted(tensors))


OPTIMIZERS = [
    OptimizerSpec("sgd", 0.05),
    OptimizerSpec("sgd", 0.05, l1=0.01, l2=0.02),
    OptimizerSpec("adagrad", 0.1),
    OptimizerSpec("adagrad", 0.1, l1=0.01, l2=0.02),
    OptimizerSpec("ftrl-proximal", 0.1),
    OptimizerSpec("ftrl-proximal", 0.1, l1=0.05, l2=0.1, beta=0.5),
]
ALL_OPTIMIZERS = [
    *OPTIMIZERS,
    OptimizerSpec("momentum", 0.01, momentum=0.8),
    OptimizerSpec("momentum", 0.01, ScheduleSpec("step", every=20), l1=0.01, l2=0.02),
    OptimizerSpec("nesterov", 0.01, ScheduleSpec("exponential", every=50)),
    OptimizerSpec("nesterov", 0.01, l1=0.01, l2=0.02, clip_norm=1.0),
    OptimizerSpec("rmsprop", 0.02, rho=0.95, epsilon=1e-6),
    OptimizerSpec("rmsprop", 0.02, ScheduleSpec("inverse-scaling", 0.3), l1=0.01, l2=0.02),
    OptimizerSpec("adam", 0.02, clip_value=0.5),
    OptimizerSpec("adam", 0.02, ScheduleSpec("cosine", horizon=150, warmup=20), l1=0.01, l2=0.02),
    OptimizerSpec("adamw", 0.02, weight_decay=0.1),
    OptimizerSpec("adamw", 0.02, ScheduleSpec("cosine", horizon=150, floor=0.1, warmup=20), weight_decay=0.1),
]
UPDATES = [
    UpdateSpec("sample"),
    UpdateSpec("batch", batch_size=7),
    UpdateSpec("window", window_size=20, stride=6, steps=3),
]
