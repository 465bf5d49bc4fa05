"""Optimizers on the touched coordinates of one step, gathered into compact arrays.

A step sees n coordinates × K outputs, coordinate-major: w the weights, a and b the optimizer's state,
g the gradient of the loss with L2 in it (not for FTRL-proximal, whose L2 stands in its closed form).
The `free` coordinate is the intercept: no penalty touches it. A further optimizer is a further module, a
code here and a branch in `step`.

    code       a     b
    SGD        q     –      q only with L1: the penalty applied so far (optimizers/cumulative_l1.py)
    ADAGRAD    G     q
    FTRL       z     n
"""

from __future__ import annotations

from models.kernels.jit import helper
from models.optimizers.adagrad import adagrad_step
from models.optimizers.cumulative_l1 import apply_penalty
from models.optimizers.ftrl import ftrl_step
from models.optimizers.sgd import sgd_step
from models.rows import Float64

SGD, ADAGRAD, FTRL = 0, 1, 2
OPTIMIZERS = {"sgd": SGD, "adagrad": ADAGRAD, "ftrl-proximal": FTRL}


def state_names(optimizer: str, l1: float) -> tuple[str, ...]:
    """Names of the state tensors a, b of an optimizer, in order."""
    if optimizer == "ftrl-proximal":
        return ("z", "n")
    return (("G",) if optimizer == "adagrad" else ()) + (("q",) if l1 > 0 else ())


@helper
def step(
    optimizer: int,
    w: Float64,
    a: Float64,
    b: Float64,
    g: Float64,
    n: int,
    outputs: int,
    free: int,
    rate: float,
    l1: float,
    l2: float,
    beta: float,
    u: float,
) -> None:
    """One step in place; `u` is the cumulative penalty with this step's α_t · l1 in it."""
    if optimizer == SGD:
        sgd_step(w, g, n * outputs, rate)
        if l1 > 0.0:
            apply_penalty(w, a, n, outputs, free, u)
    elif optimizer == ADAGRAD:
        adagrad_step(w, a, g, n * outputs, rate)
        if l1 > 0.0:
            apply_penalty(w, b, n, outputs, free, u)
    else:
        ftrl_step(w, a, b, g, n, outputs, free, rate, beta, l1, l2)
