"""What a consumer has fetched as RawRecords, instead of an object a record.

aiokafka makes an object a record, which takes longer than to learn it. Its `_proc_fetch_request`
is run as it is, with two other classes for what it makes of the answer; tests/streams/native/test_fetching.py
fails when they are used in another way. What is not understood here is left to aiokafka's own reader.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from types import FunctionType, MethodType
from typing import Any

import numpy as np
from aiokafka import codec
from aiokafka.consumer import fetcher as driver
from aiokafka.record.memory_records import MemoryRecords

from models.kernels.plan import UInt8
from models.rows import Int64
from streams.native.batches import (
    ATTRIBUTES,
    BASE_OFFSET,
    BATCH_COLUMNS,
    COMPRESSION,
    CONTROL,
    COUNT,
    HEADER,
    KEY,
    MAGIC,
    NEXT_OFFSET,
    PRODUCER,
    RECORD_COLUMNS,
    START,
    STOP,
    TRANSACTIONAL,
    list_batches,
    list_records,
)
from streams.native.checksum import crc32c
from streams.native.raw import RawRecords
from streams.records import Record

_DECODERS: dict[int, Callable[[bytes], bytes]] = {
    1: codec.gzip_decode,
    2: codec.snappy_decode,
    3: codec.lz4_decode,
    4: codec.zstd_decode,
}
_KNOWN = {0, 1} | ({2, 3, 4} if codec.has_zstd() else set())
LEAST_RECORD = 7
"""Bytes that a record has at least."""
_SOME = 64
"""Batches that there is room for at first."""
CHECK_CRCS = 2
"""Which of the further arguments of aiokafka's PartitionRecords."""
ABORT = 0
"""Type of the control record behind an aborted transaction."""


class RawFetch:
    """What one fetch brought of a partition, as aiokafka's MemoryRecords is asked for it."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.plain = MemoryRecords(data)

    def has_next(self) -> bool:
        """Whether there is a whole batch."""
        return bool(self.plain.has_next())

    def size_in_bytes(self) -> int:
        """All of it."""
        return len(self.data)


class RawPartitionRecords:
    """Yields all records of a fetch at once, as aiokafka's PartitionRecords yields each."""

    def __init__(
        self,
        tp: Any,
        records: RawFetch,
        aborted_transactions: Sequence[tuple[int, int]] | None,
        fetch_offset: int,
        *others: Any,
    ) -> None:
        self._tp, self._fetch, self._others = tp, records, others
        self._check = len(others) > CHECK_CRCS and bool(others[CHECK_CRCS])
        self._aborted = sorted(aborted_transactions or (), key=lambda one: one[1])
        self.next_fetch_offset = fetch_offset
        self._plain: Any = None

    def __iter__(self) -> Iterator[Any]:
        """A RawRecords if there is any record; or, of what is not understood, aiokafka's records."""
        data = np.frombuffer(self._fetch.data, np.uint8)
        batches = _batches(data)
        if self._check and batches is not None and not _undamaged(self._fetch.data, batches):
            batches = None  # aiokafka's reader says so
        records = None if batches is None else self._records(data, batches)
        if batches is None or records is None:
            yield from self._by_aiokafka()
            return
        if len(batches):
            self.next_fetch_offset = int(batches[-1, NEXT_OFFSET])
        if len(records):
            yield records

    def _records(self, data: UInt8, batches: Int64) -> RawRecords | None:
        # A fetch has one batch or some dozens: numpy's own ways take longer for so few.
        bits = 0
        for attributes in batches[:, ATTRIBUTES].tolist():
            bits |= attributes
        if bits & (CONTROL | TRANSACTIONAL):
            batches = self._committed(data, batches)
        if bits & COMPRESSION:
            if not (set((batches[:, ATTRIBUTES] & COMPRESSION).tolist()) <= _KNOWN):
                return None
            data, batches = _uncompressed(data, batches)
        counts = batches[:, COUNT].tolist()
        if min(counts, default=0) < 0 or sum(counts) > len(data) // LEAST_RECORD:
            return None
        index = np.empty((sum(counts), RECORD_COLUMNS), np.int64)
        found = list_records(data, batches, self.next_fetch_offset, index)
        return None if found < 0 else RawRecords(data, index[:found])

    def _committed(self, data: UInt8, batches: Int64) -> Int64:
        """Without control batches, and without those of aborted transactions."""
        kept, left, aborted = [], list(self._aborted), set[int]()
        for at, batch in enumerate(batches):
            producer = int(batch[PRODUCER])
            while left and left[0][1] <= batch[BASE_OFFSET]:
                aborted.add(left.pop(0)[0])
            if batch[ATTRIBUTES] & CONTROL:
                if _control_type(data, batches[at : at + 1]) == ABORT:
                    aborted.discard(producer)
            elif not (batch[ATTRIBUTES] & TRANSACTIONAL and producer in aborted):
                kept.append(at)
        return np.ascontiguousarray(batches[kept])

    def _by_aiokafka(self) -> Iterator[Record]:
        if self._plain is None:  # whoever took some of them goes on with the others
            self._plain = driver.PartitionRecords(
                self._tp, self._fetch.plain, self._aborted, self.next_fetch_offset, *self._others
            )
        for record in self._plain:
            self.next_fetch_offset = self._plain.next_fetch_offset
            yield record
        self.next_fetch_offset = self._plain.next_fetch_offset


def _batches(data: UInt8) -> Int64 | None:
    """All whole batches of a fetch (b, BATCH_COLUMNS); None if one is of a former format."""
    room = _SOME
    while True:
        out = np.empty((room, BATCH_COLUMNS), np.int64)
        found = list_batches(data, out)
        if found >= 0:
            end = int(out[found - 1, STOP]) if found else 0
            former = end + 16 < len(data) and data[end + 16] != 2  # a short message of such a format
            return None if former or set(out[:found, MAGIC].tolist()) - {2} else out[:found]
        room *= 8


def _undamaged(data: bytes, batches: Int64) -> bool:
    """Whether all batches have the checksum that they were written with."""
    for batch in batches:
        start = int(batch[START]) - HEADER
        expected = int.from_bytes(data[start + 17 : start + 21], "big")
        if crc32c(data, start + 21, int(batch[STOP])) != expected:
            return False
    return True


def _uncompressed(data: UInt8, batches: Int64) -> tuple[UInt8, Int64]:
    """The records of the batches in their plain form, and where they stand there."""
    batches, parts, at = batches.copy(), list[bytes](), 0
    for batch in batches:
        part = data[batch[START] : batch[STOP]].tobytes()
        kind = int(batch[ATTRIBUTES]) & COMPRESSION
        part = _DECODERS[kind](part) if kind else part
        batch[START], batch[STOP] = at, at + len(part)
        parts.append(part)
        at += len(part)
    return np.frombuffer(b"".join(parts), np.uint8), batches


def _control_type(data: UInt8, batch: Int64) -> int | None:
    index = np.empty((1, RECORD_COLUMNS), np.int64)
    if list_records(data, batch, 0, index) != 1:
        return None
    key = data[index[0, KEY] : index[0, KEY] + 4].tobytes()
    return int.from_bytes(key[2:4], "big", signed=True)


def fetch_raw(consumer: Any) -> None:
    """Have a started aiokafka consumer give RawRecords: its lists of records have one for each fetch."""
    fetcher = consumer._fetcher
    original = type(fetcher)._proc_fetch_request
    names = {**vars(driver), "MemoryRecords": RawFetch, "PartitionRecords": RawPartitionRecords}
    changed = FunctionType(
        original.__code__, names, original.__name__, original.__defaults__, original.__closure__
    )
    fetcher._proc_fetch_request = MethodType(changed, fetcher)


def all_of(fetched: Sequence[Any]) -> Sequence[Record]:
    """The records of one partition that such a consumer gave."""
    if fetched and all(isinstance(one, RawRecords) for one in fetched):
        return RawRecords.join(fetched)
    records = list[Record]()
    for one in fetched:
        records.extend(one if isinstance(one, RawRecords) else (one,))
    return records
