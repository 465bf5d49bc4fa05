"""Found values: whether they are numbers, and how a message shows them: as JSON, on one line, shortened."""

from __future__ import annotations

import json
from typing import Any

SHOWN_LENGTH = 100
"""Characters of a value that a message shows."""

_DEPTH = 3
_ITEMS = 20


class OutOfRange:
    """A number that float64 cannot hold, or NaN and Infinity, which are not JSON; `text` as written."""

    def __init__(self, text: str) -> None:
        self.text = text


def finite(value: Any) -> float | None:
    """A JSON number (no boolean) as float64; None for anything else and for one that float64 cannot hold."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def shown(value: Any) -> str:
    """A value as JSON; text in quotes."""
    if isinstance(value, str):
        return f'"{_shortened(_inner(value))}"'
    return _shortened(_render(value, _DEPTH))


def shown_name(name: str) -> str:
    """A field's name."""
    return _shortened(_inner(name))


def _render(value: Any, depth: int) -> str:
    if isinstance(value, OutOfRange):
        return _shortened(value.text)
    if isinstance(value, str):
        return f'"{_inner(value)}"'
    if not isinstance(value, dict | list):
        return json.dumps(value)
    left, right = "{}" if isinstance(value, dict) else "[]"
    if depth == 0 and value:
        return f"{left}…{right}"
    if isinstance(value, dict):
        pairs = list(value.items())[:_ITEMS]
        items = [f'"{_inner(name)}": {_render(one, depth - 1)}' for name, one in pairs]
    else:
        items = [_render(one, depth - 1) for one in value[:_ITEMS]]
    if len(value) > _ITEMS:
        items.append("…")
    return left + ", ".join(items) + right


def _inner(text: str) -> str:
    """Text with quotes, backslashes and whatever is not printable escaped; enough of it to be shown."""
    escaped = json.dumps(text[: SHOWN_LENGTH + 1], ensure_ascii=False)[1:-1]
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in escaped)


def _shortened(text: str) -> str:
    return text if len(text) <= SHOWN_LENGTH else text[: SHOWN_LENGTH - 1] + "…"
