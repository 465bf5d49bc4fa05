"""Mean functions and losses, by task.

    regression   ŷ = s                            J = ½ (ŷ - y)²
    binary       p = 1 / (1 + e^-s)               J = -y log p - (1 - y) log (1 - p),  y ∈ {0, 1}
    multiclass   p_k = e^(s_k) / Σ_j e^(s_j)      J = -log p_y,                        y ∈ {0 … K-1}

All three are the negative log likelihood of a generalised linear model with its canonical link
(McCullagh & Nelder 1989), so the derivative by the raw score is always prediction - observation.

The counting learner has J = -s: each step adds α x to the params, whatever the label.
"""

from __future__ import annotations

from models.kernels.elementary import exp
from models.kernels.jit import helper
from models.rows import Float64

REGRESSION, BINARY, MULTICLASS = 0, 1, 2
TASKS = {"regression": REGRESSION, "binary": BINARY, "multiclass": MULTICLASS}
COUNTING = 3
"""The loss of the counting learner; the other losses have the codes of their tasks."""


@helper
def sigmoid(s: float) -> float:
    """1 / (1 + e^-s), through the exponential that cannot overflow."""
    if s >= 0.0:
        return 1.0 / (1.0 + exp(-s))
    e = exp(s)
    return e / (1.0 + e)


@helper
def to_prediction(task: int, outputs: int, a: Float64, at: int) -> None:
    """Replace the raw scores a[at : at + outputs] by the prediction: a number or probabilities."""
    if task == BINARY:
        a[at] = sigmoid(a[at])
    elif task == MULTICLASS:
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
def to_derivative(loss: int, a: Float64, at: int, label: float) -> None:
    """Replace the prediction a[at : at + outputs] by ∂J/∂s."""
    if loss == COUNTING:
        a[at] = -1.0
    elif loss == MULTICLASS:
        a[at + int(label)] -= 1.0
    else:
        a[at] -= label


@helper
def is_label(task: int, outputs: int, label: float) -> bool:
    """Whether a label is one of the task: a finite number, or the position of a class."""
    if task == REGRESSION:
        return abs(label) <= 1e150
    classes = 2 if task == BINARY else outputs
    return 0.0 <= label < classes and label == int(label)
