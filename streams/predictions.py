"""Predictions and dead letters to Kafka: one record batch for many of them, delivery awaited."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from models.errors import GradstreamError

BATCH_BYTES = 512 * 1024
LARGEST_REQUEST = 64 * 1024 * 1024


class DeliveryFailed(GradstreamError):
    """Kafka did not take a prediction or a dead letter, after all retries."""


class Message(NamedTuple):
    """One record to be sent."""

    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]] = []  # noqa: RUF012 - aiokafka takes nothing but a list; never changed


class Output:
    """An idempotent producer whose unit is a list of messages for one topic partition."""

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

    async def deliver(self, topic: str, partition: int, messages: Sequence[Message]) -> None:
        """Send messages in order, and wait until all in-sync replicas have them.

        Calls for one partition are sent in the order of the calls. Raises DeliveryFailed.
        """
        if not messages:
            return
        waiting: list[asyncio.Future[Any]] = []
        try:
            async with self._order[topic, partition]:
                for batch in self._batches(messages):
                    waiting.append(await self._producer.send_batch(batch, topic, partition=partition))
            for future in waiting:
                await future
        except (KafkaError, OSError, asyncio.TimeoutError) as error:
            for future in waiting:
                future.cancel()
            raise DeliveryFailed(
                f"topic {topic}, partition {partition}: Kafka did not take {len(messages)} messages: "
                f"{type(error).__name__}: {error}"
            ) from error

    def _batches(self, messages: Sequence[Message]) -> list[Any]:
        now = int(time.time() * 1000)
        batch = self._producer.create_batch()
        batches = [batch]
        append = batch.append
        for key, value, headers in messages:
            if append(key=key, value=value, timestamp=now, headers=headers) is None:
                batch.close()
                batch = self._producer.create_batch()
                batches.append(batch)
                append = batch.append
                append(key=key, value=value, timestamp=now, headers=headers)
        batch.close()
        return batches
