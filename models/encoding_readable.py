"""The encoded form of one sample as names and values: for people, and to tell how large it is.

It names everything anew, without the encoder's memos: slow, and meant for a few samples.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from models.encoding_names import MAX_NAME_BYTES, category_text, cross_name
from models.spec import FeatureSpec

MAX_SAMPLE_BYTES = 4 * 1024 * 1024
"""What one sample may take in the learning log."""

_ROW_BYTES = 8 * 5  # offset, timestamp, label, weight, prediction
_ENTRY_BYTES = 4 + 8 + 2  # index, value, scaled_by
_NAN = float("nan")


def numeric_pairs(spec: FeatureSpec, plain: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Dense column → value, NaN = missing; plain: feature name → JSON value, None = missing."""
    for feature in spec.numeric:
        value = plain.get(feature.name)
        items = value if isinstance(value, list) else [value] * (feature.size or 1)
        for column, item in zip(feature.columns(), items, strict=True):
            yield column, _NAN if item is None else float(item)


def hashed_pairs(spec: FeatureSpec, plain: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Hashed name → value before scaling, in the order of the row's entries."""
    categorical = frozenset(spec.categorical)
    for name in spec.categorical:
        if plain.get(name) is not None:
            yield f"{name}={category_text(plain[name])}", 1.0
    for cross in spec.hashed_interactions():
        values = [plain.get(name) for name in cross if name in categorical]
        if all(value is not None for value in values):
            factor = next((plain.get(name) for name in cross if name not in categorical), 1.0)
            name = cross_name([(name, name in categorical) for name in cross], values)  # type: ignore[arg-type]
            yield name, _NAN if factor is None else float(factor)
    if spec.others == "include":
        yield from _undeclared_pairs({f.name for f in spec.numeric} | categorical, plain)


def _undeclared_pairs(declared: set[str], plain: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    taken = [(name, value) for name, value in plain.items() if value is not None and name not in declared]
    yield from ((name, float(value)) for name, value in taken if not isinstance(value, str | list))
    yield from ((f"{name}={value}", 1.0) for name, value in taken if isinstance(value, str))
    for name, value in taken:
        if isinstance(value, list):
            yield from ((f"{name}[{i}]", float(item)) for i, item in enumerate(value))


def encoded_bytes(spec: FeatureSpec, plain: Mapping[str, Any]) -> int:
    """About what the sample takes in the learning log at most: as if none of its names stood there yet.

    It depends on the sample alone, so that all workers agree on which one is too large. Where that much
    cannot reach `MAX_SAMPLE_BYTES` it is a bound, found without naming anything.
    """
    dense = _ROW_BYTES + 8 * len(spec.numeric_columns())
    entries = len(spec.categorical) + len(spec.hashed_interactions())
    if spec.others == "include":
        entries += sum(len(value) if isinstance(value, list) else 1 for value in plain.values())
    bound = dense + entries * (_ENTRY_BYTES + MAX_NAME_BYTES)
    if bound <= MAX_SAMPLE_BYTES:
        return bound
    lengths = (len(name.encode()) for name, _ in hashed_pairs(spec, plain))
    return dense + sum(_ENTRY_BYTES + (length if length <= MAX_NAME_BYTES else 0) for length in lengths)
