"""The keys of [models.NAME] about what a model reads: samples, labels that come late, where it begins."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, Self

import msgspec
from pydantic import BeforeValidator, Field, model_validator

from infra.settings_errors import Table, did_you_mean, mistake, shown
from infra.settings_values import Text, Topic, choice, duration, integer, kafka_name

_ENDS = ("earliest", "latest")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = 253_402_300_799_999  # the last millisecond of the year 9999
_ZONED = Annotated[datetime, msgspec.Meta(tz=True)]
_WITH_LABELS = ("label_horizon", "label_patience", "on_missing", "waiting_limit")


def start_time(value: Any) -> str | int:
    """'earliest' and 'latest' as they are; a time in milliseconds since 1970, whichever way it is written.

    Part of a millisecond counts as a whole one: records have whole ones, and none before the time is meant.
    """
    found: object = value
    if isinstance(value, Text) and re.fullmatch(r"\d{1,18}", value, re.ASCII):
        found = int(value)
    elif isinstance(value, str):
        if value in _ENDS:
            return str(value)
        found = _zoned(str(value))
    if isinstance(found, datetime) and found.tzinfo is not None:
        found = -((_EPOCH - found) // timedelta(milliseconds=1))
    # A negative time would be one of the protocol's words for first and last.
    if isinstance(found, int) and not isinstance(found, bool) and 0 <= found <= _LATEST:
        return found
    near = did_you_mean(value, _ENDS) if isinstance(value, str) else ""
    raise mistake(
        "expected 'earliest', 'latest', a time from 1970 on with a zone, as in '2026-11-24T00:00:00Z', or "
        f"milliseconds since 1970, found {shown(value)}{near}"
    )


def _zoned(text: str) -> datetime | None:
    try:
        return msgspec.convert(text, _ZONED)
    except msgspec.ValidationError:
        return None


class InputSettings(Table):
    """What a model reads."""

    name: str
    samples: Topic = Field(description="the topic with the samples")
    labels: Annotated[str | None, BeforeValidator(kafka_name("a topic name"))] = None
    """The topic with labels that come later than their samples; None: a label stands in its sample."""
    label_horizon: Annotated[float, BeforeValidator(duration("1ms", "36500d"))] = 6 * 3600.0
    """Seconds, by event time, by which a label may be later than its sample."""
    label_patience: Annotated[float, BeforeValidator(duration("0ms", "36500d"))] = 600.0
    """Seconds, by event time, by which records may be out of order, and a label before its sample."""
    on_missing: Annotated[Literal["drop", "negative"], BeforeValidator(choice("drop", "negative"))] = "drop"
    """What becomes of a sample without a label in time: not learned, or learned as the first class."""
    waiting_limit: Annotated[int, BeforeValidator(integer(1, 100_000_000))] = 1_000_000
    """Samples that may wait for their labels at once, in all partitions together."""
    start: Annotated[Literal["earliest", "latest"] | int, BeforeValidator(start_time)] = "earliest"
    """Where a partition is begun that was never read; a number: ms since 1970."""

    @model_validator(mode="after")
    def _label_keys_need_labels(self) -> Self:
        for key in _WITH_LABELS:
            if self.labels is None and key in self.model_fields_set:
                raise mistake(
                    "used with labels only; name their topic, labels = 'TOPIC', or leave it out", key
                )
        return self
