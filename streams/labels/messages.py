"""Label messages: bytes to labels by sample id, or dead letters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

import msgspec
import numpy as np

from models.rows import Float64, Int64
from models.spec import ModelSpec
from streams.dead_letters import InvalidLabel, InvalidRecord, InvalidSample
from streams.ingest import all_utf8, timestamps, weights
from streams.ingest_json import read_object
from streams.ingest_labels import Labels
from streams.ingest_text import shown
from streams.ingest_validator import checked_id, checked_timestamp, checked_weight
from streams.records import MAX_ID_LENGTH, DeadLetter, Record

L = TypeVar("L")


class Label(msgspec.Struct, Generic[L], gc=False):
    """A label as it stands on the labels topic; see docs/messages.md."""

    id: Annotated[str, msgspec.Meta(max_length=MAX_ID_LENGTH)]
    label: L
    weight: float | None = 1.0
    timestamp: Annotated[datetime, msgspec.Meta(tz=True)] | int | None = None
    correction: bool = False


@dataclass(slots=True)
class LabelBatch:
    """The labels among the records [start, stop) of a partition of the labels topic, in order."""

    start: int
    stop: int
    records: Sequence[Record]  # of the valid ones
    ids: list[str]
    labels: Float64
    weights: Float64
    times: Int64
    corrections: list[bool]
    dead: list[DeadLetter]

    def __len__(self) -> int:
        return len(self.ids)

    def cut(self, count: int) -> tuple[LabelBatch, LabelBatch | None]:
        """The first `count` labels, and the rest if there is one."""
        if count >= len(self):
            return self, None
        middle = self.records[count].offset
        parts = []
        for start, stop, these in (
            (self.start, middle, slice(0, count)),
            (middle, self.stop, slice(count, None)),
        ):
            dead = [one for one in self.dead if start <= one.record.offset < stop]
            parts.append(
                LabelBatch(
                    start, stop, self.records[these], self.ids[these], self.labels[these],
                    self.weights[these], self.times[these], self.corrections[these], dead,
                )
            )  # fmt: skip
        return parts[0], parts[1]


class LabelIngest:
    """Decodes the labels of one model."""

    def __init__(self, spec: ModelSpec) -> None:
        self._labels = Labels(spec)
        label_type: Any = Label
        self._decode = msgspec.json.Decoder(label_type[self._labels.type]).decode

    def decode(self, start: int, stop: int, records: Sequence[Record]) -> LabelBatch:
        """The valid labels among records [start, stop) of one partition; the rest are dead letters."""
        found: list[Any] = []
        dead: list[DeadLetter] = []
        kept: Sequence[Record] = records
        values = [record.value for record in records]
        try:
            if not all_utf8(values):
                raise ValueError
            found = list(map(self._decode, values))  # type: ignore[arg-type]
            columns = self._columns(found, kept)
        except Exception:  # one of them; each alone, then
            found, kept, dead = self._sift(records)
            columns = self._columns(found, kept)
        labels, weight, times = columns
        ids = [one.id for one in found]
        corrections = [one.correction for one in found]
        return LabelBatch(start, stop, kept, ids, labels, weight, times, corrections, dead)

    def _columns(self, found: Sequence[Any], kept: Sequence[Record]) -> tuple[Float64, Float64, Int64]:
        labels = self._labels.encode([one.label for one in found])
        if np.isnan(labels).any():
            raise ValueError("a null label")
        return (
            labels,
            weights([one.weight for one in found]),
            timestamps([one.timestamp for one in found], kept),
        )

    def _sift(self, records: Sequence[Record]) -> tuple[list[Any], list[Record], list[DeadLetter]]:
        found, kept, dead = [], [], []
        for record in records:
            try:
                found.append(self._checked(read_object(record.value)))
            except InvalidRecord as error:
                dead.append(DeadLetter.of(record, error))
            else:
                kept.append(record)
        return found, kept, dead

    def _checked(self, message: Mapping[str, Any]) -> Label[Any]:
        """A valid label message; raises InvalidRecord."""
        sample = checked_id(message.get("id"))
        if sample is None:
            raise InvalidSample("id: expected the id of a sample, got none")
        label = self._labels.checked(message.get("label"))
        if label is None:
            raise InvalidLabel(f"label: expected {self._labels.expected}, got none")
        correction = message.get("correction", False)
        if correction is None:
            correction = False
        if not isinstance(correction, bool):
            raise InvalidSample(f"correction: expected true or false, got {shown(correction)}")
        return Label(
            sample,
            label,
            checked_weight(message.get("weight")),
            checked_timestamp(message.get("timestamp")),
            correction,
        )
