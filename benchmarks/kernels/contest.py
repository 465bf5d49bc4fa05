"""Contenders that do the same work in turn on one core, and what their laps say."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import msgspec

from benchmarks.quality.scores import score
from benchmarks.results import Spread
from models.rows import Float64

OURS = "gradstream"


class Lap(msgspec.Struct, frozen=True):
    """One pass. Its CPU time is that of all threads: on a core of its own it is the time that passes."""

    rows: int
    cpu_seconds: float
    seconds: float
    log_loss: float | None
    """Prequential, of the pass: the work was done, and it was the same. None: it diverged."""

    @classmethod
    def of(cls, times: tuple[float, float], probabilities: Float64, labels: Float64) -> Lap:
        """`times`: of the stopwatch; `probabilities` (n, 1) as predicted before each row was learned."""
        return cls(len(labels), *times, score("binary", probabilities, labels)["log_loss"])

    @property
    def microseconds(self) -> float:
        """CPU time of a row."""
        return 1e6 * self.cpu_seconds / self.rows


class Contender(Protocol):
    """Somebody who learns the rows of a contest from nothing."""

    name: str

    def lap(self) -> Lap:
        """One pass over the rows by a new learner; only predicting and learning is timed."""


@dataclass(frozen=True, slots=True)
class Contest:
    """One table row for each peer of ours. `targets`: peer → how many times as fast as it we have to be."""

    name: str
    ours: Contender
    peers: Sequence[Contender]
    targets: dict[str, float]


class Result(msgspec.Struct, frozen=True):
    """What one contest gave: laps of each contender in the order that they were run in."""

    name: str
    laps: dict[str, list[Lap]]
    targets: dict[str, float]

    def microseconds(self, name: str) -> Spread:
        """CPU time of a row of one contender."""
        return Spread.of([lap.microseconds for lap in self.laps[name]])

    def ratio(self, peer: str) -> Spread:
        """How many times as fast as `peer` we are, lap by lap, because the machine changes meanwhile."""
        pairs = zip(self.laps[OURS], self.laps[peer], strict=True)
        return Spread.of([theirs.microseconds / ours.microseconds for ours, theirs in pairs])


def race(contest: Contest, repeats: int, tell: Callable[[str], None]) -> Result:
    """Everybody once to compile and to warm caches, then `repeats` laps in turn."""
    everybody = [contest.ours, *contest.peers]
    for one in everybody:
        one.lap()
    laps: dict[str, list[Lap]] = {one.name: [] for one in everybody}
    for repeat in range(1, repeats + 1):
        for one in everybody:
            laps[one.name].append(one.lap())
        shown = ", ".join(f"{name} {own[-1].microseconds:.2f} µs" for name, own in laps.items())
        tell(f"{contest.name} {repeat}/{repeats}: {shown}")
    return Result(contest.name, laps, contest.targets)


class Stopwatch:
    """CPU time of the process and time of the wall, between its making and `stop`."""

    def __init__(self) -> None:
        self._cpu, self._wall = time.process_time(), time.perf_counter()

    def stop(self) -> tuple[float, float]:
        """(CPU seconds of all threads, seconds) since then."""
        return time.process_time() - self._cpu, time.perf_counter() - self._wall


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """This process, and the threads that it starts, on one core; as it was afterwards."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
