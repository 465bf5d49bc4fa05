"""Categories as numbers, from what the fold has counted of them: how often they came, and with what labels.

A feature has 2^bits slots of (n, S_1 … S_K): the weight of the samples learned with a category, and the sum
of their labels times weight; categories that share a slot count as one. N and T are the same of all samples.

    frequency   log(1 + n)
    target      (S_k + m T_k / N) / (n + m)     the mean label, drawn to that of all samples where n is small

Source of the latter: Micci-Barreca, SIGKDD Explorations 3(1), 2001, with λ(n) = n / (n + m). A label is the y
of a regression; 1 for the second class of two; of more classes 1 for its own, 0 for the others.

A row is encoded once, before it is counted: prediction and step have the same numbers, and its own label has
no part in them. A category that is not there is missing, and so is every mean before the first label.
"""

from __future__ import annotations

import math

from models.kernels.jit import Mark, helper, part, unsigned
from models.kernels.journal import put
from models.kernels.plan import Batch, Categories, Plan, UInt8
from models.kernels.transforms import signed_log
from models.losses import MULTICLASS
from models.rows import Float64, Int64
from models.scaling import LIMIT


@helper
def write_columns(coded: Mark, S: Float64, plan: Plan, batch: Batch, i: int, out: Float64) -> None:
    """Write all columns of row i before scaling to out[:d]; NaN = missing."""
    for c in range(plan.given):
        out[unsigned(c)] = batch.numeric[unsigned(i * plan.given + c)]
    if coded is not None:
        _encode(S, plan.categories, batch.codes, i * plan.categories.tables.size, out, plan.given)


@part
def _encode(S: Float64, tables: Categories, codes: Int64, at: int, out: Float64, to: int) -> None:
    """Write the columns of the categories codes[at : at + e] to out[to], out[to + 1] …"""
    for f in range(tables.tables.size):
        code, sums, m = codes[at + f], tables.sums[f], tables.prior_weights[f]
        p = tables.tables[f] + (code & tables.masks[f]) * (1 + sums)
        if sums == 0:
            out[to] = signed_log(S[p]) if code >= 0 else math.nan
            to += 1
        for k in range(sums):  # NaN where 0 is divided by 0: before the first label, or with m = 0
            mean = (S[p + 1 + k] + m * (S[tables.totals + 1 + k] / S[tables.totals])) / (S[p] + m)
            out[to] = mean if code >= 0 else math.nan
            to += 1


@helper
def can_be_counted(coded: Mark, batch: Batch, i: int) -> bool:
    """Whether the sums can take the label of row i: 2^53 of them stay far from overflow."""
    return coded is None or batch.weights[i] * abs(batch.labels[i]) <= LIMIT


@helper
def count_categories(
    coded: Mark, S: Float64, dirty: UInt8, plan: Plan, batch: Batch, i: int, journal: Float64,
    length: int, journaling: bool,
) -> int:  # fmt: skip
    """Row i has been learned: n ← n + w, S ← S + w y, and so for all samples; the journal's new length."""
    if coded is None:
        return length
    return _count(S, dirty, plan, batch, i, journal, length, journaling)


@part
def _count(
    S: Float64, dirty: UInt8, plan: Plan, batch: Batch, i: int, journal: Float64, length: int,
    journaling: bool,
) -> int:  # fmt: skip
    tables, weight = plan.categories, batch.weights[i]
    for f in range(-1, tables.tables.size):  # -1: the numbers of all samples
        p, sums = tables.totals, tables.outputs
        if f >= 0:
            code, sums = batch.codes[i * tables.tables.size + f], tables.sums[f]
            if code < 0:
                continue
            p = tables.tables[f] + (code & tables.masks[f]) * (1 + sums)
        noted = journaling and p >= plan.small_end
        length = put(S, dirty, p, S[p] + weight, journal, length, noted)
        for k in range(sums):
            y = batch.labels[i]
            if plan.task == MULTICLASS:
                y = 1.0 if k == y else 0.0
            p += 1
            length = put(S, dirty, p, S[p] + weight * y, journal, length, noted)
    return length
