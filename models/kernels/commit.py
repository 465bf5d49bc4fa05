"""What an accepted row changes in S, journaled behind S[:small_end]."""

from __future__ import annotations

from models.kernels.jit import helper
from models.kernels.journal import put, put_run
from models.kernels.plan import BATCH, SAMPLE, WINDOW, Plan, Scratch, UInt8
from models.layout import PENALTY, ROWS_END, ROWS_FIRST
from models.rows import Float64, Int64


@helper
def _commit_tensor(
    S: Float64,
    dirty: UInt8,
    base: int,
    new: Float64,
    plan: Plan,
    touched: Int64,
    n: int,
    positions: Int64,
    old: Float64,
    length: int,
    journaling: bool,
) -> int:
    """Write the compact values of n coordinates back to the tensor at `base`; the journal's new length."""
    outputs, dense = plan.outputs, (plan.dense + 1) * plan.outputs
    journal = journaling and base >= plan.small_end
    length = put_run(S, dirty, base, new, dense, positions, old, length, journal)
    for i in range(plan.dense + 1, n):
        p = base + touched[i] * outputs
        for k in range(outputs):
            length = put(S, dirty, p + k, new[i * outputs + k], positions, old, length, journal)
    return length


@helper
def commit_step(
    S: Float64,
    dirty: UInt8,
    plan: Plan,
    scratch: Scratch,
    n: int,
    positions: Int64,
    old: Float64,
    length: int,
    journaling: bool,
) -> int:
    touched = scratch.touched
    length = _commit_tensor(
        S, dirty, plan.weights, scratch.w, plan, touched, n, positions, old, length, journaling
    )
    if plan.state_a >= 0:
        length = _commit_tensor(
            S, dirty, plan.state_a, scratch.a, plan, touched, n, positions, old, length, journaling
        )
    if plan.state_b >= 0:
        length = _commit_tensor(
            S, dirty, plan.state_b, scratch.b, plan, touched, n, positions, old, length, journaling
        )
    S[PENALTY] = scratch.penalty[0]
    return length


@helper
def commit_rows(S: Float64, plan: Plan, due: bool) -> None:
    """Count the row that now stands behind the others, and let go of those that no step will need."""
    if plan.update == SAMPLE:
        return
    S[ROWS_END] += 1.0
    if plan.update == BATCH and due:
        S[ROWS_FIRST] = S[ROWS_END]
    elif plan.update == WINDOW and S[ROWS_END] - S[ROWS_FIRST] > plan.block_rows:
        S[ROWS_FIRST] += 1.0
