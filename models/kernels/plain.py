"""A sample's whole way in the plainest model of all: numbers, each standardised, one output, SGD or AdaGrad.

Its scaler and params are few, so they are worked on in a place of their own, in which eight columns stand
side by side: the processor takes all of these at once. They come from S at the first row of a run and go back
at its end. The arithmetic is that of the general way, operation by operation, so the bits are the same. A row
that could be refused is left to that way: nothing of it is kept before all of it is known to be well.

In `lanes`, eight columns have the first of their numbers side by side, then the second, and so on. The
intercept is a column behind the others, whose feature is 1; the rest of its eight are always missing.
"""

from __future__ import annotations

import math

from models.kernels.jit import Mark, helper, unsigned
from models.kernels.journal import BLOCK_SHIFT
from models.kernels.plan import SAMPLE, SIDE, Batch, Plan, UInt8
from models.kernels.prequential import observe
from models.kernels.step import current_rate
from models.layout import RUN, SAMPLES
from models.losses import derivative, is_label, to_prediction
from models.optimizers import ADAGRAD, SGD
from models.optimizers.adagrad import EPSILON
from models.rows import Float64
from models.scaling import LIMIT, STANDARD

NOT_PLAIN = -1
_RAW, _N, _MEAN, _M2, _ROOT, _X, _W, _SQUARES = 0, 8, 16, 24, 32, 40, 48, 56
_NEW_N, _NEW_MEAN, _NEW_M2, _NEW_ROOT, _NEW_W, _NEW_SQUARES = 64, 72, 80, 88, 96, 104
_CHUNK = 112
"""The numbers of eight columns: raw value, moments, root of the variance, feature, param and its G."""


def lanes_size(dense: int) -> int:
    """Length of `lanes` for so many columns and the intercept."""
    return _CHUNK * (dense // SIDE + 1)


@helper
def is_plain(fm: Mark, net: Mark, lazy: Mark, nag: Mark, coded: Mark, known: Mark, plan: Plan) -> bool:
    """Whether the samples of a model can go this way."""
    if fm is not None or net is not None or lazy is not None or nag is not None:
        return False
    if coded is not None or known is not None:
        return False
    for c in range(plan.columns):
        if plan.standard[c] != STANDARD:
            return False
    o = plan.optimizer
    small = plan.table + (1 + o.states) * (plan.dense + 1) <= plan.small_end
    bare = o.l1 == 0.0 and o.l2 == 0.0 and o.clip_value == 0.0 and o.clip_norm == 0.0
    one = plan.outputs == 1 and plan.update == SAMPLE and plan.mask < 0 and plan.dense == plan.columns
    return one and small and bare and o.penalised < 0 and (o.code == SGD or o.code == ADAGRAD)


@helper
def _at(c: int) -> int:
    """Where the numbers of column c begin."""
    return (c >> 3) * _CHUNK + (c & 7)


@helper
def begin_run(S: Float64, plan: Plan, lanes: Float64) -> None:
    """Fetch scaler and params from S."""
    d = plan.dense
    for p in range(lanes.size):
        lanes[p] = 0.0
    for c in range(lanes.size // _CHUNK * SIDE):
        lanes[_at(c) + _RAW] = math.nan
    for c in range(d + 1):
        p = _at(c)
        lanes[p + _W] = S[plan.table + c]
        lanes[p + _SQUARES] = S[plan.table + d + 1 + c] if plan.optimizer.code == ADAGRAD else 0.0
        if c < d:
            n, m2 = S[plan.scaler + c], S[plan.scaler + 2 * d + c]
            variance = m2 / n
            lanes[p + _N], lanes[p + _MEAN], lanes[p + _M2] = n, S[plan.scaler + d + c], m2
            lanes[p + _ROOT] = math.sqrt(variance) if variance > 0.0 else 0.0


@helper
def end_run(S: Float64, dirty: UInt8, plan: Plan, lanes: Float64) -> None:
    """Bring them back."""
    d = plan.dense
    for c in range(d + 1):
        p = _at(c)
        S[plan.table + c] = lanes[p + _W]
        if plan.optimizer.code == ADAGRAD:
            S[plan.table + d + 1 + c] = lanes[p + _SQUARES]
        if c < d:
            S[plan.scaler + c] = lanes[p + _N]
            S[plan.scaler + d + c] = lanes[p + _MEAN]
            S[plan.scaler + 2 * d + c] = lanes[p + _M2]
    for block in range(((plan.small_end - 1) >> BLOCK_SHIFT) + 1):
        dirty[block] = 1


@helper
def learn_plain(
    S: Float64, dirty: UInt8, plan: Plan, batch: Batch, i: int, given: bool, served: Float64,
    lanes: Float64, clock: Float64, journal: Float64, length: int, journaling: bool,
) -> int:  # fmt: skip
    """Predict row i unless that is given, and learn it; the journal's new length, or NOT_PLAIN."""
    d = plan.dense
    for c in range(d):
        lanes[unsigned(_at(c) + _RAW)] = batch.numeric[unsigned(i * d + c)]
    if not given:
        _standardise(lanes, plan.side)
        served[i] = _score(lanes, d)
        to_prediction(plan.task, plan.loss, 1, served, i)
    label, weight = batch.labels[i], batch.weights[i]
    halted = plan.halt_after > 0 and S[RUN] >= plan.halt_after
    if halted or not (0.0 < weight <= LIMIT and is_label(plan.task, plan.loss, 1, label)):
        return NOT_PLAIN
    if not _take_in(lanes, plan.side):
        return NOT_PLAIN
    s = _score(lanes, d)
    if not abs(s) <= LIMIT:
        return NOT_PLAIN
    lanes[unsigned(_at(d) + _X)] = 1.0
    rate = current_rate(None, plan.optimizer, S, clock)
    if not _step(
        lanes, plan.side, weight * derivative(plan.loss, s, label), rate, plan.optimizer.code == ADAGRAD
    ):
        return NOT_PLAIN
    _accept(lanes, plan.side)
    S[SAMPLES] += 1.0
    S[RUN] = 0.0
    return observe(S, dirty, plan, served, i, label, weight, journal, length, journaling)


@helper
def _standardise(lanes: Float64, side: int) -> None:
    """The features of the raw values, as models.scaling has it."""
    for b in range(0, lanes.size, _CHUNK):
        for p in range(b, b + side):
            x, root = lanes[unsigned(p + _RAW)], lanes[unsigned(p + _ROOT)]
            z = (x - lanes[unsigned(p + _MEAN)]) / root
            lanes[unsigned(p + _X)] = z if root > 0.0 and x == x else 0.0


@helper
def _score(lanes: Float64, d: int) -> float:
    """θ_0 + Σ θ_c x_c, in this order."""
    s: float = lanes[unsigned(_at(d) + _W)]
    for c in range(d):
        p = _at(c)
        s += lanes[unsigned(p + _W)] * lanes[unsigned(p + _X)]
    return s


@helper
def _take_in(lanes: Float64, side: int) -> bool:
    """The scaler after the raw values, and the features by it; False if a number explodes."""
    bad = 0
    for b in range(0, lanes.size, _CHUNK):
        for p in range(b, b + side):
            x = lanes[unsigned(p + _RAW)]
            n, mean, m2 = lanes[unsigned(p + _N)], lanes[unsigned(p + _MEAN)], lanes[unsigned(p + _M2)]
            seen = x == x
            delta = x - mean
            moved = mean + delta / (n + 1.0)
            grown = m2 + delta * (x - moved)
            n, mean, m2 = n + 1.0 if seen else n, moved if seen else mean, grown if seen else m2
            variance = m2 / n
            root = math.sqrt(variance) if variance > 0.0 else 0.0
            z = (x - mean) / root
            lanes[unsigned(p + _NEW_N)] = n
            lanes[unsigned(p + _NEW_MEAN)] = mean
            lanes[unsigned(p + _NEW_M2)] = m2
            lanes[unsigned(p + _NEW_ROOT)] = root
            lanes[unsigned(p + _X)] = z if root > 0.0 and seen else 0.0
            bad += seen & (not ((abs(moved) <= LIMIT) & (grown <= LIMIT)))
    return bad == 0


@helper
def _step(lanes: Float64, side: int, r: float, rate: float, adaptive: bool) -> bool:
    """The step along r x, judged; False if a number explodes."""
    bad = 0
    for b in range(0, lanes.size, _CHUNK):
        for p in range(b, b + side):
            g = 0.0 + r * lanes[unsigned(p + _X)]
            total = lanes[unsigned(p + _SQUARES)] + g * g
            adapted = rate * g / math.sqrt(total + EPSILON)
            w = lanes[unsigned(p + _W)] - (adapted if adaptive else rate * g)
            lanes[unsigned(p + _NEW_SQUARES)] = total if adaptive else 0.0
            lanes[unsigned(p + _NEW_W)] = w
            fine = (abs(g) <= LIMIT) & (abs(w) <= LIMIT) & ((total <= LIMIT) | (not adaptive))
            bad += not fine
    return bad == 0


@helper
def _accept(lanes: Float64, side: int) -> None:
    for b in range(0, lanes.size, _CHUNK):
        for p in range(b, b + side):
            lanes[unsigned(p + _N)] = lanes[unsigned(p + _NEW_N)]
            lanes[unsigned(p + _MEAN)] = lanes[unsigned(p + _NEW_MEAN)]
            lanes[unsigned(p + _M2)] = lanes[unsigned(p + _NEW_M2)]
            lanes[unsigned(p + _ROOT)] = lanes[unsigned(p + _NEW_ROOT)]
            lanes[unsigned(p + _W)] = lanes[unsigned(p + _NEW_W)]
            lanes[unsigned(p + _SQUARES)] = lanes[unsigned(p + _NEW_SQUARES)]
