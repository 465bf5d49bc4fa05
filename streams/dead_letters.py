"""Why a record is no valid sample: the classes whose names stand in dead letters (docs/messages.md).

InvalidRecord
├── EmptyValue        no value (a tombstone), or one without bytes     VALUE_CONVERTER
├── NotJson           not UTF-8, not JSON                              VALUE_CONVERTER
├── NotAnObject       JSON, but no object                              VALUE_CONVERTER
├── InvalidSample     features missing; id, weight or timestamp wrong  TRANSFORMATION
├── InvalidFeature    a feature is not what was declared               TRANSFORMATION
├── InvalidLabel      no number, or none of the classes                TRANSFORMATION
├── SampleTooLarge    does not fit into the learning log               TRANSFORMATION
├── DuplicateId       a sample of this id still waits for its label    TRANSFORMATION
├── LateLabel         a label that is not in time for its sample       TRANSFORMATION
└── UnmatchedLabel    a label for which no sample came                 TRANSFORMATION
"""

from __future__ import annotations

from typing import Literal

from models.errors import GradstreamError

Stage = Literal["VALUE_CONVERTER", "TRANSFORMATION"]
"""Kafka Connect's words: the bytes are no JSON object; the object is no valid sample."""


class InvalidRecord(GradstreamError):
    """A record that is no valid sample. Its subclasses' names are public, as `gradstream.NAME`."""

    stage: Stage = "TRANSFORMATION"

    @classmethod
    def public_name(cls) -> str:
        """What stands in the header __connect.errors.exception.class.name."""
        return f"gradstream.{cls.__name__}"


class EmptyValue(InvalidRecord):
    """No value (a tombstone), or one of no bytes."""

    stage: Stage = "VALUE_CONVERTER"


class NotJson(InvalidRecord):
    """Bytes that are not UTF-8, not JSON, or nested deeper than the parser goes."""

    stage: Stage = "VALUE_CONVERTER"


class NotAnObject(InvalidRecord):
    """JSON, but not an object."""

    stage: Stage = "VALUE_CONVERTER"


class InvalidSample(InvalidRecord):
    """`features` missing or no object; id, weight or timestamp wrong."""


class InvalidFeature(InvalidRecord):
    """A feature that is not what was declared, or not of a type that can be taken."""


class InvalidLabel(InvalidRecord):
    """A label that is no number, or none of the classes."""


class SampleTooLarge(InvalidRecord):
    """A sample whose encoded form does not fit into a record of the learning log."""


class DuplicateId(InvalidRecord):
    """A sample whose id another one has that still waits for its label."""


class LateLabel(InvalidRecord):
    """A label that is further from its sample, in event time, than `label_horizon` and `label_patience`."""


class UnmatchedLabel(InvalidRecord):
    """A label for whose id no sample came within `label_patience`."""
