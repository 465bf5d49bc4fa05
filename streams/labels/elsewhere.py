"""Which samples wait in the store alone: their ids and event times, a few dozen bytes each.

Rows that do not fit in memory are let go when the store has them; what stays here tells whether an id waits,
and which samples have waited for long enough, without a question to the store.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.rows import Int64

MOST_RUNS = 16


@dataclass(slots=True)
class _Run:
    """Ids that were let go together, sorted by their hash; text holds them in the order of letting go."""

    text: bytes
    starts: Int64  # (n + 1,)
    times: Int64  # (n,)
    hashes: Int64  # (n,) sorted
    order: Int64  # (n,) position of each hash
    here: npt.NDArray[np.bool_]  # (n,) not recalled yet
    oldest: int

    def id(self, position: int) -> str:
        return self.text[self.starts[position] : self.starts[position + 1]].decode()


class Elsewhere:
    """A set of ids with their event times."""

    def __init__(self) -> None:
        self._runs: list[_Run] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def nbytes(self) -> int:
        """What is held in memory."""
        return sum(len(run.text) + 33 * len(run.times) for run in self._runs)

    def add(self, ids: Sequence[str], times: Int64) -> None:
        """Add ids that are not in it."""
        if not len(ids):
            return
        texts = [one.encode() for one in ids]
        starts = np.zeros(len(ids) + 1, dtype=np.int64)
        np.cumsum([len(text) for text in texts], out=starts[1:])
        hashes = _hashes(ids)
        order = np.argsort(hashes, kind="stable")
        here = np.ones(len(ids), dtype=np.bool_)
        self._runs.append(_Run(b"".join(texts), starts, times, hashes[order], order, here, int(times.min())))
        self._count += len(ids)
        if len(self._runs) > MOST_RUNS:
            self._merge()

    def clear(self) -> None:
        """Take all out."""
        self._runs, self._count = [], 0

    def find(self, ids: Sequence[str]) -> list[str]:
        """Those of `ids` that are in it."""
        return [ids[i] for _, _, i in self._places(ids)]

    def discard(self, ids: Sequence[str]) -> dict[str, int]:
        """Take out those of `ids` that are in it; returns them with their event times."""
        taken: dict[str, int] = {}
        for run, position, i in self._places(ids):
            run.here[position] = False
            taken[ids[i]] = int(run.times[position])
        self._count -= len(taken)
        self._runs = [run for run in self._runs if run.here.any()]
        return taken

    def older(self, time: int, most: int) -> list[str]:
        """Up to `most` ids of an event time before `time`."""
        found: list[str] = []
        for run in self._runs:
            if run.oldest >= time:
                continue
            due = np.flatnonzero(run.here & (run.times < time))
            found += [run.id(position) for position in due[: most - len(found)].tolist()]
            if not len(due):
                run.oldest = int(run.times[run.here].min())
        return found

    def oldest(self) -> int | None:
        """None of them is of an earlier event time."""
        return min((run.oldest for run in self._runs), default=None)

    def first(self, count: int) -> list[str]:
        """Up to `count` ids, those that were let go first before the others."""
        found: list[str] = []
        for run in self._runs:
            here = np.flatnonzero(run.here)[: count - len(found)]
            found += [run.id(position) for position in here.tolist()]
        return found

    def _places(self, ids: Sequence[str]) -> list[tuple[_Run, int, int]]:
        """Run, position in it, and position in `ids`, of those that are in it."""
        if not self._count or not len(ids):
            return []
        hashes = _hashes(ids)
        found = []
        for run in self._runs:
            first = np.searchsorted(run.hashes, hashes)
            last = np.searchsorted(run.hashes, hashes, side="right")
            for i in np.flatnonzero(last > first).tolist():
                for at in range(int(first[i]), int(last[i])):  # more than one: another id of this hash
                    position = int(run.order[at])
                    if run.here[position] and run.id(position) == ids[i]:
                        found.append((run, position, i))
        return found

    def _merge(self) -> None:
        """Make one run of the newer half, without what was recalled, and of older ones that are no larger."""
        first = len(self._runs) // 2
        size = sum(int(run.here.sum()) for run in self._runs[first:])
        while first and len(self._runs[first - 1].times) <= size:
            first -= 1
            size += int(self._runs[first].here.sum())
        ids, times = [], []
        for run in self._runs[first:]:
            here = np.flatnonzero(run.here)
            ids += [run.id(position) for position in here.tolist()]
            times.append(run.times[here])
        del self._runs[first:]
        self._count -= len(ids)
        self.add(ids, np.concatenate(times))


def _hashes(ids: Sequence[str]) -> Int64:
    """Python's own hashes of the ids: they hold for this process alone."""
    return np.fromiter(map(hash, ids), np.int64, len(ids))
