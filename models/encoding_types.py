"""What the features of a sample are decoded as, so that msgspec checks most of it while it parses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

from models.encoding_fields import Field
from models.encoding_text import SURELY_FEW, ngrams_at_most

_NAN = float("nan")
_INT64 = 1 << 63

_Undeclared = float | bool | str | list[float] | None
_SmallInt = Annotated[int, msgspec.Meta(ge=-_INT64, le=_INT64 - 1)]
_Mixed = _SmallInt | float | bool | str | list[float] | None

_TYPES: dict[str, tuple[Any, Any]] = {
    "number": (float | bool | None, _NAN),
    "category": (str | bool | int | float | None, None),
    "text": (str | None, None),
    "number and category": (_SmallInt | float | bool | None, None),
}
"""Kind of a field → its type and default."""


def struct_type(fields: Sequence[Field]) -> Any:
    """A struct of the fields f0, f1 … in their order, or None if a name cannot be a struct's field."""
    typed: list[tuple[str, Any, Any]] = []
    for i, field in enumerate(fields):
        vector = Annotated[list[float], msgspec.Meta(min_length=field.size, max_length=field.size)] | None
        typed.append((f"f{i}", *_TYPES.get(field.kind, (vector, None))))
    rename = {f"f{i}": field.name for i, field in enumerate(fields)}
    try:
        return msgspec.defstruct("Features", typed, rename=rename, gc=False)
    except ValueError:  # msgspec takes no quotes, backslashes and control characters in a field's name
        return None


def dict_type(fields: Sequence[Field], others: bool) -> Any:
    """A dict of what undeclared features may be, or of anything where they are ignored."""
    if not others:
        return dict[str, Any]
    return dict[str, _Mixed] if fields else dict[str, _Undeclared]


def fits(value: Any, field: Field) -> bool:
    """Whether a value out of a dict is certainly right for a field; how much text it is apart."""
    if value is None:
        return True
    if field.kind == "list":
        return (
            isinstance(value, list) and len(value) == field.size and all(isinstance(i, float) for i in value)
        )
    if field.kind == "text":
        return isinstance(value, str)
    if field.kind == "category":
        return not isinstance(value, list | dict)
    return isinstance(value, bool | float) or (isinstance(value, int) and -_INT64 <= value < _INT64)


def surely_little_text(texts: Sequence[tuple[Field, Any]]) -> bool:
    """Whether the values of all text fields of a sample are certainly not too long."""
    count = sum(ngrams_at_most(text, value) for field, value in texts if value for text in field.text)
    return count <= SURELY_FEW


def as_float(value: Any) -> Any:
    """A number, or each number of a list, as float; anything else as it is."""
    if isinstance(value, list):
        return [float(item) for item in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value
