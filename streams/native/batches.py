"""Kafka's record batches (format 2) as they were fetched, to positions in the bytes; no object a record.

Source of the format: https://kafka.apache.org/documentation/#recordbatch
"""

from __future__ import annotations

from typing import NamedTuple

from models.kernels.jit import entry_point, helper, part, unsigned
from models.kernels.plan import UInt8
from models.rows import Int64
from streams.native.powers import signed

HEADER = 61
"""Bytes in front of the records of a batch."""
BASE_OFFSET, START, STOP, COUNT, ATTRIBUTES, FIRST_TIME, LAST_TIME, NEXT_OFFSET, PRODUCER, MAGIC = range(10)
"""Columns of a batch: START and STOP are where its records stand."""
BATCH_COLUMNS = 10
OFFSET, TIMESTAMP, KEY, KEY_SIZE, VALUE, VALUE_SIZE, HEADERS, END = range(8)
"""Columns of a record: where its parts stand; a size of -1: there is none. HEADERS: where their number is."""
RECORD_COLUMNS = 8

COMPRESSION, LOG_APPEND_TIME, TRANSACTIONAL, CONTROL = 0x07, 0x08, 0x10, 0x20
"""Bits of the attributes."""


class Varint(NamedTuple):
    """A number, and where the next byte is; -1: there was none."""

    value: int
    next: int


@helper
def _big_endian(data: UInt8, at: int, size: int) -> int:
    """A signed integer of `size` bytes."""
    value = signed(0)
    for i in range(size):
        value = (value << signed(8)) | signed(data[unsigned(at + i)])
    bits = signed(64 - 8 * size)
    return (value << bits) >> bits


@helper
def read_varint(data: UInt8, at: int, end: int) -> Varint:
    """A zigzag-encoded integer of variable length."""
    value, shift = unsigned(0), unsigned(0)
    while at < end and shift < unsigned(70):
        byte = unsigned(data[unsigned(at)])
        at += 1
        value |= (byte & unsigned(0x7F)) << shift
        if byte < unsigned(0x80):
            half = signed(value >> unsigned(1))
            return Varint(half if value & unsigned(1) == unsigned(0) else ~half, at)
        shift += unsigned(7)
    return Varint(0, -1)


@entry_point()
def list_batches(data: UInt8, out: Int64) -> int:
    """Write the batches of a fetch (BATCH_COLUMNS each) to out (m, …); returns how many, or -1 - how many
    are needed at least. A last one that is cut short, as brokers send them, is left out.
    """
    at, count = 0, 0
    while at + HEADER <= data.size:
        length = _big_endian(data, at + 8, 4)
        stop = at + 12 + length
        if length < HEADER - 12 or stop > data.size:
            break
        if count == len(out):
            return -1 - count
        row = out[count]
        row[BASE_OFFSET] = _big_endian(data, at, 8)
        row[MAGIC] = data[at + 16]
        row[ATTRIBUTES] = _big_endian(data, at + 21, 2)
        row[NEXT_OFFSET] = row[BASE_OFFSET] + _big_endian(data, at + 23, 4) + 1
        row[FIRST_TIME], row[LAST_TIME] = _big_endian(data, at + 27, 8), _big_endian(data, at + 35, 8)
        row[PRODUCER] = _big_endian(data, at + 43, 8)
        row[COUNT] = _big_endian(data, at + 57, 4)
        row[START], row[STOP] = at + HEADER, stop
        at, count = stop, count + 1
    return count


@part
def _record(data: UInt8, at: int, stop: int, batch: Int64, row: Int64) -> int:
    """Read one record at `at`; returns where the next one is, -1: it is none."""
    length, at = read_varint(data, at, stop)
    end = at + length
    if at < 0 or length < 1 or end > stop:
        return -1
    time, at = read_varint(data, at + 1, end)
    delta, at = read_varint(data, at, end) if at >= 0 else Varint(0, -1)
    key, at = read_varint(data, at, end) if at >= 0 else Varint(0, -1)
    if at < 0 or key < -1 or key > end - at:
        return -1
    row[KEY], row[KEY_SIZE] = at, key
    value, at = read_varint(data, at + max(key, 0), end)
    if at < 0 or value < -1 or value > end - at:
        return -1
    row[VALUE], row[VALUE_SIZE] = at, value
    row[HEADERS], row[END] = at + max(value, 0), end
    row[OFFSET] = batch[BASE_OFFSET] + delta
    appended = batch[ATTRIBUTES] & LOG_APPEND_TIME
    row[TIMESTAMP] = batch[LAST_TIME] if appended else batch[FIRST_TIME] + time
    return end


@entry_point()
def list_records(data: UInt8, batches: Int64, since: int, out: Int64) -> int:
    """Write the records of offsets ≥ since (RECORD_COLUMNS each) to out (m, …); returns how many.

    batches: (b, BATCH_COLUMNS), their records uncompressed at START … STOP of data. -1: what stands there is
    no record.
    """
    count = 0
    for b in range(len(batches)):
        batch = batches[b]
        at, stop = batch[START], batch[STOP]
        for _ in range(batch[COUNT]):
            if count == len(out):
                return -1
            row = out[count]
            at = _record(data, at, stop, batch, row)
            if at < 0:
                return -1
            count += row[OFFSET] >= since
    return count


def headers_of(data: bytes, at: int, end: int) -> tuple[tuple[str, bytes | None], ...]:
    """The headers of one record, which stand at [at, end) of the bytes."""
    number, at = _plain_varint(data, at, end)
    if number < 0:
        raise ValueError(f"a record of {number} headers")
    found = []
    for _ in range(number):
        name, at = _sized(data, at, end)
        value, at = _sized(data, at, end)
        if name is None:
            raise ValueError("a header without a name")
        found.append((name.decode(), value))
    return tuple(found)


def _sized(data: bytes, at: int, end: int) -> tuple[bytes | None, int]:
    size, at = _plain_varint(data, at, end)
    if size < 0:
        return None, at
    if at + size > end:
        raise ValueError("a record that is cut short")
    return data[at : at + size], at + size


def _plain_varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while at < end:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), at
    raise ValueError("a record that is cut short")
