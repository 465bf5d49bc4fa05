"""The careful JSON reader for records that the fast path refused: it keeps what a message needs.

It takes what the fast path takes. 1e999 and endless integers become `OutOfRange`, so that a message can name
the field; NaN and Infinity, which are not JSON, are refused with the place where they stand.
"""

from __future__ import annotations

import json
import math
from typing import Any

from streams.dead_letters import EmptyValue, NotAnObject, NotJson
from streams.ingest_text import SHOWN_LENGTH, OutOfRange, shown, shown_name

_MAX_DIGITS = 4300
"""Longest integer that Python reads."""


def read_object(value: bytes | None) -> dict[str, Any]:
    """The object in a record's value; raises EmptyValue, NotJson, NotAnObject."""
    if value is None:
        raise EmptyValue("value: expected a JSON object, got none (a tombstone)")
    if not value.strip():
        raise EmptyValue("value: expected a JSON object, got an empty value")
    try:
        text = value.decode()
    except UnicodeDecodeError as error:
        found = f"byte 0x{value[error.start]:02x} at position {error.start}"
        raise NotJson(f"value: expected a JSON object in UTF-8, got {found}") from None
    decoded = _parse(text)
    if not isinstance(decoded, dict):
        raise NotAnObject(f"value: expected a JSON object, got {shown(decoded)}")
    return decoded


def _parse(text: str) -> Any:
    literals: list[OutOfRange] = []

    def constant(name: str) -> OutOfRange:
        literals.append(OutOfRange(name))
        return literals[-1]

    try:
        found = json.loads(text, parse_int=_integer, parse_float=_number, parse_constant=constant)
    except json.JSONDecodeError as error:
        around = text[error.pos : error.pos + SHOWN_LENGTH + 1]
        what = f"got {shown(around)}" if around else "got the end"
        raise NotJson(
            f"value: expected a JSON object, {what} at character {error.pos} ({error.msg.lower()})"
        ) from None
    except RecursionError:
        raise NotJson("value: expected a JSON object, got one that is nested too deep") from None
    if literals:
        where = _path_of(found, literals[0]) or "value"
        raise NotJson(f"{where}: expected a finite number, got {literals[0].text}, which is not JSON")
    if "\\u" in text:
        _refuse_half_characters(found)
    return found


def _integer(text: str) -> int | OutOfRange:
    return int(text) if len(text.lstrip("-")) <= _MAX_DIGITS else OutOfRange(text)


def _number(text: str) -> float | OutOfRange:
    number = float(text)
    return number if math.isfinite(number) else OutOfRange(text)


def _refuse_half_characters(found: Any) -> None:
    """A lone surrogate (\\ud800) is no character: it has no UTF-8 form, so it cannot be hashed or sent on."""
    stack = [found]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            stack.extend(value)
            stack.extend(value.values())
        elif isinstance(value, list):
            stack.extend(value)
        elif isinstance(value, str):
            try:
                value.encode()
            except UnicodeEncodeError as error:
                half = f"\\u{ord(value[error.start]):04x}"
                raise NotJson(f"value: expected whole characters, got half of one: {half}") from None


def _path_of(found: Any, wanted: OutOfRange) -> str | None:
    """Where a literal stands, as `features.v[1]`; None where a later key of the same name hides it."""
    stack: list[tuple[str, Any]] = [("", found)]
    while stack:
        path, value = stack.pop()
        if value is wanted:
            return path or None
        if isinstance(value, dict):
            stack.extend((f"{path}.{shown_name(key)}".lstrip("."), one) for key, one in value.items())
        elif isinstance(value, list):
            stack.extend((f"{path}[{i}]", one) for i, one in enumerate(value))
    return None
