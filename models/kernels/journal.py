"""Writes that can be taken back: a journal of old values.

An entry is up to 8 values that stood side by side in S, then one number that says where, and how many:
8 p + count - 1. All are floats, exact up to 2^53; entries are read from the last one on.
"""

from __future__ import annotations

from models.kernels.jit import entry_point, helper, unsigned
from models.kernels.plan import UInt8
from models.rows import Float64, Int64

BLOCK_SHIFT = 8
"""log2 of layout.BLOCK."""
MOST = 8
"""Values of an entry."""


@helper
def put(
    S: Float64, dirty: UInt8, p: int, value: float, journal: Float64, length: int, journaling: bool
) -> int:
    """S[p] ← value, noted at journal[length] if `journaling`; the journal's new length."""
    if journaling:
        journal[length] = S[p]
        journal[length + 1] = 8 * p
        length += 2
    S[p] = value
    dirty[p >> BLOCK_SHIFT] = 1
    return length


@helper
def put_run(
    S: Float64, dirty: UInt8, p: int, new: Float64, at: int, size: int, journal: Float64, length: int,
    journaling: bool,
) -> int:  # fmt: skip
    """S[p : p + size] ← new[at : at + size], as `put` does; the journal's new length."""
    if size == 0:
        return length
    if journaling:
        for first in range(0, size, MOST):
            count = min(MOST, size - first)
            for j in range(count):
                journal[unsigned(length + j)] = S[unsigned(p + first + j)]
            journal[length + count] = 8 * (p + first) + count - 1
            length += count + 1
    for j in range(size):
        S[unsigned(p + j)] = new[unsigned(at + j)]
    for block in range(p >> BLOCK_SHIFT, ((p + size - 1) >> BLOCK_SHIFT) + 1):
        dirty[block] = 1
    return length


@helper
def _entry(journal: Float64, length: int) -> tuple[int, int, int]:
    """(p, count, at) of the last of these entries: its values are journal[at : at + count]."""
    head = int(journal[length - 1])
    count = (head & 7) + 1
    return head >> 3, count, length - 1 - count


@helper
def take_back(S: Float64, journal: Float64, start: int, length: int) -> None:
    """Undo the writes noted in journal[start : length], last first."""
    while length > start:
        p, count, length = _entry(journal, length)
        for j in range(count):
            S[p + j] = journal[length + j]


@entry_point()
def restore(S: Float64, small: Float64, journal: Float64, length: int) -> None:
    """Take all journaled writes back, and then the small part."""
    take_back(S, journal, 0, length)
    for j in range(small.size):
        S[j] = small[j]


@entry_point()
def restore_part(out: Float64, start: int, small: Float64, journal: Float64, length: int) -> None:
    """As `restore`, on a copy of S[start : start + len(out)]."""
    stop = start + out.size
    while length > 0:
        p, count, length = _entry(journal, length)
        for j in range(max(0, start - p), min(count, stop - p)):
            out[p + j - start] = journal[length + j]
    for j in range(start, min(stop, small.size)):
        out[j - start] = small[j]


@entry_point()
def restore_blocks(out: Float64, places: Int64, small: Float64, journal: Float64, length: int) -> None:
    """As `restore`, on copies of blocks: block b stands at out[places[b]], and nowhere if that is -1."""
    mask = (1 << BLOCK_SHIFT) - 1
    while length > 0:
        p, count, length = _entry(journal, length)
        for j in range(count):
            place = places[(p + j) >> BLOCK_SHIFT]
            if place >= 0:
                out[place + ((p + j) & mask)] = journal[length + j]
    for block in range(((small.size - 1) >> BLOCK_SHIFT) + 1):
        start = block << BLOCK_SHIFT
        if places[block] >= 0:
            for j in range(start, min(small.size, start + mask + 1)):
                out[places[block] + j - start] = small[j]
