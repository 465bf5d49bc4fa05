"""Optimizers on the touched params of one step, gathered into compact arrays.

A step sees `size` numbers: w the params, g the gradient of the loss with L2 in it (not for FTRL-proximal,
whose L2 stands in its closed form), and `state`, in which the optimizer's i-th number of param j stands at
state[i · room + j]. A further optimizer is a further module, its state's names here, and a branch in `step`.

    code                   state            formula
    SGD                    [q]              optimizers/sgd.py
    MOMENTUM, NESTEROV     m t [q]          optimizers/momentum.py
    ADAGRAD                G [q]            optimizers/adagrad.py
    RMSPROP                v t [q]          optimizers/rmsprop.py
    ADAM, ADAMW            m v t [D] [q]    optimizers/adam.py
    FTRL                   z n              optimizers/ftrl.py
    NORMALIZED             G s [q]          optimizers/normalized.py; by root mean square G s² c [q]

q, only with L1, is the penalty applied so far (optimizers/cumulative_l1.py); t the step up to which a param's
state has been brought, and D the decay up to then (optimizers/catch_up.py).
"""

from __future__ import annotations

from models.spec import OptimizerSpec

SGD, ADAGRAD, FTRL, MOMENTUM, NESTEROV, RMSPROP, ADAM, ADAMW, NORMALIZED = range(9)
OPTIMIZERS = {
    "sgd": SGD,
    "adagrad": ADAGRAD,
    "ftrl-proximal": FTRL,
    "momentum": MOMENTUM,
    "nesterov": NESTEROV,
    "rmsprop": RMSPROP,
    "adam": ADAM,
    "adamw": ADAMW,
    "normalized-adaptive": NORMALIZED,
}
_STATES: dict[str, tuple[str, ...]] = {
    "sgd": (),
    "adagrad": ("G",),
    "ftrl-proximal": ("z", "n"),
    "momentum": ("m", "t"),
    "nesterov": ("m", "t"),
    "rmsprop": ("v", "t"),
    "adam": ("m", "v", "t"),
    "adamw": ("m", "v", "t"),
    "normalized-adaptive": ("G", "s"),
}
DRIFTING = ("momentum", "nesterov", "adam", "adamw")
"""Those that move a param in steps whose gradient is zero, too."""
CLOCKED = (*DRIFTING, "rmsprop", "normalized-adaptive")
"""Those that keep count of their steps, in the tensor `clock`."""
CLOCK = 4
"""Numbers of the clock (optimizers.catch_up)."""


def state_names(spec: OptimizerSpec) -> tuple[str, ...]:
    """Names of an optimizer's numbers for each param, in order."""
    names = _STATES[spec.name]
    if spec.name == "normalized-adaptive" and spec.norm == "rms":
        names = ("G", "s2", "c")
    if spec.name == "adamw" and not constant(spec):
        names = (*names, "D")
    return (*names, "q") if spec.l1 > 0 and spec.name != "ftrl-proximal" else names


def memory(spec: OptimizerSpec) -> int:
    """Steps after which what an optimizer remembers of a gradient is below 2^-60 of it, at most 8192.

    Beyond, its momentum counts as zero.
    """
    if spec.name not in DRIFTING:
        return 0
    keep = spec.momentum if spec.name in ("momentum", "nesterov") else spec.beta1
    steps, left = 1, keep
    while left > 2.0**-60 and steps < 8192:
        left *= keep
        steps += 1
    return steps


def constant(spec: OptimizerSpec) -> bool:
    """Whether the rate is the same in each step."""
    return spec.schedule.name == "constant" and spec.schedule.warmup == 0
