"""By what settings are compared: one of the model's prequential metrics, or the loss of its quantile.

The metrics that every model has say nothing about a quantile other than the median, so a model with the
loss `quantile` has one more here: the mean of what it minimises, τ (y - ŷ) above the prediction and
(1 - τ) (ŷ - y) below, weighted (Koenker & Bassett 1978).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from models.metrics import Metric, Metrics
from models.model import Model
from models.rows import Float64, Rows
from models.spec import ModelSpec

QUANTILE_LOSS = "quantile_loss"
HIGHER_IS_BETTER = ("accuracy", "roc_auc", "r2")
_BY_LOSS = {
    "absolute": "mae",
    "huber": "mae",
    "quantile": QUANTILE_LOSS,
    "hinge": "accuracy",  # its probabilities are not calibrated
    "squared-hinge": "accuracy",
}
_BY_TASK = {"regression": "rmse", "binary": "log_loss", "multiclass": "log_loss"}


def criteria(spec: ModelSpec) -> list[str]:
    """The names of all criteria of a model, what it is judged by unless told otherwise first."""
    names = [name for name in Model(spec).metrics() if name != "recent"]
    loss = spec.loss.name if spec.loss is not None else ""
    if loss == "quantile":
        names.append(QUANTILE_LOSS)
    default = _BY_LOSS.get(loss, _BY_TASK[spec.task])
    return [default, *(name for name in names if name != default)]


@dataclass(slots=True)
class QuantileLoss:
    """The weighted mean of the quantile's loss so far."""

    quantile: float
    weight: float = 0.0
    total: float = 0.0

    @classmethod
    def of(cls, spec: ModelSpec) -> QuantileLoss | None:
        """For a model with this loss, None for others."""
        loss = spec.loss
        return cls(loss.quantile) if loss is not None and loss.name == "quantile" else None

    def add(self, rows: Rows, served: Float64) -> None:
        """Take in n labelled rows and their predictions (n, 1)."""
        under = rows.labels - served[:, 0]
        losses = np.maximum(self.quantile * under, (self.quantile - 1.0) * under)
        self.weight += float(rows.weights.sum())
        self.total += float((rows.weights * losses).sum())

    def value(self) -> float:
        """NaN before the first sample."""
        return self.total / self.weight if self.weight > 0.0 else math.nan


def with_quantile_loss(
    metrics: dict[str, Metric | Metrics], loss: QuantileLoss | None
) -> dict[str, Metric | Metrics]:
    """The metrics, and the quantile's loss where there is one."""
    return metrics if loss is None else {**metrics, QUANTILE_LOSS: loss.value()}
