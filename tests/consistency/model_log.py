"""The learning log as a model: two workers, an input of a few samples, and everything that can happen.

Every step of a worker and of the world is a transition, and all orders of them are explored.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.consistency import model_worker as at
from tests.consistency.model_contract import NOT_OPEN, Broken, Record, contract_fold
from tests.consistency.model_invariants import broken_invariant
from tests.consistency.model_state import (
    CRASH,
    FAIL,
    FAULTS,
    MOVE,
    REPEAT,
    TRUNCATE,
    Bounds,
    State,
    nobodys,
    normal,
    spend,
    with_worker,
)
from tests.consistency.model_worker import AWAY, OPENING, SKIPPING, STANDS, TAKEN, Fetched, put

Step = tuple[str, bool, State]
CORRECT = Broken()


class LogModel:
    """See the module. `symmetric`: states that differ by the workers' names are one."""

    def __init__(self, bounds: Bounds, broken: Broken = CORRECT, symmetric: bool = True) -> None:
        self.bounds, self.broken, self.symmetric = bounds, broken, symmetric

    def initial(self) -> State:
        """No worker has done anything."""
        n = len(self.bounds.samples)
        next_ = (0,) * n if self.bounds.opened else (NOT_OPEN,) * n
        workers = (at.fresh(0, next_, ()), at.fresh(0, next_, ()))
        left = tuple(self.bounds.faults.get(name, 0) for name in FAULTS)
        return State(next_, (), (), workers, left, input_start=0)

    def done(self, state: State) -> bool:
        """All input counted, read by all; nothing pending."""
        next_, _, _ = contract_fold(state.next, state.log, self.broken.no_open)
        return next_ == self.bounds.samples and all(
            w.next == next_ and w.read == len(state.log) and not w.pending and not w.sent
            for w in state.workers
        )

    def wrong(self, state: State) -> str:
        """The first invariant that does not hold."""
        return broken_invariant(state, self.broken)

    def steps(self, state: State) -> Iterator[Step]:
        """Every step that is possible in `state`."""
        for text, fault, after in self._all(state):
            yield text, fault, normal(after, self.broken, self.symmetric)

    def _all(self, state: State) -> Iterator[Step]:
        for w in range(2):
            yield from self._worker_steps(state, w)
            yield from self._assignments(state, w)
            yield from self._faults(state, w)
        for i, record in enumerate(state.late):
            late = state.late[:i] + state.late[i + 1 :]
            yield f"{record} arrives late", True, state._replace(log=(*state.log, record), late=late)
        if state.left[TRUNCATE]:
            start = self.bounds.samples[0] - 1
            gone = spend(state, TRUNCATE)._replace(input_start=start)
            yield f"the input before {start} of p0 is deleted", True, gone

    # What a worker does by itself

    def _worker_steps(self, state: State, w: int) -> Iterator[Step]:
        worker = state.workers[w]
        for p in range(len(self.bounds.samples)):
            if at.may_stand(worker, p, worker.read == len(state.log), self.broken):
                offset = max(worker.next[p], 0)
                yield f"W{w} seeks p{p} to {offset}", False, with_worker(state, w, at.stand(worker, p))
            yield from self._plain(state, w, p)
            if worker.place[p] == STANDS:
                yield from self._batches(state, w, p)
        unacknowledged = [i for i, b in enumerate(worker.pending) if not b.acknowledged]
        if unacknowledged:
            i = unacknowledged[0]
            batch = worker.pending[i]
            pending = put(worker.pending, i, batch._replace(acknowledged=True))
            text = f"W{w}'s predictions of {batch} are acknowledged"
            yield text, False, with_worker(state, w, worker._replace(pending=pending))
        yield from self._appends(state, w)
        if worker.sent:
            record, after = worker.sent[0]._replace(worker=w), worker._replace(sent=worker.sent[1:])
            landed = with_worker(state, w, after)._replace(log=(*state.log, record))
            yield f"W{w}'s {record} arrives in the log", False, landed
            if state.left[REPEAT]:
                late = tuple(sorted((*state.late, nobodys(record))))
                twice = spend(landed, REPEAT)._replace(late=late)
                yield f"W{w}'s {record} arrives, and its producer tries again", True, twice
        if worker.read < len(state.log):
            record = state.log[worker.read]
            after, what, wrong = at.read(worker, record, record.worker == w, self.broken)
            yield f"W{w} reads {record}: {what}", False, with_worker(state, w, after)._replace(wrong=wrong)

    def _plain(self, state: State, w: int, p: int) -> Iterator[Step]:
        """Records without samples: `open`, and `hole` where the input is gone."""
        worker, broken = state.workers[w], self.broken
        ready = worker.place[p] == TAKEN and worker.read == len(state.log)
        if ready and worker.next[p] == NOT_OPEN and not broken.no_open and not at.awaits_echo(worker, p):
            after = worker._replace(
                place=put(worker.place, p, OPENING), sent=(*worker.sent, Record("open", p, 0, 0))
            )
            yield f"W{w} appends open p{p} at 0", False, with_worker(state, w, after)
        missing = p == 0 and worker.place[p] == STANDS and worker.position[p] < state.input_start
        if missing and broken.silent_reset:
            after = worker._replace(position=put(worker.position, p, state.input_start))
            yield f"W{w}'s position in p{p} jumps to {state.input_start}", False, with_worker(state, w, after)
        elif missing and worker.position[p] == worker.next[p]:
            hole = Record("hole", p, worker.next[p], state.input_start)
            after = worker._replace(place=put(worker.place, p, SKIPPING), sent=(*worker.sent, hole))
            yield f"W{w} appends hole {hole}", False, with_worker(state, w, after)

    def _batches(self, state: State, w: int, p: int) -> Iterator[Step]:
        """Rule 9: fetch, then process or discard."""
        worker, end = state.workers[w], self.bounds.samples[p]
        room = len(worker.pending) < self.bounds.pending
        if not self.bounds.prefetch:
            start = worker.position[p]
            for stop in [start + n for n in self.bounds.sizes if room and start + n <= end]:
                if p or start >= state.input_start:
                    after = at.process(worker, p, start, stop)
                    yield f"W{w} processes p{p}[{start},{stop})", False, with_worker(state, w, after)
            return
        start, waiting = worker.fetcher[p], worker.fetched[p]
        for stop in [start + n for n in self.bounds.sizes if start + n <= end]:
            if len(waiting) < self.bounds.prefetch:
                fetched = put(worker.fetched, p, (*waiting, Fetched(start, stop)))
                after = worker._replace(fetcher=put(worker.fetcher, p, stop), fetched=fetched)
                yield f"W{w} fetches p{p}[{start},{stop})", False, with_worker(state, w, after)
        if waiting and room:
            first = waiting[0]
            after = worker._replace(fetched=put(worker.fetched, p, waiting[1:]))
            text = f"p{p}[{first.start},{first.stop})"
            if first.start == worker.position[p] and (first.current or self.broken.stale_fetch):
                after = at.process(after, p, first.start, first.stop)
                yield f"W{w} processes {text}", False, with_worker(state, w, after)
            else:
                yield f"W{w} discards {text}", False, with_worker(state, w, after)

    def _appends(self, state: State, w: int) -> Iterator[Step]:
        worker = state.workers[w]
        unsent = [i for i, b in enumerate(worker.pending) if b.seq < 0]
        if not unsent or len(worker.sent) >= self.bounds.depth:
            return
        first = unsent[0]
        for count in (1, 2) if self.bounds.merge else (1,):
            group = worker.pending[first : first + count]
            one_partition = len({b.partition for b in group}) == 1
            ready = self.broken.append_early or all(b.acknowledged for b in group)
            if len(group) == count and one_partition and ready:
                after = at.send(worker, first, count)
                yield f"W{w} appends {after.sent[-1]}", False, with_worker(state, w, after)

    # What is done to it

    def _assignments(self, state: State, w: int) -> Iterator[Step]:
        worker = state.workers[w]
        for p in range(len(self.bounds.samples)):
            if all(other.place[p] == AWAY for other in state.workers):
                yield f"W{w} takes p{p}", False, with_worker(state, w, at.take(worker, p))
            elif state.left[MOVE]:
                after = spend(state, MOVE)
                again = " again" if worker.place[p] != AWAY else ", which another owns too"
                yield f"W{w} takes p{p}{again}", True, with_worker(after, w, at.take(worker, p))
                if worker.place[p] != AWAY:
                    released = worker._replace(place=put(worker.place, p, AWAY))
                    yield f"W{w} loses p{p}", True, with_worker(after, w, released)

    def _faults(self, state: State, w: int) -> Iterator[Step]:
        worker = state.workers[w]
        doubtful = tuple(sorted((*state.late, *map(nobodys, worker.sent))))
        log = tuple(nobodys(r) if r.worker == w else r for r in state.log)
        if state.left[FAIL] and (worker.unread or worker.sent):
            after = spend(state, FAIL)._replace(log=log, late=doubtful)
            text = f"an append of W{w} fails: nobody knows what arrived"
            yield text, True, with_worker(after, w, at.fail(worker))
        if state.left[CRASH]:
            after = spend(state, CRASH)._replace(log=log, late=doubtful)
            for read in {0, state.workers[1 - w].read}:
                next_, learned, _ = contract_fold(state.next, state.log[:read], self.broken.no_open)
                text = f"W{w} crashes, and starts from {'a new' if read else 'an old'} checkpoint"
                yield text, True, with_worker(after, w, at.fresh(read, next_, learned))
