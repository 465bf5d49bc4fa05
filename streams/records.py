"""Wire formats: samples that come in, predictions and dead letters that go out (docs/messages.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import repeat
from typing import Annotated, Any, Generic, Protocol, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from models.encoding_names import category_text
from models.rows import Float64, Int64
from models.spec import ClassLabel, ModelSpec
from streams.dead_letters import InvalidRecord, Stage

MAX_ID_LENGTH = 4096
"""Characters of a sample's id."""

F = TypeVar("F")
L = TypeVar("L")


class Record(Protocol):
    """What is read of a Kafka record; aiokafka's C records have it."""

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...


class Sample(msgspec.Struct, Generic[F, L], gc=False):
    """A sample as it stands on the samples topic; F: type of the features, L: of the label.

    timestamp: RFC 3339 with a time zone, or milliseconds since 1970.
    """

    features: F
    id: Annotated[str, msgspec.Meta(max_length=MAX_ID_LENGTH)] | None = None
    label: L | None = None
    weight: float | None = 1.0
    timestamp: Annotated[datetime, msgspec.Meta(tz=True)] | int | None = None


class Prediction(msgspec.Struct, gc=False):
    """A prediction as it stands on the predictions topic.

    prediction: a number (regression) or a class. probability: of the second class (binary alone).
    probabilities: class, as text → probability (multiclass alone). All three are None where the output of
    the model is not finite. samples_learned: labelled samples learned before. topic, partition, offset: the
    sample's.
    """

    id: str
    model: str
    prediction: float | ClassLabel | None
    probability: float | msgspec.UnsetType | None = msgspec.UNSET
    probabilities: dict[str, float] | msgspec.UnsetType | None = msgspec.UNSET
    samples_learned: int = 0
    topic: str = ""
    partition: int = 0
    offset: int = 0


class PredictionEncoder:
    """Writes the predictions of one model."""

    def __init__(self, model: str, spec: ModelSpec) -> None:
        self._model = model
        self._spec = spec
        self._texts = [category_text(label) for label in spec.classes]
        self._encode = msgspec.json.Encoder().encode_lines

    def encode(
        self,
        ids: Sequence[str],
        served: Float64,
        learned_before: Int64,
        topic: str,
        partition: int,
        offsets: Int64,
    ) -> list[bytes]:
        """JSON of n predictions.

        served: (n, outputs) a number, the probability of the second class, or those of all classes;
        learned_before: (n,) samples learned before each; topic, partition, offsets (n,): the samples'.
        """
        if not len(ids):
            return []
        prediction, probability, probabilities = self._answers(served)
        messages = map(
            Prediction,
            ids,
            repeat(self._model),
            prediction,
            probability,
            probabilities,
            learned_before.tolist(),
            repeat(topic),
            repeat(partition),
            offsets.tolist(),
        )
        # A line break inside a JSON string is always escaped, so the lines are the messages.
        return self._encode(list(messages)).splitlines()

    def _answers(self, served: Float64) -> tuple[Any, Any, Any]:
        """prediction, probability and probabilities of each sample."""
        unset = repeat(msgspec.UNSET)
        finite: npt.NDArray[np.bool_] = np.asarray(np.isfinite(served).all(axis=1))
        if self._spec.task == "multiclass":
            classes = _blank(map(self._spec.classes.__getitem__, served.argmax(axis=1).tolist()), finite)
            rows = _blank((dict(zip(self._texts, row, strict=True)) for row in served.tolist()), finite)
            return classes, unset, rows
        numbers = _blank(served[:, 0].tolist(), finite)
        if self._spec.task == "regression":
            return numbers, unset, unset
        first, second = self._spec.classes
        chosen = [second if above else first for above in (served[:, 0] >= 0.5).tolist()]
        return _blank(chosen, finite), numbers, unset


def _blank(answers: Any, finite: npt.NDArray[np.bool_]) -> list[Any]:
    """Answers of samples whose output is not finite become None: JSON has no other word for it."""
    answers = answers if isinstance(answers, list) else list(answers)
    if not finite.all():
        for i in np.flatnonzero(~finite).tolist():
            answers[i] = None
    return answers  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that was refused, and why."""

    record: Record
    stage: Stage
    exception: str
    message: str

    @classmethod
    def of(cls, record: Record, error: InvalidRecord) -> DeadLetter:
        """The letter for a record that was refused with `error`."""
        return cls(record, error.stage, error.public_name(), str(error))


def dead_letter_headers(dead: DeadLetter, topic: str, partition: int, model: str) -> list[tuple[str, bytes]]:
    """The record's own headers, then Kafka Connect's dead letter headers as UTF-8 text."""
    added: Mapping[str, object] = {
        "topic": topic,
        "partition": partition,
        "offset": dead.record.offset,
        "connector.name": model,
        "stage": dead.stage,
        "exception.class.name": dead.exception,
        "exception.message": dead.message,
    }
    own = [(name, value) for name, value in dead.record.headers]
    return own + [(f"__connect.errors.{name}", str(value).encode()) for name, value in added.items()]
