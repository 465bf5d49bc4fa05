"""What leaves with a processed batch: its predictions and its dead letters, to the sample's partition."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from models.rows import Float64, Int64
from streams.ingest import Ingested
from streams.log_format import PartitionId
from streams.predictions import Output
from streams.records import DeadLetter, PredictionEncoder, dead_letter_headers

if TYPE_CHECKING:
    from infra.settings import ModelSettings


class Outgoing:
    """Writes one model's predictions and dead letters."""

    def __init__(
        self, model: str, settings: ModelSettings, encoder: PredictionEncoder, output: Output
    ) -> None:
        self._model = model
        self._predictions = settings.predictions
        self._dead_letters = settings.dead_letters
        self._encoder = encoder
        self._output = output

    async def send(
        self,
        partition: PartitionId,
        ingested: Ingested,
        served: Float64,
        learned_before: Int64,
        labels: tuple[str, Sequence[DeadLetter]] = ("", ()),
    ) -> None:
        """Send a batch's predictions and dead letters; returns when all are acknowledged.

        served: (n, outputs); learned_before: (n,) samples learned before each prediction; labels: the topic
        of late labels, and letters of the same partition number there.
        """
        values = self._encoder.encode(
            ingested.ids, served, learned_before, partition.topic, partition.partition, ingested.rows.offsets
        )
        dead = [*ingested.dead, *labels[1]]
        topics = [partition.topic] * len(ingested.dead) + [labels[0]] * len(labels[1])
        headers = [
            dead_letter_headers(letter, topic, partition.partition, self._model)
            for letter, topic in zip(dead, topics, strict=True)
        ]
        # Deliveries to a partition leave in the order in which they are begun, so both begin here and now.
        letters = asyncio.create_task(
            self._output.deliver(
                self._dead_letters,
                partition.partition,
                [d.record.key for d in dead],
                [d.record.value for d in dead],
                headers,
            )
        )
        try:
            await self._output.deliver(self._predictions, partition.partition, ingested.keys, values)
        finally:
            await letters
