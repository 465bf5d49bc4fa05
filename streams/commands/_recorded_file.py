"""A file of samples as a recording: read by the same reader as `gradstream produce` sends it with."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from streams.commands._columns import Format
from streams.commands._messages import MessageReader, counted
from streams.records import Record


@dataclass(slots=True)
class Line:
    """A file's sample as the record that it would be. Of its own it has no time: that is 1970 then."""

    offset: int
    number: int
    """Of the line in the file."""
    key: bytes | None
    value: bytes | None
    timestamp: int = 0
    headers: Sequence[tuple[str, bytes]] = ()


class RecordedFile:
    """See streams.evaluation.recording.Recording. `size` in bytes, None if not known."""

    def __init__(self, reader: MessageReader, stream: BinaryIO, form: Format, size: int | None) -> None:
        self.reader = reader
        self._stream = stream
        self._form = form
        self._size = size
        self._read = 0

    @property
    def name(self) -> str:
        """The file's name."""
        return self.reader.file

    def records(self) -> Generator[Record, None, None]:
        """One record a sample, with offsets from 0 on; raises BadLine for a line that is no object."""
        lines = counted(self._stream, self._count)
        for offset, (number, key, value) in enumerate(self.reader.read(lines, self._form)):
            yield Line(offset, number, key, value)

    def place(self, record: Record) -> str:
        """The line."""
        assert isinstance(record, Line)
        return f"line {record.number}"

    def share(self) -> float | None:
        """By bytes."""
        return self._read / self._size if self._size else None

    def _count(self, length: int) -> None:
        self._read += length
