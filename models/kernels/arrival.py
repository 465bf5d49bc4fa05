"""A row's arrival: the scaler takes it in, it is scaled and encoded, and judged. No write to S."""

from __future__ import annotations

from models.kernels.categories import can_be_counted
from models.kernels.family import add_gradient, stored_scores
from models.kernels.gather import gather
from models.kernels.jit import Mark, helper, part, unsigned
from models.kernels.judge import (
    ACCEPTED,
    BAD_FEATURES,
    BAD_GRADIENT,
    BAD_LABEL,
    BAD_SCORE,
    BAD_WEIGHT,
    explodes,
)
from models.kernels.plan import SAMPLE, Batch, Plan, Scratch, Stored
from models.kernels.vocabulary import takes_part
from models.learners.linear import raw_scores, row_explodes
from models.losses import is_label, to_derivative
from models.rows import Float64
from models.scaling import LIMIT, multiply, scale, take_in


@helper
def encode(
    S: Float64, plan: Plan, batch: Batch, i: int, columns: Float64, scaler: Float64, stored: Stored, at: int,
    x: Float64, xat: int,
) -> None:  # fmt: skip
    """Write row i, with these columns scaled by `scaler`, behind the stored rows, as row `at`.

    S is read for which features are known.
    """
    d = plan.columns
    scale(scaler, 0, columns, 0, d, plan.standard, x, xat)
    multiply(plan.pairs, d, x, xat)
    stored.labels[at] = batch.labels[i]
    stored.weights[at] = batch.weights[i]
    to = unsigned(stored.indptr[at])
    for e in range(unsigned(batch.indptr[i]), unsigned(batch.indptr[i + 1])):
        if not takes_part(plan.known, S, plan, batch, i, e, 1.0):
            continue
        c = batch.scaled_by[e]
        stored.coordinates[to] = plan.always + (batch.indices[e] & plan.mask)
        stored.values[to] = batch.values[e] * x[xat + c] if c >= 0 else batch.values[e]
        to += unsigned(1)
    stored.indptr[at + 1] = to


@helper
def judge_alone(
    fm: Mark, net: Mark, S: Float64, plan: Plan, stored: Stored, at: int, scratch: Scratch
) -> int:
    """Whether row `at` would explode at the params as they are, before it may enter a batch or window."""
    if fm is not None or net is not None:
        return _judge_gradient(S, plan, stored, at, scratch)
    return _judge_linear(S, plan, stored, at, scratch)


@part
def _judge_linear(S: Float64, plan: Plan, stored: Stored, at: int, scratch: Scratch) -> int:
    first, last = stored.indptr[at], stored.indptr[at + 1]
    xat = at * plan.dense
    raw_scores(
        S, plan.table, plan.spacing, plan.outputs, plan.dense, stored.x, xat, stored.coordinates,
        stored.values, first, last, first, scratch.scores, 0,
    )  # fmt: skip
    if explodes(scratch.scores, plan.outputs):
        return BAD_SCORE
    to_derivative(plan.loss, plan.outputs, scratch.scores, 0, stored.labels[at])
    if row_explodes(
        stored.x, xat, plan.dense, stored.values, first, last,
        scratch.scores, plan.outputs, stored.weights[at], LIMIT,
    ):  # fmt: skip
        return BAD_GRADIENT
    return ACCEPTED


@part
def _judge_gradient(S: Float64, plan: Plan, stored: Stored, at: int, scratch: Scratch) -> int:
    """As `judge_alone`, by the gradient itself."""
    n = gather(S, plan, stored, at, at + 1, scratch, True)
    origin, size = stored.indptr[at], plan.network_size + n * plan.width
    stored_scores(plan.fm, plan.net, plan, stored, at, origin, scratch)
    if explodes(scratch.scores, plan.outputs):
        return BAD_SCORE
    to_derivative(plan.loss, plan.outputs, scratch.scores, 0, stored.labels[at])
    for j in range(size):
        scratch.g[j] = 0.0
    if stored.weights[at] > 0.0:
        add_gradient(plan.fm, plan.net, plan, stored, at, origin, scratch, stored.weights[at])
    return BAD_GRADIENT if explodes(scratch.g, size) else ACCEPTED


@helper
def prepare(S: Float64, plan: Plan, batch: Batch, i: int, stored: Stored, at: int, scratch: Scratch) -> int:
    """New scaler and the encoded row, without a write to S; ACCEPTED or the reason to refuse.

    scratch.columns are the row's.
    """
    if not is_label(plan.task, plan.loss, plan.outputs, batch.labels[i]):
        return BAD_LABEL
    if not 0.0 <= batch.weights[i] <= LIMIT:
        return BAD_WEIGHT
    if not can_be_counted(plan.coded, batch, i):
        return BAD_LABEL
    if not take_in(S, plan.scaler, scratch.columns, 0, plan.columns, plan.standard, scratch.scaler):
        return BAD_FEATURES
    encode(S, plan, batch, i, scratch.columns, scratch.scaler, stored, at, stored.x, at * plan.dense)
    if plan.update == SAMPLE and batch.weights[i] > 0.0:
        return ACCEPTED  # its step judges it
    return judge_alone(plan.fm, plan.net, S, plan, stored, at, scratch)
