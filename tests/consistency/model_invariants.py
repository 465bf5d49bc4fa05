"""What must hold in every state of the learning-log model."""

from __future__ import annotations

from tests.consistency import model_worker as at
from tests.consistency.model_contract import Broken, contract_fold, not_exactly_once
from tests.consistency.model_state import State


def broken_invariant(state: State, broken: Broken) -> str:
    """The first invariant that does not hold, in words; empty if all hold."""
    no_open = broken.no_open
    if state.wrong:
        return state.wrong
    _, learned, counted = contract_fold(state.next, state.log, no_open)
    if found := not_exactly_once(state.next, learned):
        return found
    if any(not record.acknowledged for record in counted):
        return "a sample counts whose prediction may never have gone out"
    for name, worker in enumerate(state.workers):
        if found := _of_worker(state, worker, no_open):
            return f"W{name}: {found}"
        # Where a rule about pending is left out, let it go on, and see what comes of it: a standstill.
        if not (broken.no_drop or broken.idle_stands or broken.silent_reset) and _astray(worker):
            return f"W{name}: what is pending does not begin where the fold ends"
    return ""


def _of_worker(state: State, worker: at.Worker, no_open: bool) -> str:
    if found := not_exactly_once(state.next, worker.learned):
        return found
    next_, learned, _ = contract_fold(state.next, state.log[: worker.read], no_open)
    if (worker.next, worker.learned) != (next_, learned):
        return "its fold is not the contract's at the same log offset"
    if worker.view != worker.learned + at.samples(worker.pending):
        return "its view is not the fold with pending on top"
    return ""


def _astray(worker: at.Worker) -> bool:
    """Rule 10: pending of each partition goes on where the fold ends, without a gap."""
    ends = [max(offset, 0) for offset in worker.next]
    for batch in worker.pending:
        if batch.start != ends[batch.partition]:
            return True
        ends[batch.partition] = batch.stop
    return False
