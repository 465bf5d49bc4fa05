"""Ids and keys of raw samples, made into objects only where somebody looks at them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

from models.kernels.plan import UInt8
from models.rows import Int64
from streams.native.raw import RawRecords


class RawIds(Sequence[str]):
    """Ids of samples: in data, or the default one of a topic's partition and an offset."""

    __slots__ = ("at", "data", "offsets", "prefix", "size")

    def __init__(self, data: UInt8, at: Int64, size: Int64, prefix: str, offsets: Int64) -> None:
        self.data, self.at, self.size, self.prefix, self.offsets = data, at, size, prefix, offsets

    def __len__(self) -> int:
        return len(self.at)

    @overload
    def __getitem__(self, which: int) -> str: ...
    @overload
    def __getitem__(self, which: slice) -> RawIds: ...
    def __getitem__(self, which: int | slice) -> str | RawIds:
        """One of them, or some."""
        if isinstance(which, slice):
            return RawIds(self.data, self.at[which], self.size[which], self.prefix, self.offsets[which])
        at, size = int(self.at[which]), int(self.size[which])
        if size < 0:
            return f"{self.prefix}{self.offsets[which]}"
        return self.data[at : at + size].tobytes().decode()

    def __iter__(self) -> Iterator[str]:
        if len(self) and self.size.max() < 0:
            return map(self.prefix.__add__, map(str, self.offsets.tolist()))
        return (self[i] for i in range(len(self)))


class RawKeys(Sequence[bytes | None]):
    """The keys of raw records."""

    __slots__ = ("records",)

    def __init__(self, records: RawRecords) -> None:
        self.records = records

    def __len__(self) -> int:
        return len(self.records)

    @overload
    def __getitem__(self, which: int) -> bytes | None: ...
    @overload
    def __getitem__(self, which: slice) -> RawKeys: ...
    def __getitem__(self, which: int | slice) -> bytes | RawKeys | None:
        """One of them, or some."""
        return RawKeys(self.records[which]) if isinstance(which, slice) else self.records[which].key

    def __iter__(self) -> Iterator[bytes | None]:
        return iter(self.records.keys())
