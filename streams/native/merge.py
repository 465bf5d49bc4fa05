"""Several small record batches to one: the records of each with offsets behind those of the one before."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.kernels.jit import entry_point
from models.kernels.plan import UInt8
from streams.native.batches import HEADER, read_varint
from streams.native.predict_write import copied, varint_size, write_varint
from streams.native.record_set import RecordSet

_WIDER = 8
"""Bytes that a record may become longer by."""


@entry_point()
def renumber(data: UInt8, at: int, first: int, out: UInt8, to: int) -> int:
    """Copy the records at data[at:] to out[to:], their offsets greater by `first`; returns where they end."""
    while at < data.size:
        length, at = read_varint(data, at, data.size)
        end = at + length
        _, behind_time = read_varint(data, at + 1, end)
        delta, rest = read_varint(data, behind_time, end)
        moved = delta + first
        to = write_varint(out, to, length + varint_size(moved) - varint_size(delta))
        to = copied(data, at, behind_time - at, out, to)
        to = write_varint(out, to, moved)
        to = copied(data, rest, end - rest, out, to)
        at = end
    return to


def merged(sets: Sequence[RecordSet]) -> RecordSet:
    """One batch of all their records, of the time of the last; at least one set."""
    if len(sets) == 1:
        return sets[0]
    count = sum(one.record_count() for one in sets)
    out = np.empty(sum(one.size() for one in sets) + _WIDER * count, np.uint8)
    to = first = 0
    for one in sets:
        data = np.frombuffer(one.records(), np.uint8)
        to = renumber(data, 0, first, out, to)
        first += one.record_count()
    return RecordSet(bytearray(HEADER) + out[:to].tobytes(), count, sets[-1].timestamp)
