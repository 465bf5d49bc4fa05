"""One step of any optimizer on compact params; see models.optimizers for the arrays.

`free` holds pairs (start, stop) of params that no penalty touches, in order: the intercept's, or a network's
biases.
"""

from __future__ import annotations

from models.kernels.elementary import log, power
from models.kernels.jit import Mark, helper, part
from models.optimizers import ADAGRAD, MOMENTUM, NESTEROV, RMSPROP, SGD
from models.optimizers.adagrad import adagrad_step
from models.optimizers.adam import adam_step
from models.optimizers.catch_up import DECAYED, STEPS, Optimizer
from models.optimizers.cumulative_l1 import apply_penalty
from models.optimizers.ftrl import ftrl_step
from models.optimizers.momentum import momentum_step
from models.optimizers.normalized import normalized_step
from models.optimizers.rmsprop import rmsprop_step
from models.optimizers.sgd import sgd_step
from models.rows import Float64, Int64


@part
def add_l2(l2: float, free: Int64, w: Float64, g: Float64, size: int) -> None:
    """g += l2 θ for all that penalties reach."""
    at = 0
    for r in range(0, free.size, 2):
        for j in range(at, free[r]):
            g[j] += l2 * w[j]
        at = free[r + 1]
    for j in range(at, size):
        g[j] += l2 * w[j]


@part
def penalise(free: Int64, w: Float64, q: Float64, q_at: int, size: int, u: float) -> None:
    """L1 on all that penalties reach."""
    at = 0
    for r in range(0, free.size, 2):
        apply_penalty(w, q, q_at, at, free[r], u)
        at = free[r + 1]
    apply_penalty(w, q, q_at, at, size, u)


@part
def _decay(share: float, free: Int64, w: Float64, size: int) -> None:
    """θ ← θ - share θ for all that penalties reach."""
    at = 0
    for r in range(0, free.size, 2):
        for j in range(at, free[r]):
            w[j] -= share * w[j]
        at = free[r + 1]
    for j in range(at, size):
        w[j] -= share * w[j]


@part
def _ftrl(o: Optimizer, free: Int64, w: Float64, state: Float64, room: int, g: Float64, size: int) -> None:
    rate, at = o.schedule.rate, 0
    for r in range(0, free.size, 2):
        ftrl_step(w, state, room, g, at, free[r], rate, o.beta, o.l1, o.l2)
        at = free[r + 1]
        ftrl_step(w, state, room, g, free[r], at, rate, o.beta, 0.0, 0.0)
    ftrl_step(w, state, room, g, at, size, rate, o.beta, o.l1, o.l2)


@part
def optimize(
    lazy: Mark, nag: Mark, o: Optimizer, free: Int64, w: Float64, state: Float64, room: int, g: Float64,
    size: int, rate: float, clock: Float64,
) -> None:  # fmt: skip
    """One step over g; L1 comes after it (`penalise`)."""
    if nag is not None:
        normalized_step(o, free[0], free[1] - free[0], w, state, room, g, size, rate, clock)
    elif lazy is not None:
        _optimize_lazily(o, free, w, state, room, g, size, rate, clock)
    elif o.code == SGD:
        sgd_step(w, g, size, rate)
    elif o.code == ADAGRAD:
        adagrad_step(w, state, g, size, rate)
    else:
        _ftrl(o, free, w, state, room, g, size)


@helper
def _optimize_lazily(
    o: Optimizer, free: Int64, w: Float64, state: Float64, room: int, g: Float64, size: int, rate: float,
    clock: Float64,
) -> None:  # fmt: skip
    code = o.code
    if code in (MOMENTUM, NESTEROV):
        momentum_step(w, state, g, size, rate, o.mu, code == NESTEROV)
    elif code == RMSPROP:
        rmsprop_step(w, state, g, size, rate, o.rho, o.epsilon)
    else:
        t = clock[STEPS]
        if o.decay > 0.0:
            _decay(rate * o.decay, free, w, size)
        left1, left2 = 1.0 - power(o.beta1, t), 1.0 - power(o.beta2, t)
        adam_step(w, state, room, g, size, rate, o.beta1, o.beta2, o.epsilon, left1, left2)


@part
def tick(o: Optimizer, clock: Float64, rate: float) -> None:
    """Count a step that is about to be taken."""
    clock[STEPS] += 1.0
    if o.decay > 0.0:
        clock[DECAYED] += log(1.0 - rate * o.decay)


@part
def stamp(o: Optimizer, state: Float64, room: int, size: int, clock: Float64) -> None:
    """Note on params [0, size) up to which step they have been brought."""
    code = o.code
    at = room if code in (MOMENTUM, NESTEROV, RMSPROP) else 2 * room
    for j in range(size):
        state[at + j] = clock[STEPS]
    if o.decay > 0.0 and not o.constant:
        for j in range(size):
            state[3 * room + j] = clock[DECAYED]
