"""Encoded samples that wait in memory, column by column, each under a number that never changes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import numpy.typing as npt

from models.rows import Float64, Int64, Rows

FREE, WAITS, TAKEN = 0, 1, 2
"""A row that is let go; one that waits; one that a pending batch has taken, and may give back."""

_ENTRIES = ("indices", "values", "scaled_by")
_OF_A_ROW = ("numeric", "labels", "weights", "timestamps", "offsets", "codes")
FIRST_ROOM = 1024
MUCH = 2 * 1024 * 1024
A_ROW_BESIDE = 400
"""Bytes of a row's id, and of the tables that lead from there to the row."""


class KeptRows:
    """Rows with the predictions that were served for them. Numbers go up in the order of adding."""

    def __init__(self, empty: Rows, outputs: int) -> None:
        """`empty`: rows of the model's shape, none of them."""
        self._columns: dict[str, npt.NDArray[Any]] = {
            name: np.asarray(getattr(empty, name))[:0] for name in (*_OF_A_ROW, *_ENTRIES)
        }
        self._columns |= {
            "served": np.zeros((0, outputs)),
            "number": np.zeros(0, dtype=np.int64),
            "state": np.zeros(0, dtype=np.uint8),
            "start": np.zeros(0, dtype=np.int64),
            "length": np.zeros(0, dtype=np.int64),
        }
        self.ids: list[str] = []
        self._rows = 0
        self._entries = 0
        self._free = 0
        self._next = 0

    def __len__(self) -> int:
        """Rows that wait or are taken."""
        return self._rows - self._free

    @property
    def nbytes(self) -> int:
        """About what is held in memory."""
        return self._rows * (self._a_row + A_ROW_BESIDE) + 14 * self._entries

    @property
    def row_bytes(self) -> int:
        """About what a row takes in the log."""
        return self._a_row + 14 * self._entries // max(1, self._rows)

    @property
    def _a_row(self) -> int:
        return sum(c.nbytes // max(1, len(c)) for n, c in self._columns.items() if n not in _ENTRIES)

    def add(self, ids: Sequence[str], rows: Rows, served: Float64) -> Int64:
        """Keep n rows; returns their numbers (n,)."""
        n, entries = len(rows), len(rows.indices)
        self._reserve(n, entries)
        here, there = slice(self._rows, self._rows + n), slice(self._entries, self._entries + entries)
        numbers = np.arange(self._next, self._next + n)
        for name in _OF_A_ROW:
            self._columns[name][here] = getattr(rows, name)
        for name in _ENTRIES:
            self._columns[name][there] = getattr(rows, name)
        for name, value in (
            ("served", served),
            ("number", numbers),
            ("state", WAITS),
            ("start", self._entries + rows.indptr[:-1]),
            ("length", np.diff(rows.indptr)),
        ):
            self._columns[name][here] = value
        self.ids.extend(ids)
        self._rows, self._entries, self._next = self._rows + n, self._entries + entries, self._next + n
        return numbers

    def of(self, numbers: Int64) -> tuple[Rows, Float64]:
        """Copies of the rows with these numbers, and their predictions."""
        at = self._places(numbers)
        lengths = self._columns["length"][at]
        indptr = np.zeros(len(at) + 1, dtype=np.int64)
        np.cumsum(lengths, out=indptr[1:])
        entries = np.repeat(self._columns["start"][at] - indptr[:-1], lengths) + np.arange(indptr[-1])
        columns: dict[str, Any] = {name: self._columns[name][at] for name in _OF_A_ROW}
        parts: dict[str, Any] = {name: self._columns[name][entries] for name in _ENTRIES}
        rows = Rows(indptr=indptr, **columns, **parts)
        return rows, self._columns["served"][at]

    def sizes(self, numbers: Int64) -> Int64:
        """About what each of these rows takes in the log (n,)."""
        a_row = 8 * sum(self._columns[name][:1].size for name in ("numeric", "codes", "served"))
        return np.asarray(80 + a_row + 16 * self._columns["length"][self._places(numbers)])

    def times(self, numbers: Int64) -> Int64:
        """Event times of these rows (n,)."""
        return np.asarray(self._columns["timestamps"][self._places(numbers)])

    def time_of(self, number: int) -> int:
        """Event time of one row."""
        at = self._columns["number"][: self._rows].searchsorted(number)
        return int(self._columns["timestamps"][at])

    def ids_of(self, numbers: Int64) -> list[str]:
        """Ids of these rows."""
        return [self.ids[at] for at in self._places(numbers).tolist()]

    def older(self, time: int) -> Int64:
        """Numbers of the rows that wait and are of an event time before `time`, in the order of adding."""
        n = self._rows
        due = (self._columns["timestamps"][:n] < time) & (self._columns["state"][:n] == WAITS)
        return np.asarray(self._columns["number"][:n][due])

    def oldest(self) -> int | None:
        """The earliest event time among those that wait or are taken."""
        n = self._rows
        times = self._columns["timestamps"][:n][self._columns["state"][:n] != FREE]
        return int(times.min()) if len(times) else None

    def kept(self, without: Collection[range]) -> dict[str, int]:
        """Id → number of all rows that wait or are taken, without those numbers."""
        at = np.flatnonzero(self._columns["state"][: self._rows] != FREE).tolist()
        numbers = self._columns["number"].tolist()
        return {self.ids[i]: numbers[i] for i in at if not any(numbers[i] in some for some in without)}

    def first(self, count: int) -> Int64:
        """Numbers of the first `count` that wait."""
        n = self._rows
        waiting = np.flatnonzero(self._columns["state"][:n] == WAITS)[:count]
        return np.asarray(self._columns["number"][waiting])

    def mark(self, numbers: Int64, state: int) -> None:
        """Set the state of rows; free ones are forgotten in time."""
        self._columns["state"][self._places(numbers)] = state
        if state == FREE:
            self._free += len(numbers)
            if self._free > self._rows // 2 and (self._free > FIRST_ROOM or self.nbytes > MUCH):
                self._compact()

    def _places(self, numbers: Int64) -> Int64:
        return np.searchsorted(self._columns["number"][: self._rows], numbers)

    def _reserve(self, rows: int, entries: int) -> None:
        for name, column in self._columns.items():
            need = self._entries + entries if name in _ENTRIES else self._rows + rows
            if need > len(column):
                used = self._entries if name in _ENTRIES else self._rows
                grown = np.empty((max(2 * need, FIRST_ROOM), *column.shape[1:]), dtype=column.dtype)
                grown[:used] = column[:used]
                self._columns[name] = grown

    def _compact(self) -> None:
        kept = np.flatnonzero(self._columns["state"][: self._rows] != FREE)
        rows, served = self.of(self._columns["number"][kept])
        numbers, states = self._columns["number"][kept], self._columns["state"][kept]
        self.ids = [self.ids[at] for at in kept.tolist()]
        for name in _OF_A_ROW:
            self._columns[name] = getattr(rows, name)
        for name in _ENTRIES:
            self._columns[name] = getattr(rows, name)
        self._columns |= {
            "served": served,
            "number": numbers,
            "state": states,
            "start": rows.indptr[:-1].copy(),
            "length": np.diff(rows.indptr),
        }
        self._rows, self._entries, self._free = len(kept), len(rows.indices), 0


assert {field.name for field in fields(Rows)} == {*_OF_A_ROW, *_ENTRIES, "indptr", "names"}
