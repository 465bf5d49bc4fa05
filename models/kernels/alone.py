"""A normalized adaptive step (models.optimizers.normalized) on one row of a linear model with one output.

The most common model of all, so that nothing is gathered or copied back: params and state are written where
they stand in S, old values into the journal, and a step that is refused is taken back from there. Entries
that share a coordinate are features of their own.
"""

from __future__ import annotations

from models.kernels.jit import Mark, helper, part, unsigned
from models.kernels.journal import BLOCK_SHIFT, take_back
from models.kernels.judge import ACCEPTED, BAD_PARAMS, BAD_SCORE
from models.kernels.plan import SAMPLE, WINDOW, Plan, Scratch, Stored, UInt8
from models.layout import PENALTY
from models.losses import Loss, derivative
from models.optimizers.catch_up import NORM, WEIGHT, Optimizer
from models.optimizers.cumulative_l1 import apply_penalty
from models.optimizers.importance import importance_step
from models.optimizers.normalized import ROUGHLY_ZERO, meet, multiplier, near, prior, spread, take_error
from models.rows import Float64, Int64
from models.scaling import LIMIT

# Where a coordinate's numbers stand behind its param: G, s or s², and with "rms" c.
G, SIZE, COUNT = unsigned(1), unsigned(2), unsigned(3)
_SHIFT = unsigned(BLOCK_SHIFT)


@helper
def steps_alone(nag: Mark, plan: Plan) -> bool:
    """Whether a model's updates are of this kind: one step on one row, by whatever name."""
    if nag is None:
        return False
    one = plan.outputs == 1 and plan.block_rows == 1 and plan.steps == 1
    return one and not (plan.update == WINDOW and plan.tolerance > 0.0)


@helper
def step_alone(
    S: Float64, dirty: UInt8, plan: Plan, stored: Stored, i: int, scratch: Scratch, rate: float,
    journal: Float64, at: int,
) -> int:  # fmt: skip
    """The step on stored row i; ACCEPTED, with `journaled` numbers in journal[at:], or why it was undone.

    The new clock and penalty stand in scratch for the caller to commit.
    """
    o, clock = plan.optimizer, scratch.clock
    m = _take_features(plan, stored, i, scratch)
    for j in range(clock.size):
        clock[j] = S[plan.clock + j]
    u = S[PENALTY] + rate * o.l1
    scratch.penalty[0] = u
    reason = _step(
        S, dirty, o, plan.loss, plan.table, plan.dense, scratch.touched, scratch.g, scratch.w, m,
        stored.labels[i], stored.weights[i] if plan.update == SAMPLE else 1.0, rate, u, clock,
        journal, at,
    )  # fmt: skip
    if reason != ACCEPTED:
        take_back(S, journal, at, at + journaled(plan, m))
    return reason


@helper
def journaled(plan: Plan, features: int) -> int:
    """How many numbers a step on a row of so many features writes to the journal."""
    return features * (plan.spacing + 1)


@helper
def _take_features(plan: Plan, stored: Stored, i: int, scratch: Scratch) -> int:
    """Coordinates and values of row i to scratch.touched and scratch.g; how many."""
    dense = plan.dense
    for j in range(dense):
        scratch.touched[j] = j
        scratch.g[j] = stored.x[i * dense + j]
    scratch.touched[dense] = dense
    scratch.g[dense] = 1.0
    m = unsigned(dense + 1)
    for e in range(unsigned(stored.indptr[i]), unsigned(stored.indptr[i + 1])):
        scratch.touched[m] = stored.coordinates[e]
        scratch.g[m] = stored.values[e]
        m += unsigned(1)
    return int(m)


@part
def _step(
    S: Float64, dirty: UInt8, o: Optimizer, loss: Loss, table: int, intercept: int, touched: Int64,
    x: Float64, moves: Float64, m: int, label: float, weight: float, rate: float, u: float, clock: Float64,
    journal: Float64, at: int,
) -> int:  # fmt: skip
    """The step on m features x at the coordinates `touched`, written to S; ACCEPTED or the reason to undo it.

    Comes out with x as they were taken.
    """
    spacing, entry = 1 + o.states, unsigned(2 + o.states)
    p, norm = 0.0, 0.0
    for f in range(unsigned(m)):
        c = unsigned(table + spacing * touched[f])
        _note(S, c, spacing, journal, unsigned(at) + entry * f)
        taken = near(o, x[f], S[c + SIZE])
        norm += meet(o, x[f], 1, S, c, S, c + SIZE, c + COUNT)
        x[f] = taken
        p += S[c] * taken
    clock[NORM] += weight * norm
    clock[WEIGHT] += weight
    take_error(o, p, label, weight, clock)
    if not abs(p) <= LIMIT:
        return BAD_SCORE
    slope = derivative(loss, p, label)
    squared = weight * slope * slope
    own = prior(o, S[table + spacing * intercept + 1] + squared, clock)
    q = 0.0
    for f in range(unsigned(m)):
        c = unsigned(table + spacing * touched[f])
        total = S[c + G] + squared * (x[f] * x[f])
        S[c + G] = total
        moves[f] = 0.0
        if total > 0.0 and abs(x[f]) >= ROUGHLY_ZERO:
            moves[f] = x[f] / spread(o, total, S[c + SIZE], own)
        q += x[f] * moves[f]
    scale = multiplier(o, clock)
    step = importance_step(loss, p, label, rate * weight, scale * q) * scale
    bad = 0 if u <= LIMIT else 1
    for f in range(unsigned(m)):
        c = unsigned(table + spacing * touched[f])
        value = S[c] - step * moves[f]
        S[c] = value
        if not (abs(value) <= LIMIT and S[c + G] <= LIMIT and S[c + SIZE] <= LIMIT):
            bad += 1
        dirty[c >> _SHIFT] = 1
        dirty[(c + unsigned(spacing - 1)) >> _SHIFT] = 1
    if o.l1 > 0.0 or o.l2 > 0.0:
        _penalise(S, o, table, intercept, touched, m, u, rate * scale, own)
    return BAD_PARAMS if bad > 0 else ACCEPTED


@helper
def _note(S: Float64, c: int, spacing: int, journal: Float64, at: int) -> None:
    """Write the numbers of a coordinate to the journal; there are three to five."""
    journal[at] = S[c]
    journal[at + G] = S[c + G]
    journal[at + SIZE] = S[c + SIZE]
    for s in range(3, spacing):
        journal[at + unsigned(s)] = S[c + unsigned(s)]
    journal[at + unsigned(spacing)] = 8 * int(c) + spacing - 1


@part
def _penalise(
    S: Float64, o: Optimizer, table: int, intercept: int, touched: Int64, m: int, u: float, rate: float,
    own: float,
) -> None:  # fmt: skip
    """L2 with each coordinate's own rate, then cumulative L1; not of the intercept."""
    spacing = 1 + o.states
    for f in range(m):
        c = table + spacing * touched[f]
        if touched[f] == intercept:
            continue
        if o.l2 > 0.0 and S[c + 1] > 0.0:
            S[c] /= 1.0 + rate / spread(o, S[c + 1], S[c + 2], own) * o.l2
        if o.l1 > 0.0:
            apply_penalty(S, S, 1 + o.penalised, c, c + 1, u)
