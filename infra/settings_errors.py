"""One clear line for every mistake in the settings.

Validators raise `mistake(...)`; pydantic collects them with the place where they happened, and `describe`
turns what it collected into a single line. A value is shown only by a validator that calls `shown`, never
by the rendering, so a secret cannot slip into a line.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from models.errors import GradstreamError

KeyPath = tuple[str | int, ...]
Origins = Mapping[KeyPath, tuple[str, KeyPath]]
"""Where a key was written: its path after merging → (file, variable or "flags", the path as written)."""

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SHOWN_LENGTH = 60


class SettingsError(GradstreamError):
    """A mistake in gradstream.toml, a GRADSTREAM_* variable or a flag, told in one line."""

    def __init__(self, message: str) -> None:
        # Paths and variables may have line breaks in their names.
        super().__init__(
            "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in message)
        )


class Table(BaseModel):
    """A table of the settings: unknown keys are mistakes, values do not change once read."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    also_allowed: ClassVar[tuple[str, ...]] = ()
    """Keys that people may write here and that are stored elsewhere."""
    not_written: ClassVar[frozenset[str]] = frozenset()
    """Fields that are filled in and are no keys."""

    @classmethod
    def allowed_keys(cls) -> list[str]:
        """The keys that people may write in this table."""
        keys = [field.alias or key for key, field in cls.model_fields.items() if key not in cls.not_written]
        return keys + list(cls.also_allowed)

    @classmethod
    def described(cls, key: str) -> str | None:
        """What is expected under a key, if its field says so."""
        found = (field for name, field in cls.model_fields.items() if key == (field.alias or name))
        return next(found).description


def mistake(message: str, *at: str | int) -> PydanticCustomError:
    """What a validator raises; `at` leads from the value being validated to the wrong one inside it."""
    return PydanticCustomError("gradstream", "{text}", {"text": message, "at": at})


def shown(value: object) -> str:
    """`value` as it may stand in a message: short, in one line, tables and lists only by their kind."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, str):  # also subclasses, whose repr may differ
        value = str(value)
    try:
        text = repr(value) if isinstance(value, (str, int, float, list, tuple)) else str(value)
    except (ValueError, RecursionError):  # an integer of more digits than Python prints
        return "a very long value"
    text = text.encode("ascii", "backslashreplace").decode() if not text.isprintable() else text
    return text if len(text) <= _SHOWN_LENGTH else text[: _SHOWN_LENGTH - 1] + "…"


def one_of(names: Iterable[str]) -> str:
    """`'a', 'b' or 'c'`."""
    quoted = [f"'{name}'" for name in names]
    return quoted[0] if len(quoted) == 1 else ", ".join(quoted[:-1]) + " or " + quoted[-1]


def nearest(found: str, names: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The name that was probably meant, whatever its case; None when none is near.

    Near is a name spelt alike (difflib's ratio ≥ cutoff), or else the only one that contains `found`.
    """
    lower, meant = {name.lower(): name for name in names}, found.lower()[:200]
    close = difflib.get_close_matches(meant, list(lower), n=1, cutoff=cutoff)
    close = close or [name for name in lower if len(meant) > 3 and meant in name]
    return lower[close[0]] if len(close) == 1 else None


def did_you_mean(found: str, names: Sequence[str]) -> str:
    """`; did you mean 'x'?`, or nothing when no name is near."""
    near = nearest(found, names)
    return f"; did you mean '{near}'?" if near else ""


def written(path: KeyPath) -> str:
    """A key path as TOML writes it: `models."a.b".features.numeric[0]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += "." if text else ""
            text += part if _BARE_KEY.fullmatch(part) else json.dumps(part)[:_SHOWN_LENGTH]
    return text


def line(label: str, path: KeyPath, message: str) -> str:
    """`LABEL: KEY: MESSAGE`."""
    return ": ".join(part for part in (label, written(path), message) if part)


def describe(error: ValidationError, root: type[BaseModel], origins: Origins, label: str) -> str:
    """The first mistake of `error` in one line, and how many more there are.

    Unknown keys come first: a misspelt key is also a missing one, and the spelling is what to mend.
    """
    found: list[tuple[KeyPath, str]] = []
    explained: set[KeyPath] = set()
    errors = error.errors(include_url=False)
    errors.sort(key=lambda one: one["type"] != "extra_forbidden")  # stable: otherwise pydantic's order
    misnamed = {
        one["loc"][:-1] for one in errors if one["loc"][-1:] == ("name",) and one["type"] != "missing"
    }
    for one in errors:
        path: KeyPath = (*one["loc"], *one.get("ctx", {}).get("at", ()))
        if one["type"] == "missing" and path in explained:
            continue
        if one["type"] == "extra_forbidden" and path[:-1] in misnamed and path[-1] != "name":
            continue  # the keys of { name = "mlp", hidden = [8] } are right once its name is
        message, meant = _message(one, path, root)
        if meant is not None:
            explained.add((*path[:-1], meant))
        found.append((path, message))
    path, message = found[0]
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return line(*_origin(path, origins, label), message) + more


def _message(one: ErrorDetails, path: KeyPath, root: type[BaseModel]) -> tuple[str, str | None]:
    """The message of one error, and the key that was meant by an unknown one."""
    kind = one["type"]
    if kind == "gradstream":
        return one["ctx"]["text"], None
    table = _table(root, path[:-1])
    key = str(path[-1]) if path else ""
    if kind == "extra_forbidden":
        keys = table.allowed_keys() if table else []
        near = nearest(key, keys)
        hint = f"did you mean '{near}'?" if near else "allowed: " + ", ".join(keys)
        return f"unknown key; {hint}", near
    if kind == "missing":
        wanted = table.described(key) if table else None
        return f"missing; expected {wanted or 'a value'}", None
    return "expected a table", None  # the only other check left to pydantic is that a table is one


def _origin(path: KeyPath, origins: Origins, label: str) -> tuple[str, KeyPath]:
    inside = [source for key, (source, _) in origins.items() if key[: len(path)] == path]
    if path not in origins and inside:  # a table that a variable made: GRADSTREAM_KAFAK__X
        return inside[0], path
    for length in range(len(path), 0, -1):
        if path[:length] in origins:
            source, as_written = origins[path[:length]]
            return source, (*as_written, *path[length:])
    return label, path


def _table(root: type[BaseModel], path: KeyPath) -> type[Table] | None:
    """The table class that holds the keys at `path`, found through the annotations."""
    here: Any = root
    for part in path:
        if isinstance(here, type) and issubclass(here, Table):
            field = here.model_fields.get(str(part))
            here = field.annotation if field else None
        else:  # dict[str, T] or tuple[T, ...]
            here = next((arg for arg in get_args(here) if arg not in (str, Ellipsis)), None)
        if type(None) in get_args(here):  # T | None
            here = next(arg for arg in get_args(here) if arg is not type(None))
    return here if isinstance(here, type) and issubclass(here, Table) else None
