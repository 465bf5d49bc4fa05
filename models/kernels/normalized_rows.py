"""Normalized adaptive steps (models.optimizers.normalized) on the stored rows of a linear model."""

from __future__ import annotations

from models.kernels.family import stored_scores
from models.kernels.jit import part
from models.kernels.judge import ACCEPTED, BAD_SCORE
from models.kernels.plan import SAMPLE, Plan, Scratch, Stored
from models.optimizers.catch_up import NORM, WEIGHT
from models.optimizers.normalized import meet, multiplier, normalized_sample, spread, take_error
from models.scaling import LIMIT


@part
def meet_rows(plan: Plan, stored: Stored, start: int, stop: int, scratch: Scratch) -> None:
    """Normalized adaptive steps: take the rows' features into s, N and t, before their gradient is taken."""
    clock, state, room, dense = scratch.clock, scratch.state, scratch.w.size, plan.dense
    origin, K = stored.indptr[start], plan.outputs
    total = 0.0
    for i in range(start, stop):
        total += stored.weights[i]
    for i in range(start, stop):
        weight = stored.weights[i] if plan.update == SAMPLE else stored.weights[i] / total
        if weight == 0.0:
            continue
        squares = meet(plan.optimizer, 1.0, K, scratch.w, state, room, dense * K)
        for j in range(dense):
            squares += meet(plan.optimizer, stored.x[i * dense + j], K, scratch.w, state, room, j * K)
        for e in range(stored.indptr[i], stored.indptr[i + 1]):
            at = scratch.entry_slots[e - origin] * K
            squares += meet(plan.optimizer, stored.values[e], K, scratch.w, state, room, at)
        clock[NORM] += weight * squares
        clock[WEIGHT] += weight
        if plan.optimizer.by_error:
            stored_scores(plan.fm, plan.net, plan, stored, i, origin, scratch)
            take_error(plan.optimizer, scratch.scores[0], stored.labels[i], weight, clock)


@part
def normalized_row(plan: Plan, stored: Stored, i: int, scratch: Scratch, n: int, rate: float) -> int:
    """The importance-aware step on stored row i; ACCEPTED or the reason."""
    x, origin = scratch.g, stored.indptr[i]
    weight = stored.weights[i] if plan.update == SAMPLE else 1.0
    for j in range(plan.dense):
        x[j] = stored.x[i * plan.dense + j]
    x[plan.dense] = 1.0
    for j in range(plan.always, n):
        x[j] = 0.0
    for e in range(stored.indptr[i], stored.indptr[i + 1]):
        x[scratch.entry_slots[e - origin]] += stored.values[e]
    p = normalized_sample(
        plan.optimizer, plan.loss, x, scratch.w, scratch.state, scratch.w.size, n,
        stored.labels[i], weight, rate, scratch.clock,
    )  # fmt: skip
    if plan.optimizer.l2 > 0.0:
        _decay_normalized(plan, scratch, n, rate * multiplier(plan.optimizer, scratch.clock))
    return ACCEPTED if abs(p) <= LIMIT else BAD_SCORE


@part
def _decay_normalized(plan: Plan, scratch: Scratch, n: int, rate: float) -> None:
    """The L2 part of a normalized adaptive step, with each coordinate's own rate."""
    state, room, l2 = scratch.state, scratch.w.size, plan.optimizer.l2
    for j in range(n):
        if j != plan.dense and state[j] > 0.0:
            own = rate / spread(plan.optimizer, state, room, j)
            scratch.w[j] /= 1.0 + own * l2
