"""What a broker answers a fetch with, made by aiokafka's builders; and what aiokafka and we read in it."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from aiokafka import TopicPartition, codec
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c

from streams.native.batches import COMPRESSION, CONTROL, TRANSACTIONAL
from streams.native.fetching import RawFetch, RawPartitionRecords, all_of

KEY = TopicPartition("samples", 0)
TIME = 1_700_000_000_000
NO_PRODUCER = -1
ABORT, COMMIT = 0, 1
GZIP, SNAPPY, LZ4, ZSTD = 1, 2, 3, 4
AVAILABLE: dict[int, Callable[[], bool]] = {
    0: lambda: True, GZIP: codec.has_gzip, SNAPPY: codec.has_snappy, LZ4: codec.has_lz4, ZSTD: codec.has_zstd,
}  # fmt: skip
CODECS = [kind for kind, there in AVAILABLE.items() if there()]
"""Compressions that can be undone here: three of them want cramjam."""


class Row(NamedTuple):
    """One record."""

    offset: int
    timestamp: int = TIME
    key: bytes | None = None
    value: bytes | None = b"value"
    headers: tuple[tuple[str, bytes | None], ...] = ()


class Read(NamedTuple):
    """What came out of a fetch, and where the next one begins."""

    rows: list[Row]
    next_fetch_offset: int


def batch(
    rows: Sequence[Row],
    *,
    compression: int = 0,
    attributes: int = 0,
    producer: int = NO_PRODUCER,
    base: int | None = None,
    last: int | None = None,
    appended: int = TIME,
) -> bytes:
    """A record batch of format 2. base, last: its first and last offset, if no record has them any more.
    appended: the time of all records, if the attributes say LOG_APPEND_TIME.
    """
    base = rows[0].offset if base is None else base
    last = rows[-1].offset if last is None else last
    builder = DefaultRecordBatchBuilder(2, compression, 0, producer, 0, 0, 1 << 30)
    for row in rows:
        delta = row.offset - base
        assert builder.append(delta, row.timestamp, row.key, row.value, list(row.headers)) is not None
    data = bytearray(builder.build())
    first = rows[0].timestamp if rows else TIME
    own = int.from_bytes(data[21:23], "big")
    struct.pack_into(">q", data, 0, base)
    struct.pack_into(">hi", data, 21, own | attributes, last - base)
    struct.pack_into(">qq", data, 27, first, appended)
    return sealed(data)


def is_compressed(data: bytes) -> bool:
    """Whether the first batch is: aiokafka leaves it plain where that is shorter."""
    return bool(data[22] & COMPRESSION)


def sealed(data: bytearray) -> bytes:
    """One batch with the checksum that it should have."""
    struct.pack_into(">I", data, 17, calc_crc32c(bytes(data[21:])))
    return bytes(data)


def marker(kind: int, offset: int, producer: int) -> bytes:
    """The control batch behind a transaction."""
    rows = [Row(offset, key=struct.pack(">hh", 0, kind), value=bytes(6))]
    return batch(rows, attributes=CONTROL | TRANSACTIONAL, producer=producer)


def legacy(magic: int, rows: Sequence[Row], compression: int = 0) -> bytes:
    """Messages of format 0 or 1."""
    builder = LegacyRecordBatchBuilder(magic, compression, 1 << 30)
    for row in rows:
        assert builder.append(row.offset, row.timestamp if magic else None, row.key, row.value) is not None
    data = bytearray(builder.build())
    if compression:  # the broker gives the outer message the offset of the last inner one
        struct.pack_into(">q", data, 0, rows[-1].offset)
    return bytes(data)


def row_of(record: Any) -> Row:
    """All that is asked of a record."""
    return Row(record.offset, record.timestamp, record.key, record.value, tuple(record.headers))


Aborted = Sequence[tuple[int, int]] | None
"""Producers, and the first offsets of their aborted transactions."""


def by_aiokafka(data: bytes, since: int = 0, aborted: Aborted = None, *, crc: bool = True) -> Read:
    """What aiokafka's own PartitionRecords yields."""
    records = fetcher.PartitionRecords(
        KEY, MemoryRecords(data), aborted, since, None, None, crc, fetcher.READ_COMMITTED
    )
    return Read([row_of(record) for record in records], records.next_fetch_offset)


def raw_records(data: bytes, since: int = 0, aborted: Aborted = None) -> RawPartitionRecords:
    """As fetch_raw has it made, with what the consumers of this project ask for."""
    fetch = RawFetch(data)
    return RawPartitionRecords(KEY, fetch, aborted, since, None, None, False, fetcher.READ_COMMITTED)


def by_us(data: bytes, since: int = 0, aborted: Aborted = None) -> Read:
    """What ours yields."""
    records = raw_records(data, since, aborted)
    return Read([row_of(record) for record in all_of(list(records))], records.next_fetch_offset)


def same(data: bytes, since: int = 0, aborted: Aborted = None) -> Read:
    """What both read; and it has to be the same."""
    found = by_us(data, since, aborted)
    assert found == by_aiokafka(data, since, aborted)
    return found
