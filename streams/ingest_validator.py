"""The careful look at a record that the fast path refused: is it a sample after all, and if not, why not.

Its verdict is final, so fast path and validator must agree: what the fast path takes, the validator takes
with the same result.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import msgspec

from models.encoding_fields import Field
from models.encoding_readable import MAX_SAMPLE_BYTES
from models.encoding_text import MAX_NGRAMS, ngrams_in
from models.features import Encoder
from streams.dead_letters import InvalidFeature, InvalidSample, SampleTooLarge
from streams.ingest_json import read_object
from streams.ingest_labels import Labels
from streams.ingest_text import finite, shown, shown_name
from streams.records import MAX_ID_LENGTH, Sample

MIN_TIMESTAMP = -62_135_596_800_000
MAX_TIMESTAMP = 253_402_300_799_999
"""Milliseconds since 1970 of the years 1 to 9999; what is outside is in another unit."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_ZONED = Annotated[datetime, msgspec.Meta(tz=True)]


def milliseconds(time: datetime) -> int:
    """Milliseconds since 1970, rounded down."""
    return (time - _EPOCH) // _MILLISECOND


class Validator:
    """Looks at one record of one model at a time."""

    def __init__(self, encoder: Encoder, labels: Labels) -> None:
        self._encoder = encoder
        self._labels = labels
        self._fields = {field.name: field for field in encoder.fields}

    def sample(self, value: bytes | None) -> Sample[Any, Any]:
        """The sample in a record's value, with features that the encoder takes; raises InvalidRecord."""
        found = read_object(value)
        taken = self._features(found)
        sample = Sample(
            self._encoder.build(taken),
            id=checked_id(found.get("id")),
            label=self._labels.checked(found.get("label")),
            weight=checked_weight(found.get("weight")),
            timestamp=checked_timestamp(found.get("timestamp")),
        )
        refuse_too_large(self._encoder, sample.features)
        return sample

    def _features(self, found: Mapping[str, Any]) -> dict[str, Any]:
        """The features that the model takes, all valid."""
        if "features" not in found:
            raise InvalidSample("features: expected an object of names and values, got none")
        features = found["features"]
        if not isinstance(features, dict):
            raise InvalidSample(f"features: expected an object of names and values, got {shown(features)}")
        include = self._encoder.spec.others == "include"
        taken: dict[str, Any] = {}
        for name, value in features.items():
            if name in self._fields:
                _check_declared(value, self._fields[name])
            elif include:
                _check_undeclared(name, value)
            else:
                continue
            taken[name] = value
        return taken


def refuse_too_large(encoder: Encoder, features: Any) -> None:
    """Raises SampleTooLarge for a feature object that the learning log cannot take."""
    size = encoder.encoded_bytes(features)
    if size > MAX_SAMPLE_BYTES:
        raise SampleTooLarge(
            f"features: expected at most {MAX_SAMPLE_BYTES} bytes in encoded form, got {size}; "
            "send fewer features"
        )


def _check_declared(value: Any, field: Field) -> None:
    name = field.name
    if value is None:
        return
    if field.kind == "list":
        _check_list(name, value, field.size or 0)
    elif field.kind == "text":
        _check_text(name, value, field)
    elif field.kind == "category":
        # An integer of any size has a text, so here it need not fit into float64.
        if not isinstance(value, str | int | float):
            raise InvalidFeature(_wrong(name, "text, a finite number or a boolean", value))
    elif not isinstance(value, bool) and finite(value) is None:
        raise InvalidFeature(_wrong(name, "a finite number", value))


def _check_list(name: str, value: Any, size: int) -> None:
    expected = f"a list of {size} numbers"
    if not isinstance(value, list):
        raise InvalidFeature(_wrong(name, expected, value))
    if len(value) != size:
        raise InvalidFeature(f"features.{shown_name(name)}: expected {expected}, got a list of {len(value)}")
    _check_items(name, value)


def _check_text(name: str, value: Any, field: Field) -> None:
    if not isinstance(value, str):
        raise InvalidFeature(_wrong(name, "text", value))
    for feature in field.text:
        count = ngrams_in(feature, value)
        if count > MAX_NGRAMS:
            raise InvalidFeature(
                f"features.{shown_name(name)}: expected text of at most {MAX_NGRAMS} n-grams, got {count}; "
                "send less text, or declare fewer n-grams"
            )


def _check_undeclared(name: str, value: Any) -> None:
    if isinstance(value, list):
        _check_items(name, value)
    elif isinstance(value, dict):
        raise InvalidFeature(_wrong(name, "a number, text, a boolean, null or a list of numbers", value))
    elif not isinstance(value, str | bool | None) and finite(value) is None:
        raise InvalidFeature(_wrong(name, "a finite number", value))


def _check_items(name: str, items: list[Any]) -> None:
    for i, item in enumerate(items):
        if finite(item) is None:
            raise InvalidFeature(
                f"features.{shown_name(name)}[{i}]: expected a finite number, got {shown(item)}"
            )


def _wrong(name: str, expected: str, value: Any) -> str:
    return f"features.{shown_name(name)}: expected {expected}, got {shown(value)}"


def checked_id(value: Any) -> str | None:
    """A message's `id`, None if it has none; raises InvalidSample."""
    if value is None or (isinstance(value, str) and len(value) <= MAX_ID_LENGTH):
        return value
    found = f"{len(value)} characters" if isinstance(value, str) else shown(value)
    raise InvalidSample(f"id: expected text of at most {MAX_ID_LENGTH} characters, got {found}")


def checked_weight(value: Any) -> float:
    """A message's `weight`, 1 if it has none; raises InvalidSample."""
    if value is None:
        return 1.0
    weight = finite(value)
    if weight is not None and weight >= 0:
        return weight
    raise InvalidSample(f"weight: expected a finite number that is not negative, got {shown(value)}")


def checked_timestamp(value: Any) -> int | None:
    """A message's `timestamp` in ms since 1970, None if it has none; raises InvalidSample."""
    if value is None:
        return None
    time: int | None = None
    if isinstance(value, str):
        time = _from_text(value)
    elif finite(value) is not None and value == int(value):
        time = int(value)
    if time is None or not MIN_TIMESTAMP <= time <= MAX_TIMESTAMP:
        raise InvalidSample(
            "timestamp: expected RFC 3339 with a zone (2013-01-01T05:15:00Z) or milliseconds since 1970, "
            f"got {shown(value)}"
        )
    return time


def _from_text(text: str) -> int | None:
    try:
        return milliseconds(msgspec.convert(text, _ZONED))
    except msgspec.ValidationError:
        return None
