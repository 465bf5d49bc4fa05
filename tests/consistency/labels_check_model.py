"""Late labels as a model: one partition, two workers, and everything that can happen to them.

Steps and faults are those of the learning-log model. A state holds the log from its *base* on: the oldest record
that some worker has not read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.consistency import labels_check_worker as at
from tests.consistency.labels_check_fold import (
    Desk,
    Given,
    Record,
    Rules,
    counts,
    false_word,
    fold,
    not_exact,
)
from tests.consistency.labels_check_worker import AWAY, STANDS, TAKEN, Worker
from tests.consistency.model_worker import put

FAULTS = ("move", "crash", "fail", "repeat")
MOVE, CRASH, FAIL, REPEAT = range(len(FAULTS))
Step = tuple[str, bool, "State"]


class State(NamedTuple):
    """Everything: `base` is the fold before `log`."""

    base: Desk
    log: tuple[Record, ...]
    late: tuple[Record, ...]  # doubtful appends and repeats: each arrives at any time, or never
    workers: tuple[Worker, ...]
    left: tuple[int, ...]  # how many faults of each kind may still happen


@dataclass(frozen=True)
class Bounds:
    """How large the model is."""

    given: Given = Given()
    rules: Rules = Rules()
    size: int = 2  # events of a batch: what it reads, and what it lets go on its own account
    depth: int = 2  # appends in flight of one worker
    pending: int = 3  # batches of one worker
    faults: dict[str, int] = field(default_factory=dict)


class LabelModel:
    """See the module."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds, self.rules, self.given = bounds, bounds.rules, bounds.given

    def initial(self) -> State:
        """The partition is open, and nobody owns it."""
        left = tuple(self.bounds.faults.get(name, 0) for name in FAULTS)
        return State(Desk(), (), (), (Worker(), Worker()), left)

    def done(self, state: State) -> bool:
        """All input counted, and read by all; nothing pending."""
        end = len(self.given.samples), len(self.given.labels)
        return all(
            w.read == len(state.log) and (w.fold.samples, w.fold.labels) == end and not w.pending
            for w in state.workers
        )

    def wrong(self, state: State) -> str:
        """The first invariant that does not hold, in words; empty if all hold."""
        desk = state.base
        for record in state.log:
            if counts(desk, record, self.rules):
                if found := false_word(desk, record) or not_exact(fold(desk, record), self.given):
                    return found
                desk = fold(desk, record)
        for name, worker in enumerate(state.workers):
            desk = worker.fold
            for record in worker.pending:
                desk = fold(desk, record)
            if worker.view != desk:
                return f"W{name}: what it believes is not the fold with pending on top"
        return ""

    def steps(self, state: State) -> Iterator[Step]:
        """Every step that is possible in `state`."""
        for text, fault, after in self._all(state):
            yield text, fault, self._normal(after)

    def _all(self, state: State) -> Iterator[Step]:
        for w in range(2):
            yield from self._worker_steps(state, w)
            yield from self._log_steps(state, w)
            yield from self._assignments(state, w)
            yield from self._faults(state, w)
        for i, record in enumerate(state.late):
            late = state.late[:i] + state.late[i + 1 :]
            yield f"{record} -- arrives late", True, state._replace(log=(*state.log, record), late=late)

    def _worker_steps(self, state: State, w: int) -> Iterator[Step]:
        worker, bounds = state.workers[w], self.bounds
        if at.may_stand(worker, worker.read == len(state.log)):
            yield f"W{w} seeks", False, _with(state, w, at.dropped(worker, STANDS))
        room = len(worker.pending) < bounds.pending and len(worker.sent) < bounds.depth
        if worker.place == STANDS and room:
            name = 1 + max(_names(state))
            for desk in at.batches(worker.view, self.given, bounds.size, self.rules.empty):
                after = at.append(worker, name, desk)
                yield f"W{w} appends {after.sent[-1]}", False, _with(state, w, after)

    def _log_steps(self, state: State, w: int) -> Iterator[Step]:
        worker = state.workers[w]
        if worker.sent:
            record, after = worker.sent[0], worker._replace(sent=worker.sent[1:])
            landed = _with(state, w, after)._replace(log=(*state.log, record))
            text = f"W{w}'s {record} -- arrives"
            yield text, False, landed
            if state.left[REPEAT]:
                twice = _spend(landed, REPEAT)._replace(late=(*state.late, record))
                yield f"{text}, and its producer tries again", True, twice
        if worker.read < len(state.log):
            record = state.log[worker.read]
            after, what = at.read(worker, record, self.rules)
            yield f"W{w} reads {record} -- {what}", False, _with(state, w, after)

    def _assignments(self, state: State, w: int) -> Iterator[Step]:
        """Rule 8: assigned, perhaps once more: drop what is pending, then wait."""
        taken = _with(state, w, at.dropped(state.workers[w], TAKEN))
        if all(worker.place == AWAY for worker in state.workers):
            yield f"W{w} takes the partition", False, taken
        elif state.left[MOVE]:
            again = "again" if state.workers[w].place != AWAY else ", which another owns too"
            yield f"W{w} takes the partition {again}", True, _spend(taken, MOVE)

    def _faults(self, state: State, w: int) -> Iterator[Step]:
        worker = state.workers[w]
        doubtful = state._replace(late=(*state.late, *worker.sent))
        if state.left[FAIL] and worker.unread:
            after = at.dropped(worker, AWAY if worker.place == AWAY else TAKEN)._replace(unread=(), sent=())
            text = f"an append of W{w} fails: nobody knows what arrived"
            yield text, True, _with(_spend(doubtful, FAIL), w, after)
        if state.left[CRASH]:
            checkpoints = {0: state.base, state.workers[1 - w].read: state.workers[1 - w].fold}
            for read, desk in checkpoints.items():
                text = f"W{w} crashes, and starts from {'a new' if read else 'an old'} checkpoint"
                fresh = Worker(AWAY, read, desk, desk)
                yield text, True, _with(_spend(doubtful, CRASH), w, fresh)

    def _normal(self, state: State) -> State:
        """The one state that stands for all that behave as `state` does."""
        n, base = min(worker.read for worker in state.workers), state.base
        for record in state.log[:n]:
            base = fold(base, record) if counts(base, record, self.rules) else base
        workers = tuple(sorted(worker._replace(read=worker.read - n) for worker in state.workers))
        late = tuple(sorted(state.late))
        return _renamed(state._replace(base=base, log=state.log[n:], late=late, workers=workers))


def _with(state: State, w: int, worker: Worker) -> State:
    return state._replace(workers=put(state.workers, w, worker))


def _spend(state: State, fault: int) -> State:
    return state._replace(left=put(state.left, fault, state.left[fault] - 1))


def _records(state: State) -> Iterator[Record]:
    yield from state.log
    yield from state.late
    for worker in state.workers:
        yield from worker.pending
        yield from worker.sent


def _names(state: State) -> Iterator[int]:
    """All names of records in a state; some more than once."""
    yield state.base.last
    for record in _records(state):
        yield record.after
        yield record.name
    for worker in state.workers:
        yield worker.fold.last
        yield worker.view.last
        yield from worker.unread


def _renamed(state: State) -> State:
    """Records are named in the order in which they occur: only whether names are equal matters."""
    new = {name: number for number, name in enumerate(dict.fromkeys(_names(state)))}
    if all(name == number for name, number in new.items()):
        return state

    def records(old: tuple[Record, ...]) -> tuple[Record, ...]:
        return tuple(r._replace(name=new[r.name], after=new[r.after]) for r in old)

    def desk(old: Desk) -> Desk:
        return old._replace(last=new[old.last])

    workers = tuple(
        Worker(
            w.place,
            w.read,
            desk(w.fold),
            desk(w.view),
            records(w.pending),
            tuple(new[name] for name in w.unread),
            records(w.sent),
        )
        for w in state.workers
    )
    return State(desk(state.base), records(state.log), records(state.late), workers, state.left)
