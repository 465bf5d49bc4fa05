"""One update of the params: gather the touched coordinates, step on compact copies, judge the result.

Nothing here writes to S. What comes out stands in scratch.w, .a, .b (and .penalty) for the caller to
commit, or to drop when the update is refused.
"""

from __future__ import annotations

import math

from models.kernels.jit import helper
from models.kernels.plan import SAMPLE, WINDOW, Plan, Scratch, Stored
from models.layout import PENALTY, SAMPLES
from models.learners.linear import add_gradient, raw_scores
from models.losses import to_derivative, to_prediction
from models.optimizers import FTRL, step
from models.rows import Float64
from models.scaling import LIMIT
from models.schedules import rate_at

ACCEPTED, BAD_LABEL, BAD_WEIGHT, BAD_FEATURES, BAD_SCORE, BAD_GRADIENT, BAD_PARAMS = 0, 1, 2, 3, 4, 5, 6
REASONS = {
    BAD_LABEL: "label is none of the task",
    BAD_WEIGHT: "weight is not finite or negative",
    BAD_FEATURES: "features are not finite or explode",
    BAD_SCORE: "raw score is not finite or explodes",
    BAD_GRADIENT: "gradient is not finite or explodes",
    BAD_PARAMS: "params or optimizer state are not finite or explode",
}


@helper
def explodes(values: Float64, size: int) -> bool:
    """Whether one of values[:size] is not finite or beyond ±1e150."""
    bad = 0
    for j in range(size):
        if not abs(values[j]) <= LIMIT:
            bad += 1
    return bad > 0


@helper
def gather(S: Float64, plan: Plan, stored: Stored, start: int, stop: int, scratch: Scratch) -> int:
    """Copy the coordinates that rows [start, stop) touch from S into scratch; their number.

    Dense features and the intercept are touched by every row and come first; a row of weight 0 touches
    nothing. A coordinate that several entries share has one compact position.
    """
    n = plan.dense + 1
    origin = stored.indptr[start]
    for i in range(start, stop):
        if stored.weights[i] == 0.0:
            continue
        for e in range(stored.indptr[i], stored.indptr[i + 1]):
            c = stored.coordinates[e]
            place = scratch.slots[c - plan.dense - 1]
            if place == 0:
                place = n
                scratch.slots[c - plan.dense - 1] = n
                scratch.touched[n] = c
                n += 1
            scratch.entry_slots[e - origin] = place
    for i in range(plan.dense + 1, n):
        scratch.slots[scratch.touched[i] - plan.dense - 1] = 0
    _copy(S, plan.weights, plan, scratch, n, scratch.w)
    if plan.state_a >= 0:
        _copy(S, plan.state_a, plan, scratch, n, scratch.a)
    if plan.state_b >= 0:
        _copy(S, plan.state_b, plan, scratch, n, scratch.b)
    return n


@helper
def _copy(S: Float64, base: int, plan: Plan, scratch: Scratch, n: int, out: Float64) -> None:
    outputs = plan.outputs
    for j in range((plan.dense + 1) * outputs):
        out[j] = S[base + j]
    if outputs == 1:
        for i in range(plan.dense + 1, n):
            out[i] = S[base + scratch.touched[i]]
        return
    for i in range(plan.dense + 1, n):
        p = base + scratch.touched[i] * outputs
        for k in range(outputs):
            out[i * outputs + k] = S[p + k]


@helper
def gradient(plan: Plan, stored: Stored, start: int, stop: int, scratch: Scratch, n: int) -> int:
    """Write the gradient over rows [start, stop) at scratch.w to scratch.g; ACCEPTED or the reason.

    g = w_1 g_1 for `sample`, Σ w_i g_i / Σ w_i for `batch` and `window`, plus l2 θ (not for FTRL-proximal,
    not on the intercept).
    """
    outputs, dense, g = plan.outputs, plan.dense, scratch.g
    origin = stored.indptr[start]
    for j in range(n * outputs):
        g[j] = 0.0
    total = 0.0
    for i in range(start, stop):
        weight = stored.weights[i]
        if weight == 0.0:
            continue
        total += weight
        first, last = stored.indptr[i], stored.indptr[i + 1]
        raw_scores(
            scratch.w, 0, outputs, dense, stored.x, i * dense, scratch.entry_slots, stored.values,
            first, last, first - origin, scratch.scores, 0,
        )  # fmt: skip
        if explodes(scratch.scores, outputs):
            return BAD_SCORE
        to_prediction(plan.task, outputs, scratch.scores, 0)
        to_derivative(plan.loss, scratch.scores, 0, stored.labels[i])
        add_gradient(
            g, outputs, dense, stored.x, i * dense, scratch.entry_slots, stored.values,
            first, last, first - origin, scratch.scores, weight,
        )  # fmt: skip
    if plan.update != SAMPLE:
        for j in range(n * outputs):
            g[j] /= total
    if plan.l2 > 0.0 and plan.optimizer != FTRL:
        for i in range(n):
            if i != dense:
                for j in range(i * outputs, (i + 1) * outputs):
                    g[j] += plan.l2 * scratch.w[j]
    return BAD_GRADIENT if explodes(g, n * outputs) else ACCEPTED


@helper
def norm(g: Float64, size: int) -> float:
    """Euclidean norm of g[:size]."""
    total = 0.0
    for j in range(size):
        total += g[j] * g[j]
    return math.sqrt(total)


@helper
def take_steps(
    plan: Plan, S: Float64, stored: Stored, start: int, stop: int, scratch: Scratch, n: int
) -> int:
    """The steps of one update over rows [start, stop), on gathered copies; ACCEPTED or the reason.

    One step, or for `window` up to `steps`, stopping before one whose gradient's norm is under `tolerance`.
    """
    size = n * plan.outputs
    rate = rate_at(plan.schedule, plan.rate, plan.power, S[SAMPLES])
    u = S[PENALTY]
    for _ in range(plan.steps):
        reason = gradient(plan, stored, start, stop, scratch, n)
        if reason != ACCEPTED:
            return reason
        if plan.update == WINDOW and norm(scratch.g, size) < plan.tolerance:
            break
        if plan.optimizer != FTRL:
            u += rate * plan.l1
        step(
            plan.optimizer, scratch.w, scratch.a, scratch.b, scratch.g, n, plan.outputs, plan.dense,
            rate, plan.l1, plan.l2, plan.beta, u,
        )  # fmt: skip
        if (
            explodes(scratch.w, size)
            or (plan.state_a >= 0 and explodes(scratch.a, size))
            or (plan.state_b >= 0 and explodes(scratch.b, size))
            or not u <= LIMIT
        ):
            return BAD_PARAMS
    scratch.penalty[0] = u
    return ACCEPTED
