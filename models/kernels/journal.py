"""Writes that can be taken back: positions and old values, in write order."""

from __future__ import annotations

from models.kernels.jit import entry_point, helper
from models.kernels.plan import UInt8
from models.rows import Float64, Int64

BLOCK_SHIFT = 13
"""log2 of layout.BLOCK."""


@helper
def put(
    S: Float64, dirty: UInt8, p: int, value: float, positions: Int64, old: Float64, n: int, journal: bool
) -> int:
    """S[p] ← value, noted as the n-th entry of the journal if `journal`; the journal's new length."""
    if journal:
        positions[n] = p
        old[n] = S[p]
        n += 1
    S[p] = value
    dirty[p >> BLOCK_SHIFT] = 1
    return n


@helper
def put_run(
    S: Float64,
    dirty: UInt8,
    p: int,
    new: Float64,
    at: int,
    size: int,
    positions: Int64,
    old: Float64,
    n: int,
    journal: bool,
) -> int:
    """S[p : p + size] ← new[at : at + size], as `put` does; the journal's new length."""
    if size == 0:
        return n
    if journal:
        for j in range(size):
            positions[n + j] = p + j
            old[n + j] = S[p + j]
        n += size
    for j in range(size):
        S[p + j] = new[at + j]
    for block in range(p >> BLOCK_SHIFT, ((p + size - 1) >> BLOCK_SHIFT) + 1):
        dirty[block] = 1
    return n


@entry_point()
def restore(S: Float64, small: Float64, positions: Int64, old: Float64, n: int) -> None:
    """Take n journaled writes back, last first, and then the small part."""
    for e in range(n - 1, -1, -1):
        S[positions[e]] = old[e]
    for j in range(small.size):
        S[j] = small[j]


@entry_point()
def restore_part(out: Float64, start: int, small: Float64, positions: Int64, old: Float64, n: int) -> None:
    """As `restore`, on a copy of S[start : start + len(out)]."""
    stop = start + out.size
    for e in range(n - 1, -1, -1):
        p = positions[e]
        if start <= p < stop:
            out[p - start] = old[e]
    for j in range(start, min(stop, small.size)):
        out[j - start] = small[j]


@entry_point()
def restore_blocks(
    out: Float64, places: Int64, small: Float64, positions: Int64, old: Float64, n: int
) -> None:
    """As `restore`, on copies of blocks: block b stands at out[places[b]], and nowhere if that is -1."""
    mask = (1 << BLOCK_SHIFT) - 1
    for e in range(n - 1, -1, -1):
        p = positions[e]
        place = places[p >> BLOCK_SHIFT]
        if place >= 0:
            out[place + (p & mask)] = old[e]
    for block in range(((small.size - 1) >> BLOCK_SHIFT) + 1):
        start = block << BLOCK_SHIFT
        if places[block] >= 0:
            for j in range(start, min(small.size, start + mask + 1)):
                out[places[block] + j - start] = small[j]
