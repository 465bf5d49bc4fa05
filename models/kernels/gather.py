"""The params that a step touches: from S into compact arrays, network first."""

from __future__ import annotations

from models.kernels.jit import Mark, helper, prefetch, unsigned
from models.kernels.plan import Batch, Plan, Scratch, Stored, place
from models.optimizers.catch_up import DECAYED, STEPS, catch_up
from models.rows import Float64, Int64


@helper
def gather(
    S: Float64, plan: Plan, stored: Stored, start: int, stop: int, scratch: Scratch, idle: bool
) -> int:
    """Copy the params that rows [start, stop) touch from S into scratch; the number of coordinates.

    Those that every row touches come first; a row of weight 0 touches others only if `idle`, and has no
    compact positions else. A coordinate that several entries share has one compact position.
    """
    n, always = plan.always, plan.always
    origin = stored.indptr[start]
    for i in range(start, stop):
        if stored.weights[i] == 0.0 and not idle:
            continue
        for e in range(stored.indptr[i], stored.indptr[i + 1]):
            c = stored.coordinates[e]
            place = scratch.slots[c - always]
            if place == 0:
                scratch.touched[n] = c
                n += 1
                place = n
                scratch.slots[c - always] = n
            scratch.entry_slots[e - origin] = place - 1
    for i in range(always, n):
        scratch.slots[scratch.touched[i] - always] = 0
    size, room = plan.network_size, scratch.w.size
    _copy(S, plan.network, plan.table, plan, scratch.touched, n, scratch.w, 0)
    for s in range(plan.optimizer.states):
        at = s * room
        _copy(S, plan.network_states[s], plan.table_states[s], plan, scratch.touched, n, scratch.state, at)
    if plan.clock >= 0:
        for j in range(scratch.clock.size):
            scratch.clock[j] = S[plan.clock + j]
    _catch_up(plan.lazy, plan, scratch, size + always * plan.width, size + n * plan.width)
    return n


@helper
def _catch_up(lazy: Mark, plan: Plan, scratch: Scratch, start: int, stop: int) -> None:
    if lazy is not None:
        now, decayed = int(scratch.clock[STEPS]), scratch.clock[DECAYED]
        catch_up(plan.optimizer, scratch.w, scratch.state, scratch.w.size, start, stop, now, decayed)


@helper
def _copy(
    S: Float64, network: int, table: int, plan: Plan, touched: Int64, n: int, out: Float64, at: int
) -> None:
    size, width = plan.network_size, plan.width
    for j in range(size):
        out[unsigned(at + j)] = S[unsigned(network + j)]
    at += size
    for j in range(plan.always * width):
        out[unsigned(at + j)] = S[unsigned(table + place(plan.nag, plan, j))]
    if width == 1:
        for i in range(plan.always, n):
            out[unsigned(at + i)] = S[unsigned(table + place(plan.nag, plan, touched[i]))]
        return
    for i in range(plan.always, n):
        p, q = touched[i] * width, at + i * width
        for k in range(width):
            out[q + k] = S[table + place(plan.nag, plan, p + k)]


@helper
def fetch(S: Float64, plan: Plan, batch: Batch, i: int) -> None:
    """Begin to load what row i will touch: of a large table each coordinate is a wait for the memory."""
    if i >= batch.labels.size:
        return
    for e in range(unsigned(batch.indptr[i]), unsigned(batch.indptr[i + 1])):
        j = (plan.always + (batch.indices[e] & plan.mask)) * plan.width
        prefetch(S, plan.table + place(plan.nag, plan, j))
        if plan.known is not None:
            prefetch(S, plan.vocabulary.table + 2 * (batch.indices[e] & plan.mask))
        if plan.nag is None:
            for s in range(plan.optimizer.states):
                prefetch(S, plan.table_states[s] + j)
