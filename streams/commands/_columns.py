"""Which columns of a file are a message's own fields, and what a field of a CSV file is in JSON."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import click
import msgspec

from models.errors import GradstreamError

Format = Literal["jsonl", "csv"]
FORMATS: dict[str, Format] = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".csv": "csv"}
"""By a file's ending."""
NULL = msgspec.Raw(b"null")

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")


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


def csv_value(text: str) -> msgspec.Raw:
    """The JSON value of a CSV field: null where it is empty, a boolean, a number as JSON writes it, or text.

    >>> [bytes(csv_value(text)) for text in ("", "True", "1.50", "007", "a b")]
    [b'null', b'true', b'1.50', b'"007"', b'"a b"']
    """
    if not text:
        return NULL
    if text.lower() in ("true", "false"):
        return msgspec.Raw(text.lower().encode())
    return msgspec.Raw(text.encode() if _NUMBER.fullmatch(text) else msgspec.json.encode(text))
