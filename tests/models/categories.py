"""Encoded features once more, from the whole history alone: plain Python, no code of models/kernels.

`in_columns` makes of rows with categories the rows and the model of one who had computed the columns by hand.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np

from models.rows import Rows
from models.spec import EncodedFeature, ModelSpec, NumericFeature

Learned = tuple[int | None, float, float]
"""Slot of the category, label and weight of a sample."""


def encoded(
    spec: ModelSpec, feature: EncodedFeature, past: Sequence[Learned], slot: int | None,
    log: Callable[[float], float] = math.log,
) -> list[float]:  # fmt: skip
    """The columns of a category after the samples `past`."""
    if slot is None:
        return [math.nan] * len(feature.columns())
    own = [(label, weight) for found, label, weight in past if found == slot]
    n, m = math.fsum(weight for _, weight in own), feature.prior_weight
    if feature.encoding == "frequency":
        return [log(1.0 + n)]
    total = math.fsum(weight for _, _, weight in past)
    means = []
    for k in range(spec.outputs):

        def target(label: float, k: int = k) -> float:
            return float(label == k) if spec.task == "multiclass" else label

        if total == 0.0 or n + m == 0.0:
            means.append(math.nan)
            continue
        prior = math.fsum(weight * target(label) for _, label, weight in past) / total
        own_sum = math.fsum(weight * target(label) for label, weight in own)
        means.append((own_sum + m * prior) / (n + m))
    return means


def in_columns(
    spec: ModelSpec, rows: Rows, log: Callable[[float], float] = math.log
) -> tuple[ModelSpec, Rows]:
    """The same model and rows with numeric columns in place of categories; all labelled rows are learned."""
    columns: list[list[float]] = []
    past: list[list[Learned]] = [[] for _ in spec.features.encode]
    for i in range(len(rows)):
        columns.append([])
        for f, feature in enumerate(spec.features.encode):
            code = int(rows.codes[i, f])
            slot = None if code < 0 else code % 2**feature.bits
            columns[i] += encoded(spec, feature, past[f], slot, log)
            if not math.isnan(rows.labels[i]):
                past[f].append((slot, float(rows.labels[i]), float(rows.weights[i])))
    width = len(spec.features.dense_columns()) - len(spec.features.numeric_columns())
    further = np.array(columns, dtype=np.float64).reshape(len(rows), width)
    declared = [
        NumericFeature(name, scaling=one.scaling) for one in spec.features.encode for name in one.columns()
    ]
    features = msgspec.structs.replace(
        spec.features, numeric=(*spec.features.numeric, *declared), encode=(), time=()
    )
    given: dict[str, Any] = {name: getattr(rows, name) for name in Rows.__slots__ if name != "codes"}
    given["numeric"] = np.ascontiguousarray(np.hstack([rows.numeric, further]))
    return msgspec.structs.replace(spec, features=features), Rows(**given)
