"""Predictions and dead letters to Kafka: one record batch for many of them, delivery awaited."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from models.errors import GradstreamError
from streams.native.record_set import RecordSet

BATCH_BYTES = 960_000
"""Below what brokers take (max.message.bytes was 1,000,012 for long), and a whole fetch of predictions: one
batch of a partition is under way at a time.
"""
LARGEST_REQUEST = 64 * 1024 * 1024


class DeliveryFailed(GradstreamError):
    """Kafka did not take a prediction or a dead letter, after all retries."""


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
        self._order: defaultdict[tuple[str, int], asyncio.Lock] = defaultdict(asyncio.Lock)

    async def start(self) -> None:
        """Connect."""
        await self._producer.start()

    async def stop(self) -> None:
        """Send what is left and close."""
        await self._producer.stop()

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
            batches = self._batches(keys, values, headers or repeat([]))
            await self._send(topic, partition, batches, len(values))

    async def deliver_sets(self, topic: str, partition: int, sets: Sequence[RecordSet]) -> None:
        """As `deliver`, of record batches that are finished."""
        if sets:
            await self._send(topic, partition, sets, sum(one.record_count() for one in sets))

    async def _send(self, topic: str, partition: int, batches: Sequence[Any], count: int) -> None:
        waiting: list[asyncio.Future[Any]] = []
        try:
            async with self._order[topic, partition]:
                for batch in batches:
                    sent = await self._producer.send_batch(batch, topic, partition=partition)
                    waiting.append(sent)
            for future in waiting:
                await future
        except (KafkaError, OSError, TimeoutError) as error:
            for future in waiting:
                future.cancel()
            raise DeliveryFailed(
                f"topic {topic}, partition {partition}: Kafka did not take {count} records: "
                f"{type(error).__name__}: {error}"
            ) from error

    def _batches(
        self,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        headers: Iterable[list[tuple[str, bytes]]],
    ) -> list[Any]:
        """Record batches of about BATCH_BYTES; a record that is larger alone gets one of its own."""
        now = int(time.time() * 1000)
        batch = self._producer.create_batch()
        batches = [batch]
        append = batch.append
        for key, value, own in zip(keys, values, headers, strict=False):
            if append(timestamp=now, key=key, value=value, headers=own) is None:
                batch = self._producer.create_batch()
                batches.append(batch)
                append = batch.append
                append(timestamp=now, key=key, value=value, headers=own)
        batch.close()
        return batches
