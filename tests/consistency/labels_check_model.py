"""Late labels as a model: one partition, its owners, and everything that can happen to them.

Fewer steps than in the learning-log model stand for as much:

- An append is in the log at once. What is in flight is what its worker has not read back, and it reads as
  late as it likes: a worker that sleeps, or was replaced and does not know it, is one that does not read.
- It reads to the log's end in one step. To read half of it is to have read before the other half was there.
- So when it drops what is pending, its echoes are among what it has just read, and it seeks at once (rule
  11). Assigned once more, it does the same. The second worker owns the partition from the start: one that
  comes later is one that has done nothing so far.
- A record that does not count is ignored by all alike, so it is left out of the state.
- An append that fails and a crash are one: what was in flight is lost, or arrives at any time, in any order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from tests.consistency import labels_check_worker as at
from tests.consistency.labels_check_fold import (
    CONTRACT,
    Desk,
    Given,
    Record,
    Rules,
    counts,
    false_word,
    fold,
    not_exact,
)
from tests.consistency.labels_check_worker import Worker
from tests.consistency.model_worker import put

Step = tuple[str, bool, "State"]


class State(NamedTuple):
    """Everything: `end` is the fold of the whole log, `log` what counted and some worker has not read."""

    end: Desk
    log: tuple[Record, ...]
    late: tuple[Record, ...]  # doubtful appends and repeats: each arrives at any time, or never
    workers: tuple[Worker, ...]
    doubts: int  # how often an append may still fail
    repeats: int  # how often a record may still arrive once more
    wrong: str = ""  # of the record that arrived last


@dataclass(frozen=True)
class Bounds:
    """How large the model is."""

    given: Given
    rules: Rules = CONTRACT
    owners: int = 2
    events: int = 2  # of a batch: what it reads, and what it lets go of its own accord
    pending: int = 3  # records of one worker in flight
    doubts: int = 0
    repeats: int = 0


class LabelModel:
    """See the module. `symmetric`: states that differ by the workers' names are one."""

    def __init__(self, bounds: Bounds, symmetric: bool = True) -> None:
        self.bounds, self.rules, self.given = bounds, bounds.rules, bounds.given
        self.symmetric = symmetric

    def initial(self) -> State:
        """The partition is open, and nothing was read."""
        workers = (Worker(),) * self.bounds.owners
        return State(Desk(), (), (), workers, self.bounds.doubts, self.bounds.repeats)

    def done(self, state: State) -> bool:
        """All input counted, and read by all; nothing pending."""
        end = len(self.given.samples), len(self.given.labels)
        return not state.log and all(
            (w.fold.samples, w.fold.labels) == end and not w.pending and not w.doubtful for w in state.workers
        )

    def wrong(self, state: State) -> str:
        """The first invariant that does not hold, in words; empty if all hold."""
        for name, worker in enumerate(state.workers):
            if worker.read == len(state.log) and worker.fold != state.end:
                return f"W{name}: its fold is not that of the log"
            desk = worker.fold
            for record in worker.pending:
                desk = fold(desk, record)
            if worker.view != desk:
                return f"W{name}: what it believes is not the fold with pending on top"
        return state.wrong

    def steps(self, state: State) -> Iterator[Step]:
        """Every step that is possible in `state`."""
        for text, fault, after in self._all(state):
            yield text, fault, self._normal(after)

    def _all(self, state: State) -> Iterator[Step]:
        for w, worker in enumerate(state.workers):
            if len(worker.pending) < self.bounds.pending:
                yield from self._appends(state, w)
            if worker.doubtful:
                again = at.begin_again(worker, state.log, self.rules)
                yield f"W{w} begins again: reads the log, and seeks", False, _with(state, w, again)
            elif worker.read < len(state.log):
                reader = at.read(worker, state.log, self.rules)
                yield f"W{w} reads the log{_lost(worker, reader)}", False, _with(state, w, reader)
        for i, record in enumerate(state.late):
            after = self._landed(state, record)._replace(late=state.late[:i] + state.late[i + 1 :])
            yield f"{record} -- arrives late, and {self._said(state, record)}", True, after

    def _appends(self, state: State, w: int) -> Iterator[Step]:
        worker, name = state.workers[w], 1 + max(_names(state))
        for desk in at.batches(worker.view, self.given, self.bounds.events, self.rules.empty):
            after, record = at.append(worker, name, desk)
            text = f"W{w} appends {record} -- "
            unheard = _with(state, w, after._replace(doubtful=True))._replace(late=(*state.late, record))
            if worker.doubtful:
                yield f"{text}lost, or late", True, unheard
                continue
            landed = self._landed(_with(state, w, after), record)
            yield text + self._said(state, record), False, landed
            if state.repeats:
                twice = landed._replace(late=(*state.late, record), repeats=state.repeats - 1)
                yield f"{text}{self._said(state, record)}, and its producer tries again", True, twice
            if state.doubts:
                yield f"{text}lost, or late", True, unheard._replace(doubts=state.doubts - 1)

    def _landed(self, state: State, record: Record) -> State:
        if not counts(state.end, record, self.rules):
            return state
        end = fold(state.end, record)
        wrong = false_word(state.end, record) or not_exact(end, self.given)
        return state._replace(end=end, log=(*state.log, record), wrong=wrong)

    def _said(self, state: State, record: Record) -> str:
        return "counts" if counts(state.end, record, self.rules) else "ignored"

    def _normal(self, state: State) -> State:
        """The one state that stands for all that behave as `state` does."""
        n = min(worker.read for worker in state.workers)
        workers = [worker._replace(read=worker.read - n) if n else worker for worker in state.workers]
        end = state.end
        late = [r for r in state.late if r.samples[0] >= end.samples and r.labels[0] >= end.labels]
        return _renamed(
            state._replace(
                log=state.log[n:],
                late=tuple(sorted(late)),
                workers=tuple(sorted(workers) if self.symmetric else workers),
            )
        )


def _lost(before: Worker, after: Worker) -> str:
    return ", and drops what was pending" if before.pending and after.view != before.view else ""


def _with(state: State, w: int, worker: Worker) -> State:
    return state._replace(workers=put(state.workers, w, worker))


def _names(state: State) -> Iterator[int]:
    """All names of records in a state; some more than once."""
    yield state.end.last
    for worker in state.workers:
        yield worker.fold.last
        yield worker.view.last
    for records in (state.log, state.late, *(worker.pending for worker in state.workers)):
        for record in records:
            yield record.after
            yield record.name


def _renamed(state: State) -> State:
    """Records are named in the order in which they occur: only whether names are equal matters."""
    new = {name: number for number, name in enumerate(dict.fromkeys(_names(state)))}
    if all(name == number for name, number in new.items()):
        return state

    def records(old: tuple[Record, ...]) -> tuple[Record, ...]:
        return tuple(r._replace(name=new[r.name], after=new[r.after]) for r in old)

    def desk(old: Desk) -> Desk:
        return old._replace(last=new[old.last])

    return state._replace(
        end=desk(state.end),
        log=records(state.log),
        late=records(state.late),
        workers=tuple(
            w._replace(fold=desk(w.fold), view=desk(w.view), pending=records(w.pending))
            for w in state.workers
        ),
    )
