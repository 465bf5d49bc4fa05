"""Samples to a topic of several partitions in turn: all at once, or at a steady rate."""

from __future__ import annotations

import time
from asyncio import sleep
from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaProducer

BATCH_BYTES = 512 * 1024
TICK_SECONDS = 0.01


class Stream:
    """Samples that are ready to be sent; sample i goes to partition i mod `partitions`.

    The record batches are built ahead, so that sending them takes no time of those who are measured.
    """

    def __init__(self, kafka: str, topic: str, partitions: int, rate: float | None) -> None:
        """rate: samples a second; None: all at once."""
        self._producer = AIOKafkaProducer(
            bootstrap_servers=kafka,
            acks="all",
            linger_ms=0,
            max_batch_size=BATCH_BYTES,
            max_request_size=64 * 1024 * 1024,
        )
        self._topic = topic
        self._partitions = partitions
        self._rate = rate
        self._ticks: list[list[tuple[Any, int]]] = []

    async def build(self, values: Sequence[bytes], keys: Sequence[bytes] | None = None) -> None:
        """Connect, and make the batches of all samples."""
        await self._producer.start()
        step = len(values) if self._rate is None else max(1, round(self._rate * TICK_SECONDS))
        for start in range(0, len(values), step):
            self._ticks.append(self._tick(start, min(start + step, len(values)), values, keys))

    def _tick(
        self, start: int, stop: int, values: Sequence[bytes], keys: Sequence[bytes] | None
    ) -> list[tuple[Any, int]]:
        """The batches of samples [start, stop), partitions in turn."""
        by_partition: list[list[Any]] = [[] for _ in range(self._partitions)]
        now = int(time.time() * 1000)
        for i in range(start, stop):
            batches = by_partition[i % self._partitions]
            record = {"timestamp": now, "key": keys[i] if keys else None, "value": values[i]}
            if not batches or batches[-1].append(**record) is None:
                batches.append(self._producer.create_batch())
                batches[-1].append(**record)
        depth = max(map(len, by_partition))
        return [
            (batches[i], partition)
            for i in range(depth)
            for partition, batches in enumerate(by_partition)
            if i < len(batches)
        ]

    async def send(self) -> None:
        """Send all of it, acknowledged, and disconnect."""
        begun = time.monotonic()
        waiting = []
        for tick, batches in enumerate(self._ticks):
            if (ahead := begun + tick * TICK_SECONDS - time.monotonic()) > 0:
                await sleep(ahead)
            for batch, partition in batches:
                batch.close()
                waiting.append(await self._producer.send_batch(batch, self._topic, partition=partition))
        for sent in waiting:
            await sent
        await self._producer.stop()
