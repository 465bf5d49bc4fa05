"""Predictions and dead letters to Kafka: one record batch for many of them, delivery awaited."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaProducer

from streams.lanes import BATCH_BYTES, Lane, Letters, Sets
from streams.native.record_set import RecordSet

LARGEST_REQUEST = 64 * 1024 * 1024


class Output:
    """An idempotent producer whose unit is a list of records for one topic partition."""

    def __init__(self, client_config: dict[str, Any]) -> None:
        self._producer = AIOKafkaProducer(
            **client_config,
            enable_idempotence=True,
            acks="all",
            linger_ms=0,
            max_batch_size=BATCH_BYTES,
            max_request_size=LARGEST_REQUEST,
        )
        self._lanes: dict[tuple[str, int], Lane] = {}

    async def start(self) -> None:
        """Connect."""
        await self._producer.start()

    async def stop(self) -> None:
        """Send what is left and close."""
        await self._producer.stop()
        for lane in self._lanes.values():
            await lane.stop()

    async def deliver(
        self,
        topic: str,
        partition: int,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        headers: Sequence[list[tuple[str, bytes]]] | None = None,
    ) -> None:
        """Send n records in order, and wait until all in-sync replicas have them.

        Calls for one partition are sent in the order of the calls. Raises DeliveryFailed.
        """
        if values:
            await self._lane(topic, partition).send(Letters(keys, values, headers or [[]] * len(values)))

    async def deliver_sets(self, topic: str, partition: int, sets: Sequence[RecordSet]) -> None:
        """As `deliver`, of record batches that are finished."""
        if sets:
            await self._lane(topic, partition).send(Sets(sets))

    def _lane(self, topic: str, partition: int) -> Lane:
        lane = self._lanes.get((topic, partition))
        if lane is None:
            lane = self._lanes[topic, partition] = Lane(self._producer, topic, partition)
        return lane
