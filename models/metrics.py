"""Prequential metrics, read from the sums of kernels/prequential.py.

A metric is None where it is undefined: no sample of positive weight, one class only, labels that do not
vary (r2).
"""

from __future__ import annotations

import math

from models.kernels.prequential import area_under_curve
from models.layout import BINS, RECENT, TOTAL
from models.rows import Float64
from models.spec import Task

Metric = float | None
Metrics = dict[str, Metric]


def read_metrics(task: Task, scalars: Float64, histograms: Float64 | None) -> dict[str, Metric | Metrics]:
    """Metrics since the start, and the same under "recent".

    `scalars` is S[:SCALARS]; `histograms` the flat (4 · BINS,) total and recent ones of a binary model.
    """
    total, recent = (None, None) if histograms is None else (histograms[: 2 * BINS], histograms[2 * BINS :])
    result: dict[str, Metric | Metrics] = {**_read(task, scalars[TOTAL : TOTAL + 5], total)}
    result["recent"] = _read(task, scalars[RECENT : RECENT + 5], recent)
    return result


def _read(task: Task, sums: Float64, histograms: Float64 | None) -> Metrics:
    weight, first, second = float(sums[0]), float(sums[1]), float(sums[2])
    if task == "regression":
        deviations = float(sums[4])
        mse = _ratio(second, weight)
        return {
            "mae": _ratio(first, weight),
            "rmse": None if mse is None else math.sqrt(mse),
            "r2": None if not deviations > 0.0 else 1.0 - second / deviations,
        }
    result = {"log_loss": _ratio(first, weight), "accuracy": _ratio(second, weight)}
    if histograms is not None:
        area = float(area_under_curve(histograms, BINS))
        result["roc_auc"] = None if math.isnan(area) else area
    return result


def _ratio(total: float, weight: float) -> Metric:
    return total / weight if weight > 0.0 else None
