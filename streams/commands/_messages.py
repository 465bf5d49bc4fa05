"""Lines of a JSON Lines or CSV file to sample messages.

A field's JSON text goes into the message as it stands in the file: nothing is rounded, reordered or
normalised on the way. Errors name the line.
"""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import click
import msgspec

from models.errors import GradstreamError

Format = Literal["jsonl", "csv"]
Fields = dict[str, msgspec.Raw]
FORMATS: dict[str, Format] = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".csv": "csv"}
"""By a file's ending."""

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_NULL = msgspec.Raw(b"null")
_RESERVED = ("id", "label", "weight", "timestamp")
_as_fields = msgspec.json.Decoder(Fields).decode
_encode = msgspec.json.Encoder().encode


class BadLine(GradstreamError):
    """A line of the file that is not a sample."""


def format_of(file: Path, form: Format | None) -> Format:
    """What the file is: `form` where it is given, else by the ending; `-` is JSON Lines. Or UsageError."""
    form = form or ("jsonl" if str(file) == "-" else FORMATS.get(file.suffix.lower()))
    if form is None:
        raise click.UsageError(f"{file}: expected a name that ends in .jsonl or .csv, or --format")
    return form


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns are the record's key and the message's id, label and timestamp; None: no column."""

    key: str | None = None
    id: str | None = None
    label: str | None = None
    timestamp: str | None = None

    def targets(self) -> dict[str, str]:
        """Message field → column, without the key."""
        named = (("id", self.id), ("label", self.label), ("timestamp", self.timestamp))
        return {target: column for target, column in named if column is not None}

    def all(self) -> set[str]:
        """All columns that are named."""
        return {*self.targets().values(), *([self.key] if self.key is not None else [])}


@dataclass(slots=True)
class MessageReader:
    """Messages of one file. `unnamed` collects columns such as `label` that travel as features."""

    columns: Columns
    file: str
    unnamed: set[str] = field(default_factory=set)

    def read(self, lines: Iterable[bytes], form: Format) -> Iterator[tuple[int, bytes | None, bytes]]:
        """Line number, key and value of each message; raises BadLine."""
        return self._json_lines(lines) if form == "jsonl" else self._csv(lines)

    def _json_lines(self, lines: Iterable[bytes]) -> Iterator[tuple[int, bytes | None, bytes]]:
        for number, line in enumerate(lines, start=1):
            text = (line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line).strip()
            if not text:
                continue
            try:
                text.decode()  # msgspec looks at text only where it has to decode it
                fields = _as_fields(text)
            except UnicodeDecodeError as error:
                raise self._bad(number, f"not UTF-8 text (byte {error.start})") from None
            except (msgspec.DecodeError, RecursionError) as error:
                raise self._bad(number, f"expected a JSON object: {error}") from None
            if "features" in fields and not self.columns.all():
                yield number, None, text
            elif "features" in fields:
                yield number, *self._completed(fields, number)
            else:
                yield number, *self._wrapped(fields, number)

    def _csv(self, lines: Iterable[bytes]) -> Iterator[tuple[int, bytes | None, bytes]]:
        csv.field_size_limit(sys.maxsize)
        reader = csv.reader(self._decoded(lines), strict=True)
        try:
            names = next(reader, [])
            self._check_header(names)
            for row in reader:
                if not row:
                    continue
                if len(row) != len(names):
                    message = f"{len(row)} fields, the header has {len(names)}"
                    raise self._bad(reader.line_num, message)
                key, value = self._csv_row(dict(zip(names, row, strict=True)), reader.line_num)
                yield reader.line_num, key, value
        except csv.Error as error:
            raise self._bad(reader.line_num, f"not CSV: {error}") from None

    def _decoded(self, lines: Iterable[bytes]) -> Iterator[str]:
        for number, line in enumerate(lines, start=1):
            try:
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise self._bad(number, f"not UTF-8 text (byte {error.start})") from None

    def _check_header(self, names: list[str]) -> None:
        if not names:
            raise self._bad(1, "expected a header with the names of the columns")
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None or "" in names:
            what = "a column without a name" if twice is None or twice == "" else f"column '{twice}' twice"
            raise self._bad(1, f"{what} in the header")
        missing = sorted(self.columns.all() - set(names))
        if missing:
            raise self._bad(1, f"no column '{missing[0]}' in the header; there is {', '.join(names)}")

    def _csv_row(self, row: dict[str, str], number: int) -> tuple[bytes | None, bytes]:
        fields = {name: csv_value(text) for name, text in row.items()}
        if self.columns.id is not None:  # an id is text, even if it looks like a number
            text = row[self.columns.id]
            fields[self.columns.id] = msgspec.Raw(_encode(text)) if text else _NULL
        key, value = self._wrapped(fields, number)
        if self.columns.key is not None:
            text = row[self.columns.key]
            key = text.encode() if text else None
        return key, value

    def _wrapped(self, fields: Fields, number: int) -> tuple[bytes | None, bytes]:
        """A flat object: the named columns where they belong, all others as features."""
        message = {target: fields.get(column) for target, column in self.columns.targets().items()}
        key = self._key(fields.get(self.columns.key) if self.columns.key is not None else None, number)
        named = self.columns.all()
        features = {name: raw for name, raw in fields.items() if name not in named}
        self.unnamed.update(name for name in _RESERVED if name in features)
        return key, self._encoded({**message, "features": features}, number)

    def _completed(self, fields: Fields, number: int) -> tuple[bytes | None, bytes]:
        """A sample that has `features` already: named columns are taken from it or from its features."""
        try:
            features = _as_fields(fields["features"])
        except msgspec.DecodeError:
            raise self._bad(number, "features: expected an object") from None
        key_column = self.columns.key
        raw_key = None if key_column is None else fields.get(key_column, features.get(key_column))
        message: dict[str, msgspec.Raw | Fields | None] = dict(fields)
        for target, column in self.columns.targets().items():
            message[target] = features.pop(column, None) if column not in fields else fields[column]
            if column != target:
                message.pop(column, None)
        return self._key(raw_key, number), self._encoded({**message, "features": features}, number)

    def _encoded(self, message: dict[str, msgspec.Raw | Fields | None], number: int) -> bytes:
        found = message.get("id")
        if isinstance(found, msgspec.Raw) and (text := self._text(found, "id", number)) is not None:
            message["id"] = msgspec.Raw(_encode(text))
        return _encode({name: value for name, value in message.items() if not _absent(value)})

    def _key(self, raw: msgspec.Raw | None, number: int) -> bytes | None:
        text = None if raw is None else self._text(raw, "key", number)
        return None if text is None else text.encode()

    def _text(self, raw: msgspec.Raw, what: str, number: int) -> str | None:
        """A key or id as text: a string as it is, a number or boolean as it is written."""
        written = bytes(raw).strip()
        if written[:1] in b"[{":
            raise self._bad(number, f"{what}: expected a text or a number, found {written[:40].decode()!r}")
        if written[:1] == b'"':
            return str(msgspec.json.decode(written))
        return None if written == b"null" else written.decode()

    def _bad(self, number: int, message: str) -> BadLine:
        return BadLine(f"{self.file}, line {number}: {message}")


def csv_value(text: str) -> msgspec.Raw:
    """The JSON value of a CSV field: null where it is empty, a boolean, a number as JSON writes it, or text.

    >>> [bytes(csv_value(text)) for text in ("", "True", "1.50", "007", "a b")]
    [b'null', b'true', b'1.50', b'"007"', b'"a b"']
    """
    if not text:
        return _NULL
    if text.lower() in ("true", "false"):
        return msgspec.Raw(text.lower().encode())
    return msgspec.Raw(text.encode() if _NUMBER.fullmatch(text) else _encode(text))


def counted(lines: Iterable[bytes], tell: Callable[[int], None]) -> Iterator[bytes]:
    """The same lines; `tell` gets the size of each."""
    for line in lines:
        tell(len(line))
        yield line


def _absent(value: object) -> bool:
    return value is None or (isinstance(value, msgspec.Raw) and bytes(value).strip() == b"null")
