"""One Kafka record as JSON or as a coloured line: predictions, dead letters, samples and labels alike."""

from __future__ import annotations

import base64
import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from rich.text import Text

ERRORS = "__connect.errors."
"""What the names of Kafka Connect's dead letter headers begin with."""
LONGEST_VALUE = 400


@dataclass(frozen=True, slots=True)
class Shown:
    """A record as it was read; timestamp in ms since 1970."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]

    def as_json(self) -> bytes:
        """One JSON object on one line.

        `value` is the record's own JSON, else its text; bytes that are not UTF-8 (key, value or header)
        become {"base64": "…"}. Of headers with the same name the last counts, as in Kafka's clients.
        """
        return msgspec.json.encode(
            {
                "topic": self.topic,
                "partition": self.partition,
                "offset": self.offset,
                "timestamp": self.timestamp,
                "key": _text(self.key),
                "value": _value(self.value),
                "headers": {name: _text(value) for name, value in self.headers},
            }
        )

    def as_line(self) -> Text:
        """Time, partition:offset, key, and what the record says."""
        when = datetime.datetime.fromtimestamp(self.timestamp / 1000).strftime("%H:%M:%S.%f")[:-3]
        line = Text.assemble((f"{when} {self.partition}:{self.offset} ", "dim"))
        if self.key is not None:
            line.append(f"{printable(self.key)} ", "cyan")
        reasons = {n.removeprefix(ERRORS): v for n, v in self.headers if n.startswith(ERRORS)}
        if reasons:
            _dead_letter(line, reasons)
            return line.append(printable(self.value), "dim") if self.value is not None else line
        message = _decoded(self.value)
        if isinstance(message, dict) and "prediction" in message and "model" in message:
            return _prediction(line, message)
        if isinstance(message, dict) and isinstance(message.get("features"), dict):
            return _sample(line, message)
        if isinstance(message, dict) and "id" in message and "label" in message:
            return _label(line, message)
        return line.append("null" if self.value is None else printable(self.value))


def printable(value: bytes) -> str:
    """Bytes as text for a terminal: one line, without control characters, cut when long."""
    cut = value[:LONGEST_VALUE].decode("utf-8", "backslashreplace")
    text = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in cut)
    return text if len(value) <= LONGEST_VALUE else f"{text}… ({len(value):,} bytes)"


def _dead_letter(line: Text, reasons: dict[str, bytes | None]) -> None:
    def of(name: str) -> str:
        return printable(reasons.get(name) or b"")

    line.append(of("exception.message") or of("exception.class.name") or "dead letter", "bold red")
    line.append(f"  {of('topic')}-{of('partition')} @{of('offset')}", "yellow")
    line.append(f"  {of('connector.name')} {of('stage')} {of('exception.class.name')}  ", "dim")


def _prediction(line: Text, message: dict[str, Any]) -> Text:
    line.append(f"{message.get('id')} ", "bold")
    line.append(f"→ {_compact(message['prediction'])}", "bold green")
    if "probability" in message:
        line.append(f"  p={message['probability']:.4f}")
    for name, share in (message.get("probabilities") or {}).items():
        line.append(f"  {name}={share:.4f}")
    coordinates = f"{message.get('topic')}-{message.get('partition')} @{message.get('offset')}"
    return line.append(f"  {coordinates}  after {message.get('samples_learned'):,}", "dim")


def _sample(line: Text, message: dict[str, Any]) -> Text:
    if message.get("id") is not None:
        line.append(f"{_compact(message['id'])} ", "bold")
    if message.get("label") is not None:
        line.append(f"label={_compact(message['label'])} ", "bold green")
    features = " ".join(f"{name}={_compact(value)}" for name, value in message["features"].items())
    return line.append(_cut(features))


def _label(line: Text, message: dict[str, Any]) -> Text:
    line.append(f"{_compact(message['id'])} ", "bold")
    line.append(_cut(f"label={_compact(message['label'])}"), "bold green")
    for name in ("weight", "timestamp"):
        if message.get(name) is not None:
            line.append(_cut(f" {name}={_compact(message[name])}"))
    return line.append(" correction", "yellow") if message.get("correction") is True else line


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_VALUE else text[:LONGEST_VALUE] + "…"


def _compact(value: object) -> str:
    return value if isinstance(value, str) and value.isprintable() else msgspec.json.encode(value).decode()


def _decoded(value: bytes | None) -> Any:
    try:
        return None if value is None else msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _text(value: bytes | None) -> str | dict[str, str] | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(bytes(value or b"")).decode()}


def _value(value: bytes | None) -> Any:
    """The value's JSON as it was written, but on one line; else its text."""
    text = _text(value)
    if value is None or not isinstance(text, str):
        return text
    try:
        return msgspec.Raw(msgspec.json.format(value, indent=-1))
    except (msgspec.DecodeError, RecursionError):
        return text
