"""What an accepted row changes in S, journaled behind S[:small_end]."""

from __future__ import annotations

from models.kernels.jit import helper
from models.kernels.journal import put, put_run
from models.kernels.plan import BATCH, SAMPLE, WINDOW, Plan, Scratch, UInt8, place
from models.layout import PENALTY, ROWS_END, ROWS_FIRST
from models.rows import Float64, Int64


@helper
def _commit_table(
    S: Float64, dirty: UInt8, base: int, new: Float64, at: int, plan: Plan, touched: Int64, n: int,
    journal: Float64, length: int, journaling: bool,
) -> int:  # fmt: skip
    """Write n coordinates' numbers, new[at] and on, back to the tensor at `base`; the journal's length."""
    width, always = plan.width, plan.always * plan.width
    noted = journaling and base >= plan.small_end
    if plan.nag is None:
        length = put_run(S, dirty, base, new, at, always, journal, length, noted)
    else:
        for j in range(always):
            p = base + place(plan.nag, plan, j)
            length = put(S, dirty, p, new[at + j], journal, length, noted)
    for i in range(plan.always, n):
        p, q = touched[i] * width, at + i * width
        for k in range(width):
            to = base + place(plan.nag, plan, p + k)
            length = put(S, dirty, to, new[q + k], journal, length, noted)
    return length


@helper
def commit_step(
    S: Float64, dirty: UInt8, plan: Plan, scratch: Scratch, n: int, journal: Float64,
    length: int, journaling: bool,
) -> int:  # fmt: skip
    """Write what a step made of the gathered params back; the journal's new length."""
    size, room = plan.network_size, scratch.w.size
    put_run(S, dirty, plan.network, scratch.w, 0, size, journal, 0, False)
    length = _commit_table(
        S, dirty, plan.table, scratch.w, size, plan, scratch.touched, n, journal, length, journaling
    )
    for s in range(plan.optimizer.states):
        put_run(S, dirty, plan.network_states[s], scratch.state, s * room, size, journal, 0, False)
        length = _commit_table(
            S, dirty, plan.table_states[s], scratch.state, s * room + size, plan, scratch.touched, n,
            journal, length, journaling,
        )  # fmt: skip
    commit_clock(S, plan, scratch)
    return length


@helper
def commit_clock(S: Float64, plan: Plan, scratch: Scratch) -> None:
    """Write the penalty and the optimizer's clock after a step back."""
    S[PENALTY] = scratch.penalty[0]
    if plan.clock >= 0:
        for j in range(scratch.clock.size):
            S[plan.clock + j] = scratch.clock[j]


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
