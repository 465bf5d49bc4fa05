"""What leaves with a processed batch: its predictions and its dead letters, to the sample's partition."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING

from models.rows import Float64, Int64
from streams.ingest import Ingested
from streams.lanes import BATCH_BYTES
from streams.log_format import PartitionId
from streams.native.predictions import PredictionWriter
from streams.native.raw_ids import RawIds, RawKeys
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
        self._writer = PredictionWriter(model, settings.spec())

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
        predictions = self._deliver(partition, ingested, served, learned_before)
        dead = [*ingested.dead, *labels[1]]
        if not dead:
            await predictions
            return
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
            await predictions
        finally:
            await letters

    def _deliver(
        self, partition: PartitionId, ingested: Ingested, served: Float64, learned_before: Int64
    ) -> Awaitable[None]:
        """Write the predictions now; they are sent when the result is awaited."""
        place = partition.topic, partition.partition
        ids, keys = ingested.ids, ingested.keys
        if isinstance(ids, RawIds) and isinstance(keys, RawKeys):
            sets = self._writer.write(ids, keys, served, learned_before, *place, BATCH_BYTES)
            return self._output.deliver_sets(self._predictions, partition.partition, sets)
        values = self._encoder.encode(ids, served, learned_before, *place, ingested.rows.offsets)
        return self._output.deliver(self._predictions, partition.partition, keys, values)
