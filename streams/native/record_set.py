"""A finished record batch that aiokafka's producer sends as if it had been built by its own builder.

The producer takes it for a BatchBuilder of aiokafka.producer.message_accumulator; of that these are used:
append, close, closed, size, record_count, _set_producer_state, _build.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from streams.native.batches import HEADER
from streams.native.checksum import crc32c

_HEADER = struct.Struct(">qiibIhiqqqhii")
_BEHIND_CRC = 21
_NO_EPOCH = -1
_NO_PRODUCER = (-1, -1, 0)


class RecordSet:
    """`data`: HEADER bytes to be filled in, then the records."""

    def __init__(self, data: bytearray, count: int, timestamp: int) -> None:
        self._data = data
        self._count = count
        self.timestamp = timestamp
        self._producer = _NO_PRODUCER
        self._written: tuple[int, int, int] | None = None

    def append(self, **_: Any) -> None:
        """It is full."""

    def close(self) -> None:
        """It is closed."""

    def closed(self) -> bool:
        """It is."""
        return True

    def records(self) -> bytes:
        """What stands behind the header."""
        return bytes(memoryview(self._data)[HEADER:])

    def size(self) -> int:
        """Bytes of the batch."""
        return len(self._data)

    def record_count(self) -> int:
        """Records of the batch."""
        return self._count

    def _set_producer_state(self, producer_id: int, producer_epoch: int, base_sequence: int) -> None:
        self._producer = producer_id, producer_epoch, base_sequence

    def _build(self) -> bytearray:
        if self._written != self._producer:
            self._write_header(0)
            self._write_header(crc32c(self._data, _BEHIND_CRC, len(self._data)))
            self._written = self._producer
        return self._data

    def _write_header(self, crc: int) -> None:
        length, last = len(self._data) - 12, self._count - 1
        producer, epoch, sequence = self._producer
        counted = 0, last, self.timestamp, self.timestamp, producer, epoch, sequence, self._count
        _HEADER.pack_into(self._data, 0, 0, length, _NO_EPOCH, 2, crc, *counted)


def one_record(
    key: bytes | None, value: bytes | bytearray | None, headers: Sequence[tuple[str, bytes]], timestamp: int
) -> RecordSet:
    """A batch of one record."""
    parts = [b"\0\0\0", *_sized(key), *_sized(value), _varint(len(headers))]
    for name, text in headers:
        parts += [*_sized(name.encode()), *_sized(text)]
    size = _varint(sum(map(len, parts)))
    return RecordSet(bytearray().join([bytes(HEADER), size, *parts]), 1, timestamp)


def _sized(data: bytes | bytearray | None) -> tuple[bytes | bytearray, ...]:
    return (_varint(-1),) if data is None else (_varint(len(data)), data)


def _varint(value: int) -> bytes:
    """A zigzag-encoded integer of variable length."""
    left, out = (value << 1) ^ (value >> 63), bytearray()
    while left >= 128:
        out.append(left & 127 | 128)
        left >>= 7
    out.append(left)
    return bytes(out)


assert _HEADER.size == HEADER
