"""What the features of a sample are decoded as, so that msgspec checks most of it while it parses."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from models.spec import FeatureSpec, NumericFeature

_NAN = float("nan")
_INT64 = 1 << 63

_Number = float | bool | None
_Categorical = str | bool | int | float | None
_Undeclared = float | bool | str | list[float] | None
_SmallInt = Annotated[int, msgspec.Meta(ge=-_INT64, le=_INT64 - 1)]
_Mixed = _SmallInt | float | bool | str | list[float] | None


def struct_type(spec: FeatureSpec) -> Any:
    """A struct with the fields f0, f1 … for the declared features, or None if a name cannot be a field's."""
    fields: list[tuple[str, Any, Any]] = []
    for feature in spec.numeric:
        size = feature.size
        vector = Annotated[list[float], msgspec.Meta(min_length=size, max_length=size)] | None
        fields.append((f"f{len(fields)}", *((_Number, _NAN) if size is None else (vector, None))))
    fields += [(f"f{len(fields) + i}", _Categorical, None) for i in range(len(spec.categorical))]
    names = [feature.name for feature in spec.numeric] + list(spec.categorical)
    rename = {field[0]: name for field, name in zip(fields, names, strict=True)}
    try:
        return msgspec.defstruct("Features", fields, rename=rename, gc=False)
    except ValueError:  # msgspec takes no quotes, backslashes and control characters in a field's name
        return None


def dict_type(spec: FeatureSpec) -> Any:
    """A dict of what undeclared features may be, or of anything where they are ignored."""
    if spec.others == "ignore":
        return dict[str, Any]
    return dict[str, _Mixed] if spec.numeric or spec.categorical else dict[str, _Undeclared]


def numeric_fits(value: Any, feature: NumericFeature) -> bool:
    """Whether a value out of a dict is certainly right for a declared numeric feature."""
    if value is None:
        return True
    if feature.size is None:
        return isinstance(value, bool | float) or (isinstance(value, int) and -_INT64 <= value < _INT64)
    return isinstance(value, list) and len(value) == feature.size and all(isinstance(i, float) for i in value)


def as_float(value: Any) -> Any:
    """A number, or each number of a list, as float; anything else as it is."""
    if isinstance(value, list):
        return [float(item) for item in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value
