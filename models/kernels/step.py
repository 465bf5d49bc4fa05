"""One update of the params: gather the touched ones, step on compact copies, judge the result.

Nothing here writes to S. What comes out stands in scratch.w, .state, .penalty and .clock for the caller to
commit, or to drop when the update is refused.
"""

from __future__ import annotations

import math

from models.kernels.family import add_gradient, stored_scores
from models.kernels.jit import Mark, helper, part
from models.kernels.judge import ACCEPTED, BAD_GRADIENT, BAD_PARAMS, BAD_SCORE, explodes, explodes_from
from models.kernels.normalized_rows import meet_rows
from models.kernels.plan import SAMPLE, WINDOW, Plan, Scratch, Stored
from models.layout import PENALTY, SAMPLES
from models.losses import to_derivative
from models.optimizers import ADAGRAD, FTRL
from models.optimizers.adagrad import adagrad_step
from models.optimizers.catch_up import STEPS, Optimizer
from models.optimizers.step import add_l2, optimize, penalise, stamp, tick
from models.rows import Float64, Int64
from models.scaling import LIMIT
from models.schedules import rate_at


@helper
def norm(g: Float64, size: int) -> float:
    """Euclidean norm of g[:size]."""
    total = 0.0
    for j in range(size):
        total += g[j] * g[j]
    return math.sqrt(total)


@helper
def gradient(plan: Plan, stored: Stored, start: int, stop: int, scratch: Scratch, size: int) -> int:
    """Write the gradient over rows [start, stop) at scratch.w to scratch.g; ACCEPTED or the reason.

    g = w_1 g_1 for `sample`, Σ w_i g_i / Σ w_i for `batch` and `window`, clipped; plus l2 θ (not for
    FTRL-proximal, not on what is free of penalties).
    """
    g, origin = scratch.g, stored.indptr[start]
    for j in range(size):
        g[j] = 0.0
    total = 0.0
    for i in range(start, stop):
        weight = stored.weights[i]
        if weight == 0.0:
            continue
        total += weight
        stored_scores(plan.fm, plan.net, plan, stored, i, origin, scratch)
        if explodes(scratch.scores, plan.outputs):
            return BAD_SCORE
        to_derivative(plan.loss, plan.outputs, scratch.scores, 0, stored.labels[i])
        add_gradient(plan.fm, plan.net, plan, stored, i, origin, scratch, weight)
    if plan.update != SAMPLE:
        for j in range(size):
            g[j] /= total
    if plan.optimizer.clip_value > 0.0 or plan.optimizer.clip_norm > 0.0:
        _clip(plan.optimizer, g, size)
    if plan.optimizer.l2 > 0.0 and plan.optimizer.code != FTRL:
        add_l2(plan.optimizer.l2, plan.free, scratch.w, g, size)
    return BAD_GRADIENT if explodes(g, size) else ACCEPTED


@part
def _clip(o: Optimizer, g: Float64, size: int) -> None:
    """Elements into ±clip_value, then the whole to at most clip_norm (Pascanu et al., ICML 2013)."""
    bound = o.clip_value
    if bound > 0.0:
        for j in range(size):
            g[j] = min(max(g[j], -bound), bound)
    if o.clip_norm > 0.0:
        length = norm(g, size)
        if length > o.clip_norm:
            shrunk = o.clip_norm / length
            for j in range(size):
                g[j] *= shrunk


@helper
def current_rate(lazy: Mark, o: Optimizer, S: Float64, clock: Float64) -> float:
    """α_t; t counts samples, or steps where the optimizer makes up for missed ones (models.schedules)."""
    if o.constant:
        return o.schedule.rate
    if lazy is not None:
        return rate_at(o.schedule, clock[STEPS])
    return rate_at(o.schedule, S[SAMPLES])


@part
def _params_explode(w: Float64, state: Float64, states: int, size: int, u: float) -> bool:
    if not u <= LIMIT or explodes(w, size):
        return True
    bad = False
    for s in range(states):
        bad |= explodes_from(state, s * w.size, size)
    return bad


@helper
def _meet(nag: Mark, plan: Plan, stored: Stored, start: int, stop: int, scratch: Scratch) -> None:
    if nag is not None:
        meet_rows(plan, stored, start, stop, scratch)


@helper
def _tick(lazy: Mark, o: Optimizer, clock: Float64, rate: float) -> None:
    if lazy is not None:
        tick(o, clock, rate)


@helper
def _stamp(lazy: Mark, o: Optimizer, state: Float64, room: int, size: int, clock: Float64) -> None:
    if lazy is not None:
        stamp(o, state, room, size, clock)


@helper
def _keep(fm: Mark, plan: Plan, scratch: Scratch, size: int) -> None:
    if fm is not None and plan.factor_rate != 1.0:
        for j in range(size):
            scratch.before[j] = scratch.w[j]


@helper
def _scale_factors(fm: Mark, plan: Plan, scratch: Scratch, n: int) -> None:
    """Factors go their own share of the way: the optimizer moves a param by its rate times something."""
    if fm is not None and plan.factor_rate != 1.0:
        for i in range(n):
            for j in range(i * plan.width + plan.outputs, (i + 1) * plan.width):
                move = scratch.w[j] - scratch.before[j]
                scratch.w[j] = scratch.before[j] + plan.factor_rate * move


@helper
def _optimize(
    lazy: Mark, nag: Mark, o: Optimizer, free: Int64, w: Float64, state: Float64, room: int, g: Float64,
    size: int, rate: float, clock: Float64,
) -> None:  # fmt: skip
    """As `optimize`; of the shortest steps a call would cost as much as the step."""
    if lazy is None and nag is None and o.code == ADAGRAD:
        adagrad_step(w, state, g, size, rate)
    else:
        optimize(lazy, nag, o, free, w, state, room, g, size, rate, clock)


@helper
def take_steps(
    plan: Plan, S: Float64, stored: Stored, start: int, stop: int, scratch: Scratch, n: int
) -> int:
    """The steps of one update over rows [start, stop), on gathered copies; ACCEPTED or the reason.

    One step, or for `window` up to `steps`, stopping before one whose gradient's norm is under `tolerance`.
    """
    o, room = plan.optimizer, scratch.w.size
    size = plan.network_size + n * plan.width
    u = S[PENALTY]
    _meet(plan.nag, plan, stored, start, stop, scratch)
    for _ in range(plan.steps):
        rate = current_rate(plan.lazy, o, S, scratch.clock)
        reason = gradient(plan, stored, start, stop, scratch, size)
        if reason != ACCEPTED:
            return reason
        if plan.update == WINDOW and norm(scratch.g, size) < plan.tolerance:
            break
        _tick(plan.lazy, o, scratch.clock, rate)
        _keep(plan.fm, plan, scratch, size)
        _optimize(
            plan.lazy, plan.nag, o, plan.free, scratch.w, scratch.state, room, scratch.g, size, rate,
            scratch.clock,
        )  # fmt: skip
        _scale_factors(plan.fm, plan, scratch, n)
        if o.penalised >= 0:
            u += rate * o.l1
            penalise(plan.free, scratch.w, scratch.state, o.penalised * room, size, u)
        if _params_explode(scratch.w, scratch.state, o.states, size, u):
            return BAD_PARAMS
    _stamp(plan.lazy, o, scratch.state, room, size, scratch.clock)
    scratch.penalty[0] = u
    return ACCEPTED
