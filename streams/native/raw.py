"""Fetched records as one run of bytes and where each record stands in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np
import numpy.typing as npt

from models.kernels.plan import UInt8
from models.rows import Int64
from streams.native.batches import (
    END,
    HEADERS,
    KEY,
    KEY_SIZE,
    OFFSET,
    RECORD_COLUMNS,
    TIMESTAMP,
    VALUE,
    VALUE_SIZE,
    headers_of,
)


class RawRecord:
    """One record (streams.records.Record), cut out of the bytes when it is asked for."""

    __slots__ = ("_data", "_row")

    def __init__(self, data: UInt8, row: Int64) -> None:
        self._data, self._row = data, row

    @property
    def offset(self) -> int:
        """In its partition."""
        return int(self._row[OFFSET])

    @property
    def timestamp(self) -> int:
        """Milliseconds since 1970."""
        return int(self._row[TIMESTAMP])

    @property
    def key(self) -> bytes | None:
        """None where there is none."""
        return self._part(KEY, KEY_SIZE)

    @property
    def value(self) -> bytes | None:
        """None: a tombstone."""
        return self._part(VALUE, VALUE_SIZE)

    @property
    def headers(self) -> Sequence[tuple[str, bytes]]:
        """In order."""
        start, end = int(self._row[HEADERS]), int(self._row[END])
        return headers_of(self._data[start:end].tobytes(), 0, end - start)  # type: ignore[return-value]

    def _part(self, at: int, size: int) -> bytes | None:
        start, length = int(self._row[at]), int(self._row[size])
        return None if length < 0 else self._data[start : start + length].tobytes()


class RawRecords(Sequence[RawRecord]):
    """n records: `data` and their places in it, `places` (n, RECORD_COLUMNS) of streams.native.batches."""

    __slots__ = ("data", "places")

    def __init__(self, data: UInt8, places: Int64) -> None:
        self.data, self.places = data, places

    def __len__(self) -> int:
        return len(self.places)

    @overload
    def __getitem__(self, at: int) -> RawRecord: ...
    @overload
    def __getitem__(self, at: slice) -> RawRecords: ...
    def __getitem__(self, at: int | slice) -> RawRecord | RawRecords:
        """One record, or some of them as a view."""
        if isinstance(at, slice):
            return RawRecords(self.data, self.places[at])
        return RawRecord(self.data, self.places[at])

    def __iter__(self) -> Iterator[RawRecord]:
        data = self.data
        return (RawRecord(data, row) for row in self.places)

    def of(self, mask: npt.NDArray[np.bool_]) -> RawRecords:
        """Those where it is true, in order."""
        return RawRecords(self.data, self.places[mask])

    def keys(self) -> list[bytes | None]:
        """Of all records."""
        return self._all(KEY, KEY_SIZE)

    def values(self) -> list[bytes | None]:
        """Of all records."""
        return self._all(VALUE, VALUE_SIZE)

    def _all(self, at: int, size: int) -> list[bytes | None]:
        sizes = self.places[:, size]
        if not len(sizes) or sizes.max() < 0:
            return [None] * len(sizes)
        first, last = int(self.places[:, at].min()), int(self.places[:, END].max())
        data = self.data[first:last].tobytes()
        starts = self.places[:, at] - first
        stops = starts + sizes
        return [
            None if stop < start else data[start:stop]
            for start, stop in zip(starts.tolist(), stops.tolist(), strict=True)
        ]

    @classmethod
    def join(cls, parts: Sequence[RawRecords]) -> RawRecords:
        """All records of `parts`, in order."""
        if len(parts) == 1:
            return parts[0]
        if not parts:
            return cls(np.frombuffer(b"", np.uint8), np.zeros((0, RECORD_COLUMNS), np.int64))
        starts = np.cumsum([0, *(part.data.size for part in parts[:-1])])
        moved = []
        for part, start in zip(parts, starts.tolist(), strict=True):
            places = part.places.copy()
            places[:, [KEY, VALUE, HEADERS, END]] += start
            moved.append(places)
        # All data is read-only, as what was fetched is: another kind of array would be compiled for anew.
        data = np.frombuffer(b"".join([part.data.tobytes() for part in parts]), np.uint8)
        return cls(data, np.concatenate(moved))
