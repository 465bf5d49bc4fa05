"""Lines of a JSON Lines or CSV file to messages: samples, or labels that come late.

A field's JSON text goes into the message as it stands in the file: nothing is rounded, reordered or
normalised on the way. Errors name the line.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import msgspec

from streams.commands._columns import NULL, BadLine, Columns, Format, csv_value

Fields = dict[str, msgspec.Raw]
Message = dict[str, msgspec.Raw | Fields | None]

_RESERVED = ("id", "label", "weight", "timestamp")
_OF_A_LABEL = ("weight", "timestamp", "correction")
_as_fields = msgspec.json.Decoder(Fields).decode
_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class MessageReader:
    """Messages of one file; labels: of labels, not of samples.

    A record's key is the text of the column that is named for it, else the message's id. `unnamed` collects
    columns such as `label` that travel as features.
    """

    columns: Columns
    file: str
    labels: bool = False
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
            if self.labels:
                yield number, *self._label(fields, fields.get(self.columns.key or ""), number)
            elif "features" in fields and not self.columns.all():
                yield number, _key_of(fields), text
            elif "features" in fields:
                yield number, *self._completed(fields, number)
            else:
                yield number, *self._wrapped(fields, fields.get(self.columns.key or ""), number)

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
        # An id and a key are text, even if they look like numbers.
        id_, key = (_csv_text(row.get(column or "")) for column in (self.columns.id, self.columns.key))
        if self.columns.id is not None:
            fields[self.columns.id] = id_
        return (self._label if self.labels else self._wrapped)(fields, key, number)

    def _label(self, fields: Fields, key: msgspec.Raw | None, number: int) -> tuple[bytes | None, bytes]:
        """A label: the named columns, and of the others those that a label message has."""
        named = self.columns.all()
        rest = {name: fields[name] for name in _OF_A_LABEL if name in fields and name not in named}
        message = {target: fields.get(column) for target, column in self.columns.targets().items()}
        return self._record(key, {**rest, **message}, number)

    def _wrapped(self, fields: Fields, key: msgspec.Raw | None, number: int) -> tuple[bytes | None, bytes]:
        """A flat object: the named columns where they belong, all others as features."""
        message = {target: fields.get(column) for target, column in self.columns.targets().items()}
        named = self.columns.all()
        features = {name: raw for name, raw in fields.items() if name not in named}
        self.unnamed.update(name for name in _RESERVED if name in features)
        return self._record(key, {**message, "features": features}, number)

    def _completed(self, fields: Fields, number: int) -> tuple[bytes | None, bytes]:
        """A sample that has `features` already: named columns are taken from it or from its features."""
        try:
            features = _as_fields(fields["features"])
        except msgspec.DecodeError:
            raise self._bad(number, "features: expected an object") from None
        key = fields.get(self.columns.key or "", features.get(self.columns.key or ""))
        message: Message = dict(fields)
        for target, column in self.columns.targets().items():
            message[target] = features.pop(column, None) if column not in fields else fields[column]
            if column != target:
                message.pop(column, None)
        return self._record(key, {**message, "features": features}, number)

    def _record(self, key: msgspec.Raw | None, message: Message, number: int) -> tuple[bytes | None, bytes]:
        """Key and value; without a column for the key it is the id."""
        found = message.get("id")
        id_ = self._text(found, "id", number) if isinstance(found, msgspec.Raw) else None
        if id_ is not None:
            message["id"] = msgspec.Raw(_encode(id_))
        text = id_
        if self.columns.key is not None:
            text = None if key is None else self._text(key, "key", number)
        value = _encode({name: one for name, one in message.items() if not _absent(one)})
        return None if text is None else text.encode(), value

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


def _csv_text(text: str | None) -> msgspec.Raw:
    return msgspec.Raw(_encode(text)) if text else NULL


def counted(lines: Iterable[bytes], tell: Callable[[int], None]) -> Iterator[bytes]:
    """The same lines; `tell` gets the size of each."""
    for line in lines:
        tell(len(line))
        yield line


def _absent(value: object) -> bool:
    return value is None or (isinstance(value, msgspec.Raw) and bytes(value).strip() == b"null")


def _key_of(fields: Fields) -> bytes | None:
    """The id of a message that is sent as it stands: what it holds is looked at by the worker."""
    written = bytes(fields.get("id", NULL)).strip()
    return str(msgspec.json.decode(written)).encode() if written[:1] == b'"' else None
