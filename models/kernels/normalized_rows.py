"""Normalized adaptive steps (models.optimizers.normalized) on the stored rows of a linear model."""

from __future__ import annotations

from models.kernels.family import stored_scores
from models.kernels.jit import helper, part
from models.kernels.plan import SAMPLE, Plan, Scratch, Stored
from models.optimizers.catch_up import NORM, WEIGHT
from models.optimizers.normalized import meet, take_error


@helper
def _meet(plan: Plan, scratch: Scratch, x: float, at: int) -> float:
    room = scratch.w.size
    return meet(plan.optimizer, x, plan.outputs, scratch.w, at, scratch.state, room + at, 2 * room + at)


@part
def meet_rows(plan: Plan, stored: Stored, start: int, stop: int, scratch: Scratch) -> None:
    """Normalized adaptive steps: take the rows' features into s, N and t, before their gradient is taken."""
    clock, dense = scratch.clock, plan.dense
    origin, K = stored.indptr[start], plan.outputs
    total = 0.0
    for i in range(start, stop):
        total += stored.weights[i]
    for i in range(start, stop):
        weight = stored.weights[i] if plan.update == SAMPLE else stored.weights[i] / total
        if weight == 0.0:
            continue
        squares = _meet(plan, scratch, 1.0, dense * K)
        for j in range(dense):
            squares += _meet(plan, scratch, stored.x[i * dense + j], j * K)
        for e in range(stored.indptr[i], stored.indptr[i + 1]):
            at = scratch.entry_slots[e - origin] * K
            squares += _meet(plan, scratch, stored.values[e], at)
        clock[NORM] += weight * squares
        clock[WEIGHT] += weight
        if plan.optimizer.by_error:
            stored_scores(plan.fm, plan.net, plan, stored, i, origin, scratch)
            take_error(plan.optimizer, scratch.scores[0], stored.labels[i], weight, clock)
