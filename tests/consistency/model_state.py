"""A state of the learning-log model, and which states are the same.

A state holds the log from its *base* on: the oldest record that some worker has not read. What is before it
is the contract's fold there, which every worker was checked to agree with. So a restart from the base stands
for one from any older checkpoint, or from the log's beginning.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from tests.consistency import model_worker as at
from tests.consistency.model_contract import Broken, Record, contract_fold, not_exactly_once
from tests.consistency.model_worker import Worker

FAULTS = ("move", "crash", "fail", "repeat", "truncate")
MOVE, CRASH, FAIL, REPEAT, TRUNCATE = range(len(FAULTS))


class State(NamedTuple):
    """Everything: `next` is the contract's fold at the base, `log` what comes after it."""

    next: tuple[int, ...]
    log: tuple[Record, ...]
    late: tuple[Record, ...]  # doubtful appends and repeats: each arrives at any time, or never
    workers: tuple[Worker, ...]
    left: tuple[int, ...]  # how many faults of each kind may still happen
    input_start: int  # of partition 0: what was before is deleted
    wrong: str = ""  # of the step that led here


@dataclass(frozen=True)
class Bounds:
    """How large the model is."""

    samples: tuple[int, ...] = (2,)  # in each partition
    opened: bool = True  # whether the partitions are open from the start
    sizes: tuple[int, ...] = (1, 2)  # of batches
    depth: int = 2  # appends in flight of one worker
    pending: int = 2  # batches of one worker
    merge: bool = False  # whether neighbours leave in one record
    prefetch: int = 0  # fetched batches that wait; 0: a batch is fetched when it is processed
    faults: dict[str, int] = field(default_factory=dict)


def with_worker(state: State, w: int, worker: Worker) -> State:
    """`state` with worker `w` replaced."""
    one, other = state.workers
    return state._replace(workers=(one, worker) if w else (worker, other))


def spend(state: State, fault: int) -> State:
    """`state` with one fault less to come."""
    return state._replace(left=at.put(state.left, fault, state.left[fault] - 1))


def nobodys(record: Record) -> Record:
    """A record that nobody takes for its own: of a dead producer, or one that was read before."""
    return record._replace(worker=-1, seq=-1)


def normal(state: State, broken: Broken, symmetric: bool) -> State:
    """The one state that stands for all that behave as `state` does."""
    state = _rebased(state, broken)
    log = tuple(
        nobodys(record) if record.worker >= 0 and i < state.workers[record.worker].read else record
        for i, record in enumerate(state.log)
    )
    if log != state.log:
        state = state._replace(log=log)
    for w in range(2):
        state = _renumbered(state, w)
    one, other = state.workers
    if symmetric and other < one:
        log = tuple(r._replace(worker=1 - r.worker) if r.worker >= 0 else r for r in state.log)
        state = state._replace(log=log, workers=(other, one))
    return state


def _rebased(state: State, broken: Broken) -> State:
    """Move the base to the oldest record that is not read by both, unless a fold there is wrong."""
    n = min(worker.read for worker in state.workers)
    if n == 0:
        return state
    next_, learned, counted = contract_fold(state.next, state.log[:n], broken.no_open)
    past = len(learned)
    if not_exactly_once(state.next, learned) or not all(record.acknowledged for record in counted):
        return state
    if any(w.learned[:past] != learned or w.view[:past] != learned for w in state.workers):
        return state
    workers = tuple(
        w._replace(read=w.read - n, learned=w.learned[past:], view=w.view[past:]) for w in state.workers
    )
    return state._replace(next=next_, log=state.log[n:], workers=workers)


def _renumbered(state: State, w: int) -> State:
    """Let the oldest number that is still in use be 0: only equality of numbers matters."""
    worker = state.workers[w]
    used = [seq for seq, _ in worker.unread] + [b.seq for b in worker.pending if b.seq >= 0]
    low = min(used, default=0)
    if low == 0:
        return state
    worker = worker._replace(
        unread=tuple((seq - low, p) for seq, p in worker.unread),
        pending=tuple(b._replace(seq=b.seq - low) if b.seq >= 0 else b for b in worker.pending),
        sent=tuple(r._replace(seq=r.seq - low) if r.kind == "data" else r for r in worker.sent),
    )
    log = tuple(r._replace(seq=r.seq - low) if r.worker == w and r.seq >= 0 else r for r in state.log)
    return with_worker(state, w, worker)._replace(log=log)
