"""Weights under names that people read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from models.layout import Layout
from models.rows import Float64
from models.spec import ClassLabel, ModelSpec


class Weight(NamedTuple):
    """One weight. `mean` and `std` are those of a standardised column, on whose scale the weight stands."""

    name: str
    value: float
    mean: float | None
    std: float | None


def class_text(label: ClassLabel) -> str:
    """A class as it stands in names and messages: `true`, `1`, `a`."""
    return str(label).lower() if isinstance(label, bool) else str(label)


def read_weights(
    spec: ModelSpec,
    layout: Layout,
    scaler: Float64,
    weights: Float64,
    names: Mapping[int, str],
    top: int | None,
) -> list[Weight]:
    """The `top` weights by |value| (all of them if None), ties in the order of the features.

    `scaler` is (3, d), `weights` (C, K). `names`: full hash → name; hashed coordinates without one are left
    out, and names that collide share a value. Several classes: `CLASS:name`.
    """
    hashes = np.fromiter(names, dtype=np.int64, count=len(names)) if layout.hashed else np.zeros(0, np.int64)
    coordinates = np.concatenate(
        [np.arange(layout.dense + 1), layout.dense + 1 + (hashes & (layout.hashed - 1))]
    )
    values = weights[coordinates].reshape(-1)
    order = np.argsort(-np.abs(values), kind="stable")[:top]
    features = [*spec.features.numeric_columns(), *spec.features.product_names(), "intercept"]
    if layout.hashed:
        features += names.values()
    columns = _columns(spec, scaler)
    result = []
    for j in order:
        i, k = divmod(int(j), layout.outputs)
        mean, std = columns[i] if i < layout.columns else (None, None)
        prefix = f"{class_text(spec.classes[k])}:" if layout.outputs > 1 else ""
        result.append(Weight(prefix + features[i], float(values[j]), mean, std))
    return result


def _columns(spec: ModelSpec, scaler: Float64) -> list[tuple[float | None, float | None]]:
    """Mean and standard deviation of each column; None where it is not standardised."""
    standard = [f.scaling == "standard" for f in spec.features.numeric for _ in f.columns()]
    result: list[tuple[float | None, float | None]] = []
    for c, standardised in enumerate(standard):
        count, mean, m2 = (float(v) for v in scaler[:, c])
        std = (m2 / count) ** 0.5 if count > 0 else 0.0
        result.append((mean, std) if standardised else (None, None))
    return result
