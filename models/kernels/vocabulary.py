"""A bounded vocabulary: hashed features take part once they came often enough, and are forgotten when they
stay away.

Each hashed coordinate has (n, seen): in how many learned samples it came since it was last forgotten, and the
latest event time of these, in ms. With the threshold c and the age a, for a sample of event time T:

    stale         n > 0 and T - seen > a
    prediction    a feature takes part if n ≥ c and it is not stale
    learning      one that is stale is forgotten first: n, its params and what the optimizer keeps of them are
                  as at the very beginning; then n ← n + 1, seen ← max(seen, T), and it takes part if n ≥ c

Count filter and expiry are those of Monolith (Liu et al., ORSUM 2022, section 2.1.2), here by event time, so
that a replay forgets the same. Features that share a coordinate count as one.
"""

from __future__ import annotations

from models.kernels.jit import Mark, helper, part
from models.kernels.journal import put
from models.kernels.plan import Batch, Plan, UInt8, place
from models.rows import Float64


@helper
def takes_part(known: Mark, S: Float64, plan: Plan, batch: Batch, i: int, e: int, more: float) -> bool:
    """Whether entry e has a part in the prediction of row i (more = 0), or in what is learned of it, which is
    not counted yet (more = 1).
    """
    if known is None:
        return True
    v = plan.vocabulary
    p, n = v.table + 2 * (batch.indices[e] & plan.mask), 0.0
    if not (v.age > 0.0 and batch.timestamps[i] - S[p + 1] > v.age):
        n = S[p]
    return n + more >= v.least


@helper
def forget_stale(
    known: Mark, S: Float64, dirty: UInt8, plan: Plan, batch: Batch, i: int, journal: Float64, length: int
) -> int:
    """Forget what is stale among the entries of row i, always journaled; the journal's new length."""
    if known is None:
        return length
    return _forget_stale(S, dirty, plan, batch, i, journal, length)


@part
def _forget_stale(
    S: Float64, dirty: UInt8, plan: Plan, batch: Batch, i: int, journal: Float64, length: int
) -> int:
    v, width = plan.vocabulary, plan.width
    if v.age == 0.0:
        return length
    for e in range(batch.indptr[i], batch.indptr[i + 1]):
        h = batch.indices[e] & plan.mask
        p = v.table + 2 * h
        if S[p] == 0.0 or batch.timestamps[i] - S[p + 1] <= v.age:
            continue
        length = put(S, dirty, p, 0.0, journal, length, True)
        for j in range((plan.always + h) * width, (plan.always + h + 1) * width):
            to = plan.table + place(plan.nag, plan, j)
            length = put(S, dirty, to, v.initial[to], journal, length, True)
            for s in range(plan.optimizer.states):
                to = plan.table_states[s] + place(plan.nag, plan, j)
                length = put(S, dirty, to, v.initial[to], journal, length, True)
    return length


@helper
def count_features(
    known: Mark, S: Float64, dirty: UInt8, plan: Plan, batch: Batch, i: int, journal: Float64, length: int,
    journaling: bool,
) -> int:  # fmt: skip
    """Row i has been learned: n and seen of its entries; the journal's new length."""
    if known is None:
        return length
    return _count(S, dirty, plan, batch, i, journal, length, journaling)


@part
def _count(
    S: Float64, dirty: UInt8, plan: Plan, batch: Batch, i: int, journal: Float64, length: int,
    journaling: bool,
) -> int:  # fmt: skip
    noted = journaling and plan.vocabulary.table >= plan.small_end
    for e in range(batch.indptr[i], batch.indptr[i + 1]):
        p = plan.vocabulary.table + 2 * (batch.indices[e] & plan.mask)
        seen = float(batch.timestamps[i])
        if S[p] > 0.0:
            seen = max(seen, S[p + 1])
        length = put(S, dirty, p, S[p] + 1.0, journal, length, noted)
        length = put(S, dirty, p + 1, seen, journal, length, noted)
    return length
