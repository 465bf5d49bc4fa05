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
    """S[:small_end] before a batch, and the journal of what it wrote behind that."""

    small: Float64
    journal: Float64
    length: int
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
        return self.small.nbytes + self.journal.nbytes


class JournalPool:
    """Journal memory in use and in reserve, so that a steady stream of batches touches no new pages."""

    _SPARE = 4

    def __init__(self) -> None:
        self._spare: list[Float64] = []

    def take(self) -> Float64:
        """An array to journal into; may be empty."""
        return self._spare.pop() if self._spare else np.empty(0)

    def grow(self, journal: Float64, used: int, need: int) -> Float64:
        """An array of at least `need` that begins with the `used` first numbers of the given one."""
        more = np.empty(max(need, 2 * len(journal), 65_536))
        more[:used] = journal[:used]
        return more

    def wrap(self, small: Float64, journal: Float64, length: int, blocks: Int64) -> Undo:
        """An Undo of the first `length` numbers; a large array that is mostly empty stays here."""
        if 4 * length >= len(journal):
            return Undo(small, journal, length, blocks)
        self.keep(journal)
        return Undo(small, journal[:length].copy(), length, blocks)

    def give_back(self, undo: Undo) -> None:
        """The undo is done with; it must not be used again."""
        self.keep(undo.journal)
        undo.journal, undo.length = np.empty(0), 0

    def keep(self, journal: Float64) -> None:
        """An array is free again."""
        self._spare.append(journal)
        self._spare.sort(key=len)
        del self._spare[: -self._SPARE]


def part_before(S: Float64, undos: Sequence[Undo], start: int, stop: int) -> Float64:
    """A copy of S[start:stop] as it was before the pending batches `undos`, given oldest first."""
    out = S[start:stop].copy()
    for undo in reversed(undos):
        restore_part(out, start, undo.small, undo.journal, undo.length)
    return out
