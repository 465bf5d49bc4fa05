"""Predictions of raw samples to record batches."""

from __future__ import annotations

import time

import msgspec
import numpy as np

from models.encoding_names import category_text
from models.rows import Float64, Int64
from models.spec import ModelSpec
from streams.native.batches import KEY, KEY_SIZE
from streams.native.predict_write import CHOICE, DISTRIBUTION, NUMBER, Answers, write_predictions
from streams.native.raw_ids import RawIds, RawKeys
from streams.native.record_set import RecordSet
from streams.native.sample_plan import Texts, texts_of

A_NUMBER = 32
"""Bytes that a number takes at most."""


class PredictionWriter:
    """Writes the predictions of one model."""

    def __init__(self, model: str, spec: ModelSpec) -> None:
        json = msgspec.json.Encoder().encode
        self._model = json(model).decode()
        self._kind = {"regression": NUMBER, "binary": CHOICE}.get(spec.task, DISTRIBUTION)
        self._classes = texts_of([json(label).decode() for label in spec.classes])
        names = [json(category_text(label)).decode() for label in spec.classes]
        self._columns = texts_of([f"{',' if k else '{'}{name}:" for k, name in enumerate(names)])
        self._fixed: dict[tuple[str, int], Texts] = {}

    def write(
        self,
        ids: RawIds,
        keys: RawKeys,
        served: Float64,
        learned_before: Int64,
        topic: str,
        partition: int,
        batch_bytes: int,
    ) -> list[RecordSet]:
        """Record batches of about `batch_bytes`; arguments as of streams.records.PredictionEncoder."""
        places = keys.records.places
        answers = Answers(
            data=ids.data,
            ids_at=ids.at,
            ids_size=ids.size,
            keys_at=np.ascontiguousarray(places[:, KEY]),
            keys_size=np.ascontiguousarray(places[:, KEY_SIZE]),
            served=served.ravel(),
            learned_before=learned_before,
            offsets=ids.offsets,
            kind=self._kind,
            texts=self._texts(topic, partition),
            classes=self._classes,
            columns=self._columns,
        )
        value = self._most(answers, served.shape[1])
        largest = value + int(answers.keys_size.max(initial=0)) + 64
        room = min(batch_bytes, len(ids) * largest) + largest
        out, scratch = np.empty(room, np.uint8), np.empty(value, np.uint8)
        start, sets, now = 0, list[RecordSet](), int(time.time() * 1000)
        while start < len(ids):
            stop, size = write_predictions(answers, start, batch_bytes, out, scratch)
            sets.append(RecordSet(bytearray(out[:size]), stop - start, now))
            start = stop
        return sets

    def _most(self, answers: Answers, outputs: int) -> int:
        """Bytes of the longest value there can be."""
        fixed = sum(len(texts.data) for texts in (answers.texts, answers.classes, answers.columns))
        return fixed + int(answers.ids_size.max(initial=0)) + A_NUMBER * (outputs + 4)

    def _texts(self, topic: str, partition: int) -> Texts:
        found = self._fixed.get((topic, partition))
        if found is None:
            json = msgspec.json.Encoder().encode
            found = self._fixed[topic, partition] = texts_of(
                [
                    '{"id":"',
                    f'","model":{self._model},"prediction":',
                    ',"probability":',
                    ',"probabilities":',
                    ',"samples_learned":',
                    f',"topic":{json(topic).decode()},"partition":{partition},"offset":',
                    "}",
                    "null",
                    "}",
                    json(f"{topic}-{partition}-").decode()[1:-1],
                ]
            )
        return found
