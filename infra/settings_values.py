"""Checks of single values: what `gradstream.toml` takes, and the same from text.

A value from a file or from JSON has a type, which is held to: `batch_size = "32"` is a mistake. An
environment variable or a flag has none; it arrives as `Text` and may become a number or a boolean.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, SecretStr
from pydantic_core import PydanticCustomError

from infra.settings_errors import did_you_mean, mistake, one_of, shown

Check = Callable[[Any], Any]

_DURATION = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)\s*(ms|s|m|h|d)", re.ASCII)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_KAFKA_NAME = re.compile(r"[A-Za-z0-9._-]{1,249}", re.ASCII)


class Text(str):
    """A value without a type, from an environment variable or a flag."""

    __slots__ = ()


def number(
    *, above: float | None = None, at_least: float | None = None, at_most: float | None = None
) -> Check:
    """A check for a finite number in the given bounds."""
    bounds = [
        f"{word} {bound:.7g}"
        for word, bound in (("above", above), ("at least", at_least), ("at most", at_most))
        if bound is not None
    ]
    expected = "expected a finite number" + (" " + " and ".join(bounds) if bounds else "")

    def check(value: object) -> float:
        plain = not isinstance(value, bool) and isinstance(value, (int, float, Text))
        try:
            result = float(value) if plain else math.nan  # type: ignore[arg-type]
        except (ValueError, OverflowError):
            result = math.nan
        outside = (
            (above is not None and result <= above)
            or (at_least is not None and result < at_least)
            or (at_most is not None and result > at_most)
        )
        if outside or not math.isfinite(result):
            raise mistake(f"{expected}, found {shown(value)}")
        return result

    return check


def integer(at_least: int, at_most: int) -> Check:
    """A check for an integer between two bounds, both allowed."""

    def check(value: object) -> int:
        result: object = value
        if isinstance(value, Text) and re.fullmatch(r"-?\d{1,18}", value, re.ASCII):
            result = int(value)
        if isinstance(result, bool) or not isinstance(result, int) or not at_least <= result <= at_most:
            raise mistake(f"expected an integer between {at_least} and {at_most}, found {shown(value)}")
        return result

    return check


def boolean(value: object) -> bool:
    """true or false; from text also 1 and 0."""
    if isinstance(value, bool):
        return value
    if isinstance(value, Text) and value.lower() in ("true", "false", "1", "0"):
        return value.lower() in ("true", "1")
    raise mistake(f"expected true or false, found {shown(value)}")


def choice(*names: str, aliases: Mapping[str, str] | None = None, later: Sequence[str] = ()) -> Check:
    """A check for one of `names`; an alias becomes its name, one of `later` is not supported yet."""
    expected = f"expected {one_of(names)}"

    def check(value: object) -> str:
        if not isinstance(value, str):
            raise mistake(f"{expected}, found {shown(value)}")
        name = (aliases or {}).get(value, str(value))
        if name in later:
            raise mistake(f"{shown(value)} is not supported yet; {expected}")
        if name not in names:
            raise mistake(f"{expected}, found {shown(value)}{did_you_mean(value, names)}")
        return name

    return check


def text(what: str) -> Check:
    """A check for a text that is not empty and has no control characters."""

    def check(value: object) -> str:
        if not isinstance(value, str) or not value.strip() or not value.isprintable():
            raise mistake(f"expected {what}, found {shown(value)}")
        return str(value)

    return check


def secret(what: str) -> Check:
    """As `text`, for a value that no message may show."""

    def check(value: object) -> SecretStr:
        hidden = SecretStr(str(value)) if isinstance(value, str) else value
        if not isinstance(hidden, SecretStr) or not hidden.get_secret_value():
            raise mistake(f"expected {what}, a text that is not empty")
        return hidden

    return check


def kafka_name(what: str) -> Check:
    """A check for a name that Kafka takes for topics and group instances."""

    def check(value: object) -> str:
        if not isinstance(value, str) or not _KAFKA_NAME.fullmatch(value) or value in (".", ".."):
            raise mistake(
                f"expected {what}: at most 249 of letters, digits, '.', '_' and '-', found {shown(value)}"
            )
        return str(value)

    return check


def duration(at_least: str, at_most: str) -> Check:
    """A check for a text such as "500ms", "1s", "5m", "6h" or "30d"; gives seconds."""
    low, high = _seconds(at_least), _seconds(at_most)

    def check(value: object) -> float:
        seconds = _seconds(value) if isinstance(value, str) else None
        if seconds is None:
            example = "a number and a unit in quotes: '500ms', '1s', '5m', '6h' or '30d'"
            raise mistake(f"expected a duration, {example}, found {shown(value)}")
        if low is None or high is None or not low <= seconds <= high:
            raise mistake(f"expected a duration between '{at_least}' and '{at_most}', found {shown(value)}")
        return seconds

    return check


def items(value: object, what: str) -> list[Any]:
    """`value` as a list, when it is one."""
    if isinstance(value, (list, tuple)):
        return list(value)
    example = ' (in a variable as JSON: ["a", "b"])' if isinstance(value, Text) else ""
    raise mistake(f"expected a list of {what}{example}, found {shown(value)}")


def each(check: Check, value: object, what: str) -> list[Any]:
    """The list `value` with each entry checked; a mistake names the entry."""
    result = []
    for i, entry in enumerate(items(value, what)):
        try:
            result.append(check(entry))
        except PydanticCustomError as error:
            context = error.context or {}
            raise mistake(context["text"], i, *context["at"]) from None
    return result


def _seconds(value: str) -> float | None:
    match = _DURATION.fullmatch(value.strip())
    return float(match[1]) * _SECONDS[match[2]] if match else None


Topic = Annotated[str, BeforeValidator(kafka_name("a topic name"))]
