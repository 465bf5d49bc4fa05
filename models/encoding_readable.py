"""The encoded form of one sample as names and values: for people, and to tell how large it is.

It names everything anew, without the encoder's memos: slow, and meant for a few samples.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from models.encoding_bins import Bins
from models.encoding_fields import fields_of, source
from models.encoding_names import MAX_NAME_BYTES, category_text, cross_name
from models.encoding_numeric import NumericEncoder
from models.encoding_text import character_name, count_ngrams, l2, ngrams_in, word_name
from models.spec import FeatureSpec, TextFeature

MAX_SAMPLE_BYTES = 4 * 1024 * 1024
"""What one sample may take in the learning log."""

_ROW_BYTES = 8 * 5  # offset, timestamp, label, weight, prediction
_ENTRY_BYTES = 4 + 8 + 2  # index, value, scaled_by
_CODE_BYTES = 4 + 1  # hash, whether it is there


def numeric_pairs(
    spec: FeatureSpec, plain: Mapping[str, Any], timestamp: int | None
) -> Iterator[tuple[str, float]]:
    """Dense column → value, NaN = missing; plain: field → JSON value, None = missing."""
    columns = {source(feature): [plain.get(source(feature))] for feature in spec.numeric}
    times = np.array([timestamp or 0], dtype=np.int64)
    row = NumericEncoder(spec).of_columns(1, columns, times)[0]
    if timestamp is None:
        row[len(row) - 2 * len(spec.time) :] = np.nan
    yield from zip(spec.numeric_columns(), row.tolist(), strict=True)


def hashed_pairs(spec: FeatureSpec, plain: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Hashed name → value before scaling, in the order of the row's entries."""
    categories = _categories(spec, plain)
    for name, value in categories.items():
        if value is not None:
            yield f"{name}={category_text(value)}", 1.0
    numbers = dict(numeric_pairs(spec, plain, None))
    for cross in spec.hashed_interactions():
        values = [categories[name] for name in cross if name in categories]
        if all(value is not None for value in values):
            factor = next((numbers[name] for name in cross if name in numbers), 1.0)
            yield cross_name([(name, name in categories) for name in cross], values), factor
    for feature in spec.text:
        yield from _text_pairs(feature, plain.get(source(feature)))
    if spec.others == "include":
        yield from _undeclared_pairs({field.name for field in fields_of(spec)}, plain)


def _categories(spec: FeatureSpec, plain: Mapping[str, Any]) -> dict[str, Any]:
    """Categorical feature or bins → value, None = missing."""
    found = {name: plain.get(name) for name in spec.categorical}
    for feature in spec.bins:
        value = plain.get(source(feature))
        number = np.array([np.nan if value is None else float(value)])
        found[feature.name] = Bins(feature).texts_of(number)[0]
    return found


def _text_pairs(feature: TextFeature, text: str | None) -> Iterator[tuple[str, float]]:
    words, characters = count_ngrams(feature, text or "")
    counts: list[float] = [*words.values(), *characters.values()]
    names = [word_name(feature, gram) for gram in words]
    names += [character_name(feature, gram) for gram in characters]
    yield from zip(names, l2(counts) if feature.norm == "l2" else map(float, counts), strict=True)


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
    dense = _ROW_BYTES + 8 * len(spec.numeric_columns()) + _CODE_BYTES * len(spec.encode)
    entries = len(spec.categorical) + len(spec.bins) + len(spec.hashed_interactions())
    entries += sum(ngrams_in(feature, plain.get(source(feature)) or "") for feature in spec.text)
    if spec.others == "include":
        entries += sum(len(value) if isinstance(value, list) else 1 for value in plain.values())
    bound = dense + entries * (_ENTRY_BYTES + MAX_NAME_BYTES)
    if bound <= MAX_SAMPLE_BYTES:
        return bound
    lengths = (len(name.encode()) for name, _ in hashed_pairs(spec, plain))
    return dense + sum(_ENTRY_BYTES + (length if length <= MAX_NAME_BYTES else 0) for length in lengths)
