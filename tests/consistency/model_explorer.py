"""Breadth-first search over all states of a small model, with shortest counterexamples.

A model is a set of hashable states and the steps between them. `explore` visits every state that can be
reached, checks the invariants in each, and then asks of each whether the end can still be reached from it
without any further fault: a state from which it cannot is one in which the system is stuck.
"""

from __future__ import annotations

import gc
from array import array
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Generic, Protocol, TypeVar

S = TypeVar("S", bound=Hashable)
MAX_STATES = 5_000_000
STUCK = "stuck: without another fault, the end is never reached"


class Model(Protocol[S]):
    """What `explore` needs to know."""

    def initial(self) -> S:
        """The state in which everything begins."""

    def steps(self, state: S) -> Iterable[tuple[str, bool, S]]:
        """Every step that is possible: what happens, whether it is a fault, the state after it."""

    def wrong(self, state: S) -> str:
        """The invariant that does not hold in `state`, in words; empty if all hold."""

    def done(self, state: S) -> bool:
        """Whether all work is done in `state`."""


@dataclass(frozen=True)
class Result:
    """What was found. `wrong` is empty if nothing was; `trace` are the steps that lead to it."""

    states: int
    steps: int
    depth: int
    wrong: str = ""
    trace: list[str] = field(default_factory=list)


def explore(model: Model[S]) -> Result:
    """Visit every reachable state; ends at the first (so nearest) one in which an invariant does not hold."""
    collecting = gc.isenabled()
    gc.disable()  # millions of small tuples without cycles: looking for cycles takes a third of the time
    try:
        search = _Search(model)
        for number in search.visit():
            if wrong := model.wrong(search.states[number]):
                return search.result(number, wrong)
        if (stuck := search.first_stuck()) is not None:
            return search.result(stuck, STUCK, stuck=True)
        return search.result()
    finally:
        if collecting:
            gc.enable()


class _Search(Generic[S]):
    def __init__(self, model: Model[S]) -> None:
        self._model = model
        first = model.initial()
        self.states: list[S] = [first]
        self._numbers: dict[S, int] = {first: 0}
        self._parents = array("l", [-1])
        self._from, self._to = array("l"), array("l")  # the steps that are no faults
        self._steps = 0

    def visit(self) -> Iterator[int]:
        """The numbers of all reachable states, nearest first."""
        yield 0
        at = 0
        while at < len(self.states):
            for _, fault, after in self._model.steps(self.states[at]):
                self._steps += 1
                number = self._numbers.setdefault(after, len(self.states))
                if not fault:
                    self._from.append(at)
                    self._to.append(number)
                if number == len(self.states):
                    self.states.append(after)
                    self._parents.append(at)
                    yield number
                    if number > MAX_STATES:
                        raise MemoryError(f"more than {MAX_STATES} states: choose smaller bounds")
            at += 1

    def first_stuck(self) -> int | None:
        """The nearest state from which no done state can be reached without faults."""
        before: list[list[int]] = [[] for _ in self.states]
        for source, target in zip(self._from, self._to, strict=True):
            before[target].append(source)
        todo = [number for number, state in enumerate(self.states) if self._model.done(state)]
        reached = bytearray(len(self.states))
        for number in todo:
            reached[number] = 1
        while todo:
            for source in before[todo.pop()]:
                if not reached[source]:
                    reached[source] = 1
                    todo.append(source)
        stuck = reached.find(0)
        return None if stuck < 0 else stuck

    def result(self, number: int | None = None, wrong: str = "", stuck: bool = False) -> Result:
        """Summary, with the steps to state `number` if given, and on to a standstill from a stuck one."""
        depth = len(self._path(len(self.states) - 1)) - 1
        trace = [] if number is None else self._trace(self._path(number))
        if stuck and number is not None:
            trace += [
                "-- from here it is lost; how it goes on, for example:",
                *self._trace(self._onward(number)),
            ]
        return Result(len(self.states), self._steps, depth, wrong, trace)

    def _path(self, number: int) -> list[int]:
        path = [number]
        while self._parents[path[-1]] >= 0:
            path.append(self._parents[path[-1]])
        return path[::-1]

    def _onward(self, number: int) -> list[int]:
        """The shortest way without faults from a state to one where nothing more happens by itself."""
        after: dict[int, list[int]] = {}
        for source, target in zip(self._from, self._to, strict=True):
            after.setdefault(source, []).append(target)
        paths = {number: [number]}
        for path in (todo := [[number]]):
            if path[-1] not in after:
                return path
            for target in after[path[-1]]:
                if target not in paths:
                    paths[target] = [*path, target]
                    todo.append(paths[target])
        return [number]

    def _trace(self, path: list[int]) -> list[str]:
        return [
            next(text for text, _, after in self._model.steps(self.states[a]) if after == self.states[b])
            for a, b in pairwise(path)
        ]
