"""Losses J of a raw score s and a label y, and mean functions, which make the prediction of s.

    loss                       J                                           ∂J/∂s                    prediction
    regression
      squared                  ½ (s - y)²                                  s - y                    s
      absolute                 |s - y|                                     sign(s - y)              s
      huber                    ½ (s - y)², δ (|s - y| - ½ δ) beyond δ      s - y, cut off at ±δ     s
      quantile                 τ (y - s) for y > s, (1 - τ) (s - y) else   -τ or 1 - τ, 0 at y = s  s
      poisson, y ≥ 0           e^s - y s                                   e^s - y                  e^s
    binary
      log                      -y log p - (1 - y) log (1 - p)              p - y                    sigmoid(s)
      hinge                    max(0, 1 - ±s)                              ∓1 or 0                  sigmoid(s)
      squared-hinge            max(0, 1 - ±s)²                             ∓2 max(0, 1 - ±s)        sigmoid(s)
    multiclass
      cross-entropy            -log p_y,  p_k = e^(s_k) / Σ_j e^(s_j)      p_k - [k = y]            p

sigmoid(s) = 1 / (1 + e^-s); ± is + for the second class (y = 1) and - for the first. With squared, poisson,
log and cross-entropy J is a generalised linear model's negative log likelihood (McCullagh & Nelder 1989).
Huber 1964; quantile: Koenker & Bassett 1978; hinge: Cortes & Vapnik 1995: its sigmoid orders samples, and is
no calibrated probability.

The counting learner has J = -s: each step adds α x to the params, whatever the label.
"""

from __future__ import annotations

from typing import NamedTuple

from models.kernels.elementary import exp, log
from models.kernels.jit import helper, part
from models.rows import Float64
from models.spec import LossSpec

REGRESSION, BINARY, MULTICLASS = 0, 1, 2
TASKS = {"regression": REGRESSION, "binary": BINARY, "multiclass": MULTICLASS}

SQUARED, LOG, CROSS_ENTROPY, COUNTING, ABSOLUTE, HUBER, QUANTILE, POISSON, HINGE, SQUARED_HINGE = range(10)
LOSSES = {
    "squared": SQUARED,
    "log": LOG,
    "cross-entropy": CROSS_ENTROPY,
    "absolute": ABSOLUTE,
    "huber": HUBER,
    "quantile": QUANTILE,
    "poisson": POISSON,
    "hinge": HINGE,
    "squared-hinge": SQUARED_HINGE,
}
LARGEST_LABEL = 1e150


class Loss(NamedTuple):
    """A loss as code and numbers."""

    code: int
    delta: float
    quantile: float


def make_loss(spec: LossSpec, counting: bool = False) -> Loss:
    """What the kernels are told."""
    code = COUNTING if counting else LOSSES[spec.name]
    return Loss(code, float(spec.delta), float(spec.quantile))


@helper
def sigmoid(s: float) -> float:
    """1 / (1 + e^-s), through the exponential that cannot overflow, and without a branch on the sign."""
    e = exp(-abs(s))
    return (1.0 if s >= 0.0 else e) / (1.0 + e)


@part
def _softmax(outputs: int, a: Float64, at: int) -> None:
    top = a[at]
    for k in range(1, outputs):
        if a[at + k] > top:
            top = a[at + k]
    total = 0.0
    for k in range(outputs):
        e = exp(a[at + k] - top)
        a[at + k] = e
        total += e
    for k in range(outputs):
        a[at + k] /= total


@helper
def to_prediction(task: int, loss: Loss, outputs: int, a: Float64, at: int) -> None:
    """Replace the raw scores a[at : at + outputs] by the prediction: a number or probabilities."""
    if task == BINARY:
        a[at] = sigmoid(a[at])
    elif task == MULTICLASS:
        _softmax(outputs, a, at)
    elif loss.code == POISSON:
        a[at] = exp(a[at])


@part
def derivative(loss: Loss, s: float, label: float) -> float:
    """∂J/∂s of a loss of one raw score."""
    code = loss.code
    if code == LOG:
        return sigmoid(s) - label
    if code == SQUARED:
        return s - label
    if code == COUNTING:
        return -1.0
    if code == POISSON:
        return exp(s) - label
    if code in (HINGE, SQUARED_HINGE):
        sign = 1.0 if label == 1.0 else -1.0
        short = 1.0 - sign * s
        if short <= 0.0:
            return 0.0
        return -sign if code == HINGE else -2.0 * sign * short
    error = s - label
    if code == HUBER:
        return min(max(error, -loss.delta), loss.delta)
    if error == 0.0:
        return 0.0
    if code == QUANTILE:
        return 1.0 - loss.quantile if error > 0.0 else -loss.quantile
    return 1.0 if error > 0.0 else -1.0


@helper
def to_derivative(loss: Loss, outputs: int, a: Float64, at: int, label: float) -> None:
    """Replace the raw scores a[at : at + outputs] by ∂J/∂s."""
    if loss.code == CROSS_ENTROPY:
        _softmax(outputs, a, at)
        a[at + int(label)] -= 1.0
    else:
        a[at] = derivative(loss, a[at], label)


@helper
def _log1p_exp(s: float) -> float:
    """log(1 + e^s)."""
    return s + log(1.0 + exp(-s)) if s > 0.0 else log(1.0 + exp(s))


@helper
def value(loss: Loss, outputs: int, a: Float64, at: int, label: float) -> float:
    """J of the raw scores a[at : at + outputs]."""
    code = loss.code
    s: float = a[at]
    if code == CROSS_ENTROPY:
        top = s
        for k in range(1, outputs):
            top = max(top, float(a[at + k]))
        total = 0.0
        for k in range(outputs):
            total += exp(a[at + k] - top)
        of_label: float = a[at + int(label)]
        return log(total) - (of_label - top)
    if code == LOG:
        return _log1p_exp(-s) if label == 1.0 else _log1p_exp(s)
    if code == COUNTING:
        return -s
    if code == POISSON:
        return exp(s) - label * s
    if code in (HINGE, SQUARED_HINGE):
        short = max(0.0, 1.0 - s if label == 1.0 else 1.0 + s)
        return short if code == HINGE else short * short
    size = abs(s - label)
    if code == ABSOLUTE:
        return size
    if code == QUANTILE:
        return size * ((1.0 - loss.quantile) if s > label else loss.quantile)
    if code == HUBER and size > loss.delta:
        return loss.delta * (size - 0.5 * loss.delta)
    return 0.5 * size * size


@helper
def is_label(task: int, loss: Loss, outputs: int, label: float) -> bool:
    """Whether a label is one of the task: a finite number (Poisson: from 0 on), or a class's position."""
    if task == REGRESSION:
        return abs(label) <= LARGEST_LABEL and not (loss.code == POISSON and label < 0.0)
    classes = 2 if task == BINARY else outputs
    return 0.0 <= label < classes and label == int(label)
