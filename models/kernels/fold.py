"""The fold: rows in order, each predicted, then learned from.

A row is prepared without a write to S, then committed whole or refused whole. Memory is never allocated
here: when a row may need more than there is, the kernel returns, the caller grows it and calls again.
"""

from __future__ import annotations

from models.kernels.alone import journaled, step_alone, steps_alone
from models.kernels.arrival import prepare
from models.kernels.categories import count_categories, write_columns
from models.kernels.commit import commit_clock, commit_rows, commit_step
from models.kernels.gather import fetch, gather
from models.kernels.jit import Mark, entry_point, helper
from models.kernels.journal import put_run, take_back
from models.kernels.judge import ACCEPTED
from models.kernels.plain import NOT_PLAIN, begin_run, end_run, is_plain, learn_plain
from models.kernels.plan import BATCH, SAMPLE, STRUCTS, WINDOW, Batch, Plan, Scratch, Stored, UInt8
from models.kernels.prequential import observe
from models.kernels.serve import serve
from models.kernels.step import current_rate, take_steps
from models.kernels.vocabulary import count_features, forget_stale
from models.layout import BINS, REFUSED, ROWS_END, ROWS_FIRST, RUN, SAMPLES, SKIPPED
from models.rows import Float64, Int64

ROW, JOURNAL, REFUSALS, NEED_JOURNAL, NEED_SLOTS, NEED_ENTRIES = 0, 1, 2, 3, 4, 5
PROGRESS = 6
"""Positions in, and length of, `progress`: next row, journal length, refusals, and what must grow to what."""
_OBSERVED = 2 * (2 * BINS + 2)
"""Numbers that the metrics of a sample may write to the journal."""

SERVE, GIVEN = -1, -2
"""In `origin`: the row is predicted here, or its prediction is given; else the earlier row that was."""


@helper
def _is_due(S: Float64, plan: Plan) -> bool:
    """Whether the next labelled row brings a step."""
    if plan.update == SAMPLE:
        return True
    if plan.update == BATCH:
        return int(S[ROWS_END] - S[ROWS_FIRST]) + 1 >= plan.block_rows
    return int(S[SAMPLES] + 1.0) % plan.stride == 0


@helper
def _first_of_step(S: Float64, plan: Plan, base: int, at: int) -> int:
    """The first stored row of a step that ends with row `at`."""
    if plan.update == SAMPLE:
        return at
    first = int(S[ROWS_FIRST]) - base
    return max(first, at + 1 - plan.block_rows) if plan.update == WINDOW else first


@helper
def _needs_more(
    plan: Plan, entries: int, due: bool, scratch: Scratch, capacity: int, journaling: bool, progress: Int64
) -> bool:
    """Whether a row whose step spans `entries` may need more memory; if so, `progress` says how much.

    Bounds: every entry a coordinate of its own (never more than there are, but for a step on a row alone),
    params and the optimizer's numbers, those of its categories and vocabulary, and all recent
    bins scaled down.
    """
    alone = steps_alone(plan.nag, plan)
    slots, more = 0, False
    if (
        due or plan.fm is not None or plan.net is not None
    ):  # these are judged by their gradient when they arrive
        slots = plan.always + (entries if alone else min(entries, plan.mask + 1))
        if slots > scratch.touched.size:
            progress[NEED_SLOTS], more = slots, True
        if entries > scratch.entry_slots.size:
            progress[NEED_ENTRIES], more = entries, True
    if journaling or alone or plan.known is not None:
        numbers = (1 + plan.optimizer.states) * slots * plan.width
        if plan.known is not None:
            numbers += entries * ((1 + plan.optimizer.states) * plan.width + 3)
        numbers += plan.categories.numbers + 3 * plan.columns + 2 * BINS + 2
        bound = progress[JOURNAL] + 2 * numbers
        if bound > capacity:
            progress[NEED_JOURNAL], more = bound, True
    return more


@helper
def _weight(stored: Stored, start: int, stop: int) -> float:
    total = 0.0
    for i in range(start, stop):
        total += stored.weights[i]
    return total


@helper
def _step(
    nag: Mark, S: Float64, dirty: UInt8, plan: Plan, stored: Stored, start: int, at: int, scratch: Scratch,
    journal: Float64, length: int, journaling: bool,
) -> tuple[int, int]:  # fmt: skip
    """Step on stored rows `start` to `at`, in S if ACCEPTED; that or the reason, the journal's new length."""
    if nag is not None and steps_alone(nag, plan):
        rate = current_rate(plan.lazy, plan.optimizer, S, scratch.clock)
        reason = step_alone(S, dirty, plan, stored, at, scratch, rate, journal, length)
        if reason != ACCEPTED:
            return reason, length
        commit_clock(S, plan, scratch)
        if journaling and plan.table >= plan.small_end:
            length += journaled(plan, plan.always + stored.indptr[at + 1] - stored.indptr[at])
        return ACCEPTED, length
    n = gather(S, plan, stored, start, at + 1, scratch, False)
    reason = take_steps(plan, S, stored, start, at + 1, scratch, n)
    if reason == ACCEPTED:
        length = commit_step(S, dirty, plan, scratch, n, journal, length, journaling)
    return reason, length


@helper
def _fold_plain(
    fm: Mark, net: Mark, lazy: Mark, nag: Mark, coded: Mark, known: Mark, S: Float64, dirty: UInt8,
    plan: Plan, batch: Batch, i: int, given: bool, served: Float64, learned_before: Int64, scratch: Scratch,
    journaling: bool, journal: Float64, progress: Int64,
) -> int:  # fmt: skip
    """Fold the rows from i on that can go the plain way; returns the first that cannot."""
    if fm is not None or net is not None or lazy is not None or nag is not None:
        return i
    if coded is not None or known is not None:
        return i
    begun, rows = i, batch.labels.size
    while i < rows and (not journaling or progress[JOURNAL] + _OBSERVED <= journal.size):
        if i == begun:
            begin_run(S, plan, scratch.lanes)
        learned_before[i] = int(S[SAMPLES])
        length = learn_plain(
            S, dirty, plan, batch, i, given, served, scratch.lanes, scratch.clock,
            journal, progress[JOURNAL], journaling,
        )  # fmt: skip
        if length == NOT_PLAIN:
            break
        progress[JOURNAL] = length
        i += 1
    if i > begun:
        end_run(S, dirty, plan, scratch.lanes)
    return i


@entry_point(*STRUCTS, Batch, Stored, Scratch)
def fold_rows(
    S: Float64,
    dirty: UInt8,
    plan: Plan,
    batch: Batch,
    given: bool,
    origin: Int64,
    served: Float64,
    learned_before: Int64,
    refused_rows: Int64,
    refused_codes: Int64,
    stored: Stored,
    base: int,
    scratch: Scratch,
    journaling: bool,
    journal: Float64,
    progress: Int64,
) -> None:
    """Fold rows progress[ROW] … into S, until the end or until memory must grow (NEED_… above 0).

    `served` is flat (n K,): read if `given`, else written; `origin` (n,) says it for each row, if it is not
    empty: a sample and, later, its label are two rows of one batch. `stored` holds rows from absolute row
    `base` on and has room for all of this batch. Unlabelled rows are only predicted.
    """
    for need in (NEED_JOURNAL, NEED_SLOTS, NEED_ENTRIES):
        progress[need] = 0
    plain = origin.size == 0 and is_plain(
        plan.fm, plan.net, plan.lazy, plan.nag, plan.coded, plan.known, plan
    )
    i = progress[ROW] - 1
    while True:
        i += 1
        if plain:
            i = _fold_plain(
                plan.fm, plan.net, plan.lazy, plan.nag, plan.coded, plan.known, S, dirty, plan, batch, i,
                given, served, learned_before, scratch, journaling, journal, progress,
            )  # fmt: skip
        if i >= batch.labels.size:
            break
        progress[ROW] = i
        at = int(S[ROWS_END]) - base
        start = _first_of_step(S, plan, base, at)
        due = _is_due(S, plan)
        entries = stored.indptr[at] - stored.indptr[start] + batch.indptr[i + 1] - batch.indptr[i]
        if _needs_more(plan, entries, due, scratch, journal.size, journaling, progress):
            return
        fetch(S, plan, batch, i + 1)
        learned_before[i] = int(S[SAMPLES])
        write_columns(plan.coded, S, plan, batch, i, scratch.columns)
        source = origin[i] if origin.size > 0 else GIVEN if given else SERVE
        if source == SERVE:
            serve(
                S, plan, batch, i, scratch.columns, scratch.z, scratch.units, scratch.slopes,
                served, i * plan.outputs,
            )  # fmt: skip
        elif source >= 0:
            for k in range(plan.outputs):
                served[i * plan.outputs + k] = served[source * plan.outputs + k]
        if batch.labels[i] != batch.labels[i]:
            continue

        dirty[0] = 1
        if plan.halt_after > 0 and S[RUN] >= plan.halt_after:
            S[SKIPPED] += 1.0
            progress[JOURNAL] = observe(
                S, dirty, plan, served, i * plan.outputs, batch.labels[i], batch.weights[i],
                journal, progress[JOURNAL], journaling,
            )  # fmt: skip
            continue
        reason = prepare(S, plan, batch, i, stored, at, scratch)
        stepped, length = False, progress[JOURNAL]
        if reason == ACCEPTED:
            length = forget_stale(plan.known, S, dirty, plan, batch, i, journal, length)
        if reason == ACCEPTED and due and _weight(stored, start, at + 1) > 0.0:
            stepped = True
            reason, length = _step(
                plan.nag, S, dirty, plan, stored, start, at, scratch, journal, length, journaling
            )
        if reason != ACCEPTED:
            take_back(S, journal, progress[JOURNAL], length)
            refused_rows[progress[REFUSALS]] = i
            refused_codes[progress[REFUSALS]] = reason
            progress[REFUSALS] += 1
            S[REFUSED] += 1.0
            S[RUN] += 1.0
            if stepped:  # the step as a whole: its rows go too, or they would refuse all that follow
                S[ROWS_FIRST] = S[ROWS_END]
            continue

        if not journaling:
            length = progress[JOURNAL]
        length = put_run(
            S, dirty, plan.scaler, scratch.scaler, 0, 3 * plan.columns, journal, length,
            journaling and plan.scaler >= plan.small_end,
        )  # fmt: skip
        length = count_categories(plan.coded, S, dirty, plan, batch, i, journal, length, journaling)
        length = count_features(plan.known, S, dirty, plan, batch, i, journal, length, journaling)
        commit_rows(S, plan, due)
        S[SAMPLES] += 1.0
        if due:  # a row that only waits for its step says nothing about the next update
            S[RUN] = 0.0
        progress[JOURNAL] = observe(
            S, dirty, plan, served, i * plan.outputs, batch.labels[i], batch.weights[i],
            journal, length, journaling,
        )  # fmt: skip
    progress[ROW] = batch.labels.size
