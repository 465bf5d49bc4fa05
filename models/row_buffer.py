"""Rows that a batch or a window still needs, as they were scaled when they arrived.

Rows have absolute numbers since the model's first; those that count are [S[ROWS_FIRST], S[ROWS_END]).
Because these two stand in S, undoing a batch needs nothing here: rows behind the end are simply
overwritten by the next ones. Only compaction moves rows, and it keeps those that a pending undo may need.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from models.kernels.plan import Stored
from models.rows import Float64


class RowBuffer:
    """Growing CSR arrays. `base` is the absolute number of the first row in memory.

    Row r stands at place r - base: dense features x[place · dense : …] (scaled columns, then products),
    entries [indptr[place], indptr[place + 1]) with coordinates as the learner counts them.
    """

    def __init__(self, dense: int) -> None:
        self.dense = dense
        self.base = 0
        self.stored = Stored(
            x=np.zeros(8 * dense),
            labels=np.zeros(8),
            weights=np.zeros(8),
            indptr=np.zeros(9, dtype=np.int64),
            coordinates=np.zeros(64, dtype=np.uint32),
            values=np.zeros(64),
        )

    def reserve(self, keep_from: int, end: int, rows: int, entries: int) -> None:
        """Make room for `rows` more rows with `entries` entries behind absolute row `end`.

        Rows before `keep_from` may be dropped.
        """
        s = self.stored
        place = end - self.base
        if place + rows <= len(s.labels) and s.indptr[place] + entries <= len(s.values):
            return
        start = keep_from - self.base
        kept, first = place - start, int(s.indptr[start])
        kept_entries = int(s.indptr[place]) - first
        row_room = _room(len(s.labels), kept + rows)
        entry_room = _room(len(s.values), kept_entries + entries)
        self.stored = Stored(
            x=_moved(s.x, start * self.dense, kept * self.dense, row_room * self.dense),
            labels=_moved(s.labels, start, kept, row_room),
            weights=_moved(s.weights, start, kept, row_room),
            indptr=_moved(s.indptr, start, kept + 1, row_room + 1),
            coordinates=_moved(s.coordinates, first, kept_entries, entry_room),
            values=_moved(s.values, first, kept_entries, entry_room),
        )
        self.stored.indptr[: kept + 1] -= first
        self.base = keep_from

    def export(self, first: int, end: int) -> dict[str, npt.NDArray[Any]]:
        """Copies of the absolute rows [first, end) as tensors `rows.…`; {} if there are none."""
        if first == end:
            return {}
        s, start, stop = self.stored, first - self.base, end - self.base
        entries = slice(int(s.indptr[start]), int(s.indptr[stop]))
        return {
            "rows.x": s.x[start * self.dense : stop * self.dense].reshape(stop - start, self.dense).copy(),
            "rows.labels": s.labels[start:stop].copy(),
            "rows.weights": s.weights[start:stop].copy(),
            "rows.indptr": s.indptr[start : stop + 1] - s.indptr[start],
            "rows.coordinates": s.coordinates[entries].copy(),
            "rows.values": s.values[entries].copy(),
        }

    def load(self, tensors: dict[str, npt.NDArray[Any]], first: int) -> None:
        """Take over what `export` gave, as the absolute rows from `first` on."""
        self.__init__(self.dense)  # type: ignore[misc]
        self.base = first
        if "rows.labels" not in tensors:
            return
        given = {name: tensors[f"rows.{name}"] for name in Stored._fields}
        self.reserve(first, first, len(given["labels"]), len(given["values"]))
        for name, array in given.items():
            target: Float64 = getattr(self.stored, name)
            target[: array.size] = array.reshape(-1)


def _room(have: int, need: int) -> int:
    """Twice what is needed when that is more than there is: growing and moving stay rare."""
    return have if 2 * need <= have else 2 * need


def _moved(array: npt.NDArray[Any], start: int, size: int, room: int) -> npt.NDArray[Any]:
    moved = np.zeros(room, dtype=array.dtype)
    moved[:size] = array[start : start + size]
    return moved
