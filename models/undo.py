"""Pending batches: what it takes to take them back, in the order of a stack, or to let go, as a queue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.kernels.journal import restore_part
from models.layout import ROWS_END, ROWS_FIRST
from models.rows import Float64, Int64


@dataclass(slots=True, eq=False)
class Undo:
    """S[:small_end] before a batch, and the first `count` journaled (position, old value) behind it."""

    small: Float64
    positions: Int64
    values: Float64
    count: int
    blocks: Int64
    """Those that the batch wrote to."""

    @property
    def rows_first(self) -> int:
        """The first buffered row that the state before the batch needs."""
        return int(self.small[ROWS_FIRST])

    @property
    def rows_end(self) -> int:
        """Past the last buffered row of the state before the batch."""
        return int(self.small[ROWS_END])

    @property
    def nbytes(self) -> int:
        """Memory held."""
        return self.small.nbytes + self.positions.nbytes + self.values.nbytes


class JournalPool:
    """Journal memory in use and in reserve, so that a steady stream of batches touches no new pages."""

    _SPARE = 4

    def __init__(self) -> None:
        self._spare: list[tuple[Int64, Float64]] = []

    def take(self) -> tuple[Int64, Float64]:
        """Arrays to journal into; may be empty."""
        return self._spare.pop() if self._spare else (np.empty(0, dtype=np.int64), np.empty(0))

    def grow(self, positions: Int64, values: Float64, used: int, need: int) -> tuple[Int64, Float64]:
        """Arrays of at least `need` that begin with the `used` entries of the given ones."""
        room = max(need, 2 * len(positions), 65_536)
        more = np.empty(room, dtype=np.int64), np.empty(room)
        more[0][:used], more[1][:used] = positions[:used], values[:used]
        return more

    def wrap(self, small: Float64, positions: Int64, values: Float64, count: int, blocks: Int64) -> Undo:
        """An Undo of the first `count` entries; large arrays that are mostly empty stay here."""
        if 4 * count >= len(positions):
            return Undo(small, positions, values, count, blocks)
        undo = Undo(small, positions[:count].copy(), values[:count].copy(), count, blocks)
        self._keep(positions, values)
        return undo

    def give_back(self, undo: Undo) -> None:
        """The undo is done with; it must not be used again."""
        self._keep(undo.positions, undo.values)
        undo.positions, undo.values, undo.count = np.empty(0, dtype=np.int64), np.empty(0), 0

    def _keep(self, positions: Int64, values: Float64) -> None:
        self._spare.append((positions, values))
        self._spare.sort(key=lambda pair: len(pair[0]))
        del self._spare[: -self._SPARE]


def part_before(S: Float64, undos: Sequence[Undo], start: int, stop: int) -> Float64:
    """A copy of S[start:stop] as it was before the pending batches `undos`, given oldest first."""
    out = S[start:stop].copy()
    for undo in reversed(undos):
        restore_part(out, start, undo.small, undo.positions, undo.values, undo.count)
    return out
