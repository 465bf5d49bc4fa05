"""The Arrow IPC stream of a plain data record, written by a kernel in one pass over the rows.

pyarrow writes the same bytes, and copies the numbers four times more. What stands around them depends on the
number of rows alone, as long as there are no nulls, lists and names: lengths and positions, each of the form
a + b · n. They are taken from streams that pyarrow writes here, so nothing of the format is known here; a
third stream has to come out as pyarrow wrote it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from models.kernels.jit import entry_point
from models.rows import Float64, Int64, Rows

FIXED_COLUMNS = 5
"""offset, timestamp, label, weight, prediction, in front of the numeric columns."""
MARK = 0x4110_9D5E_3C71_A2B4
"""The bits of each number in the streams that are compared, as an integer and as a float."""
_LEARNED, _CHECKED = (100, 103), 777
_ROWS_AT_ONCE = 64
"""Rows whose numbers stay in the fastest cache while each column takes its own."""
_MAGNITUDE, _INFINITY = 0x7FFF_FFFF_FFFF_FFFF, 0x7FF0_0000_0000_0000


class UnexpectedStream(ValueError):
    """What stands around the numbers is no linear function of the number of rows."""


class LogBody:
    """Writes plain data records of rows with `columns` numeric columns, and of one output."""

    def __init__(self, columns: int, by_arrow: Callable[[int], bytes]) -> None:
        """`by_arrow`: pyarrow's stream of n rows, of which each number is MARK. Raises UnexpectedStream."""
        self._columns = FIXED_COLUMNS + columns
        (one, tail), (two, _) = (self._around(by_arrow(n), n) for n in _LEARNED)
        if len(one) != len(two):
            raise UnexpectedStream
        self._slopes = (two - one) // (_LEARNED[1] - _LEARNED[0])
        self._starts = one - self._slopes * _LEARNED[0]
        self._tail = tail
        head, tail = self._around(by_arrow(_CHECKED), _CHECKED)
        if tail != self._tail or not np.array_equal(head, self._head(_CHECKED)):
            raise UnexpectedStream

    def _around(self, stream: bytes, n: int) -> tuple[Int64, bytes]:
        """What stands before and behind the numbers; the first as integers of 8 bytes."""
        numbers = MARK.to_bytes(8, "little") * (n * self._columns)
        head, found, tail = stream.partition(numbers)
        if not found or len(head) % 8:
            raise UnexpectedStream
        return np.frombuffer(head, "<i8"), tail

    def _head(self, n: int) -> Int64:
        return np.asarray(self._starts + self._slopes * n, np.int64)

    def write(self, parts: Sequence[tuple[Rows, Float64]]) -> bytearray | None:
        """All rows and their predictions (n, 1) as one stream.

        None where a number is missing, or there are no rows.
        """
        n = sum(len(rows) for rows, _ in parts)
        if not n:
            return None  # numbers that are 0 are left out of what stands around
        head = self._head(n).tobytes()
        out = bytearray(len(head) + 8 * n * self._columns + len(self._tail))
        out[: len(head)] = head
        out[len(out) - len(self._tail) :] = self._tail
        numbers = np.frombuffer(out, np.int64, n * self._columns, len(head))
        at = 0
        for rows, served in parts:
            columns = rows.offsets, rows.timestamps, rows.labels, rows.weights, served, rows.numeric
            if write_columns(numbers, n, at, *[_bits(column) for column in columns]):
                return None
            at += len(rows)
        return out


def _bits(numbers: npt.NDArray[np.int64] | npt.NDArray[np.float64]) -> Int64:
    """The bits of numbers of 8 bytes, flat and read-only: the one kind that the kernel is compiled for."""
    bits = np.ascontiguousarray(numbers).reshape(-1).view(np.int64)
    bits.flags.writeable = False
    return bits


@entry_point()
def write_columns(
    out: Int64,
    total: int,
    start: int,
    offsets: Int64,
    timestamps: Int64,
    labels: Int64,
    weights: Int64,
    served: Int64,
    numeric: Int64,
) -> bool:
    """Write n rows, of `total` that the columns of `out` have, from row `start` on; numeric (n, d), flat.

    Returns whether one of the numeric ones is NaN; what was written is of no use then.
    """
    n, missing = len(offsets), False
    for r in range(n):
        out[start + r] = offsets[r]
    for r in range(n):
        out[total + start + r] = timestamps[r]
    for r in range(n):
        out[2 * total + start + r] = labels[r]
    for r in range(n):
        out[3 * total + start + r] = weights[r]
    for r in range(n):
        out[4 * total + start + r] = served[r]
    d = len(numeric) // max(n, 1)
    for first in range(0, n, _ROWS_AT_ONCE):
        last = min(first + _ROWS_AT_ONCE, n)
        for c in range(d):
            column = (FIXED_COLUMNS + c) * total + start
            for r in range(first, last):
                bits = numeric[r * d + c]
                missing |= (bits & _MAGNITUDE) > _INFINITY
                out[column + r] = bits
    return missing
