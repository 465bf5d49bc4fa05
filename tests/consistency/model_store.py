"""The checkpoint store as a model (rules 16 to 18): two workers save what one log makes of two blocks.

Saves are lost, late or doubtful; the store falls back by one or two saves, or is emptied; workers crash.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.consistency import model_saver as saving
from tests.consistency.model_contract import Broken
from tests.consistency.model_saver import BLOCKS, Checkpoint, Request, Saver, contract, execute
from tests.consistency.model_worker import put

FAULTS = ("crash", "cut", "rewind", "empty")
CRASH, CUT, REWIND, EMPTY = range(len(FAULTS))
CORRECT = Broken()


class State(NamedTuple):
    """`store`: what it held over time, the present last; empty when it holds nothing."""

    log: tuple[int, ...]
    store: tuple[Checkpoint, ...]
    savers: tuple[Saver, ...]
    late: tuple[Request, ...]
    left: tuple[int, ...]
    wrong: str = ""


@dataclass(frozen=True)
class StoreBounds:
    """How large the model is."""

    records: int = 3
    faults: dict[str, int] = field(default_factory=dict)


class StoreModel:
    """See the module. `symmetric`: states that differ by the workers' names are one."""

    def __init__(self, bounds: StoreBounds, broken: Broken = CORRECT, symmetric: bool = True) -> None:
        self.bounds, self.broken, self.symmetric = bounds, broken, symmetric

    def initial(self) -> State:
        """An empty log, an empty store."""
        left = tuple(self.bounds.faults.get(name, 0) for name in FAULTS)
        return State((), (), (Saver(), Saver()), (), left)

    def done(self, state: State) -> bool:
        """All is read, and the store has it."""
        full = len(state.log) == self.bounds.records
        return full and bool(state.store) and state.store[-1].offset == len(state.log)

    def wrong(self, state: State) -> str:
        """The first invariant that does not hold."""
        if state.wrong:
            return state.wrong
        for stored in state.store:
            if stored.values != contract(state.log[: stored.offset]):
                return (
                    f"the store says {stored.values} at log offset {stored.offset}: not the contract's fold"
                )
        for name, saver in enumerate(state.savers):
            if saver.values != contract(state.log[: saver.offset]):
                return f"W{name}'s fold is not the contract's"
        return ""

    def steps(self, state: State) -> Iterator[tuple[str, bool, State]]:
        """Every step that is possible in `state`."""
        for text, fault, after in self._all(state):
            savers = tuple(sorted(after.savers)) if self.symmetric else after.savers
            yield text, fault, after._replace(savers=savers, late=tuple(sorted(after.late)))

    def _all(self, state: State) -> Iterator[tuple[str, bool, State]]:
        if len(state.log) < self.bounds.records:
            for block in BLOCKS if state.log else (0,):
                text = f"record {len(state.log) + 1} of the log changes block {block}"
                yield text, False, state._replace(log=(*state.log, block))
            # Later, nothing would be saved any more: a save at the same log offset is left out.
            yield from self._faults_of_store(state)
        for i, request in enumerate(state.late):
            _, after = self._execute(state._replace(late=state.late[:i] + state.late[i + 1 :]), request)
            yield f"a late {saving.name(request)} reaches the store", True, after
        for w in range(2):
            yield from self._saver(state, w)

    def _saver(self, state: State, w: int) -> Iterator[tuple[str, bool, State]]:
        saver = state.savers[w]
        if saver.offset < len(state.log):
            after = _with(state, w, saving.read(saver, state.log))
            yield f"W{w} reads record {saver.offset + 1}", False, after
        if not saver.request and saver.offset != saver.since:
            asking = saving.ask(saver, saver.since)
            yield f"W{w} sends a {saving.name(asking.request[0])}", False, _with(state, w, asking)
        for request in saver.request:
            answer, after = self._execute(state, request)
            answered = _with(after, w, saving.answered(saver, request, answer))
            yield f"W{w}'s {saving.name(request)} is answered: {answer}", False, answered
        if len(state.log) < self.bounds.records:
            yield from self._faults_of_saver(state, w)

    def _faults_of_saver(self, state: State, w: int) -> Iterator[tuple[str, bool, State]]:
        saver, unheard = state.savers[w], state.savers[w]._replace(request=())
        late = state._replace(late=(*state.late, *saver.request))
        for request in saver.request if state.left[CUT] else ():
            failed = unheard if self.broken.marks_cleared_early else saving.restored(unheard, request)
            text = f"W{w}'s {saving.name(request)}"
            yield f"{text} is lost, or late", True, _with(_spend(late, CUT), w, failed)
            _, after = self._execute(state, request)
            yield f"{text} is answered, but nobody hears it", True, _with(_spend(after, CUT), w, failed)
        if state.left[CRASH]:
            loaded = Saver()
            if state.store:
                loaded = Saver(state.store[-1].offset, state.store[-1].values, (), state.store[-1].offset)
            text = f"W{w} crashes, and starts from the store at {loaded.offset}"
            yield text, True, _with(_spend(late, CRASH), w, loaded)

    def _faults_of_store(self, state: State) -> Iterator[tuple[str, bool, State]]:
        unstaged = tuple(
            s._replace(request=tuple(r._replace(staged=False) for r in s.request)) for s in state.savers
        )
        late = tuple(r._replace(staged=False) for r in state.late)
        lost = state._replace(savers=unstaged, late=late)
        for back in (1, 2):
            if state.left[REWIND] and len(state.store) > back:
                after = _spend(lost, REWIND)._replace(store=state.store[:-back])
                yield f"the store falls back to {after.store[-1].offset}", True, after
        if state.left[EMPTY] and state.store:
            yield "the store is emptied", True, _spend(lost, EMPTY)._replace(store=())

    def _execute(self, state: State, request: Request) -> tuple[str, State]:
        answer, stored = execute(state.store, request, self.broken)
        if stored is None:
            return answer, state
        wrong = ""
        if state.store and stored.offset < state.store[-1].offset:
            wrong = f"a save takes the store from log offset {state.store[-1].offset} back to {stored.offset}"
        return answer, state._replace(store=(*state.store[-2:], stored), wrong=wrong)


def _with(state: State, w: int, saver: Saver) -> State:
    return state._replace(savers=put(state.savers, w, saver))


def _spend(state: State, fault: int) -> State:
    return state._replace(left=put(state.left, fault, state.left[fault] - 1))
