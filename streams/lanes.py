"""What goes to one topic partition, in order: at a low rate each piece at once, at a high one many together.

Two requests are under way at most. What comes meanwhile waits, and leaves as one batch: pieces of their own
would wait for one answer after the other.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from models.errors import GradstreamError
from streams.native.merge import merged
from streams.native.record_set import RecordSet

BATCH_BYTES = 960_000
"""Below what brokers take (max.message.bytes was 1,000,012 for long); predictions of a whole fetch fit in."""
UNDER_WAY = 2
A_LETTER = 100
"""About the bytes that a record takes beside its key and value."""


class DeliveryFailed(GradstreamError):
    """Kafka did not take a prediction or a dead letter, after all retries."""


@dataclass
class Sets:
    """Finished batches of records."""

    sets: Sequence[RecordSet]

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(one.size() for one in self.sets)

    @property
    def count(self) -> int:
        """Records."""
        return sum(one.record_count() for one in self.sets)

    def with_(self, others: Sequence[Sets]) -> Sets:
        """All of them as one batch; each is small."""
        return Sets([merged([one for part in (self, *others) for one in part.sets])]) if others else self

    def batches(self, producer: AIOKafkaProducer) -> Sequence[Any]:
        """What the producer is given."""
        return self.sets


@dataclass
class Letters:
    """n records."""

    keys: Sequence[bytes | None]
    values: Sequence[bytes | None]
    headers: Sequence[list[tuple[str, bytes]]]

    @property
    def size(self) -> int:
        """Bytes, about."""
        return sum(A_LETTER + len(value or b"") for value in self.values)

    @property
    def count(self) -> int:
        """Records."""
        return len(self.values)

    def with_(self, others: Sequence[Letters]) -> Letters:
        """All of them."""
        parts = (self, *others)
        return Letters(
            [key for part in parts for key in part.keys],
            [value for part in parts for value in part.values],
            [own for part in parts for own in part.headers],
        )

    def batches(self, producer: AIOKafkaProducer) -> Sequence[Any]:
        """Record batches of about BATCH_BYTES; a record that is larger alone gets one of its own."""
        now = int(time.time() * 1000)
        batch = producer.create_batch()
        batches = [batch]
        append = batch.append
        for key, value, own in zip(self.keys, self.values, self.headers, strict=True):
            if append(timestamp=now, key=key, value=value, headers=own) is None:
                batch = producer.create_batch()
                batches.append(batch)
                append = batch.append
                append(timestamp=now, key=key, value=value, headers=own)
        batch.close()
        return batches


@dataclass
class _Parcel:
    content: Any  # Sets or Letters
    delivered: asyncio.Future[None]


class Lane:
    """See the module."""

    def __init__(self, producer: AIOKafkaProducer, topic: str, partition: int) -> None:
        self._producer, self._topic, self._partition = producer, topic, partition
        self._waiting: deque[_Parcel] = deque()
        self._order = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    async def send(self, content: Sets | Letters) -> None:
        """Send in the order of the calls, and wait until all replicas have it; raises DeliveryFailed."""
        delivered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Parcel(content, delivered))
        self._go_on()
        await delivered

    async def stop(self) -> None:
        """Give up what is under way, and what waits."""
        for parcel in self._waiting:
            parcel.delivered.cancel()
        self._waiting.clear()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _go_on(self) -> None:
        while self._waiting and len(self._tasks) < UNDER_WAY:
            task = asyncio.create_task(self._deliver(self._next()))
            self._tasks.add(task)
            task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            self._go_on()

    def _next(self) -> list[_Parcel]:
        """The first that waits, and those of its kind behind it that fit into one batch with it."""
        parcels = [self._waiting.popleft()]
        kind, size = type(parcels[0].content), parcels[0].content.size
        while self._waiting and type(self._waiting[0].content) is kind:
            size += self._waiting[0].content.size
            if size > BATCH_BYTES:
                break
            parcels.append(self._waiting.popleft())
        return parcels

    async def _deliver(self, parcels: Sequence[_Parcel]) -> None:
        first, *others = (parcel.content for parcel in parcels)
        try:
            await self._send(first.with_(others))
        except asyncio.CancelledError:
            for parcel in parcels:
                parcel.delivered.cancel()
            raise
        except Exception as error:
            for parcel in parcels:
                if not parcel.delivered.done():  # whoever waited for it may be gone
                    parcel.delivered.set_exception(error)
        else:
            for parcel in parcels:
                if not parcel.delivered.done():
                    parcel.delivered.set_result(None)

    async def _send(self, content: Any) -> None:
        waiting: list[asyncio.Future[Any]] = []
        try:
            async with self._order:
                for batch in content.batches(self._producer):
                    sent = await self._producer.send_batch(batch, self._topic, partition=self._partition)
                    waiting.append(sent)
            for future in waiting:
                await future
        except (KafkaError, OSError, TimeoutError) as error:
            for future in waiting:
                future.cancel()
            where = f"topic {self._topic}, partition {self._partition}"
            what = f"Kafka did not take {content.count} records: {type(error).__name__}: {error}"
            raise DeliveryFailed(f"{where}: {what}") from error
