"""One worker process of the machine: a real ModelWorker that fetches samples and labels when told to."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from infra.kafka_admin import TopicInfo
from infra.memory_store import MemoryStore
from infra.settings import ModelSettings
from streams.group_input import Input
from streams.labels.clients import LateClients
from streams.log_format import PartitionId
from streams.memory_log import MemoryLogReader
from streams.processor import Fetched
from tests.streams.labels.machine_world import MemoryTopicReader, Topic, TornStore, WatchedLateLog
from tests.streams.machine_worker import QuickModelWorker, TopicsInMemory
from tests.streams.machine_world import MemoryOutput, Outbox, WatchedWriter


@dataclass
class Surroundings:
    """What all workers share."""

    loop: asyncio.AbstractEventLoop
    settings: ModelSettings
    samples: Sequence[Topic]
    labels: Sequence[Topic]
    log: WatchedLateLog
    checkpoints: MemoryStore
    store: TornStore
    outbox: Outbox


class LateWorker:
    """A process: starts, is assigned partitions, fetches, processes, crashes."""

    def __init__(self, around: Surroundings) -> None:
        self._around, self._loop = around, around.loop
        self._output, self._writer = MemoryOutput(around.outbox), WatchedWriter(around.log)
        self.reader = MemoryLogReader(around.log)
        self.labels: MemoryTopicReader | None = None
        own, count = around.settings, len(around.samples)
        names = (own.samples, str(own.labels), own.predictions, own.dead_letters, own.learning_log)
        infos: Any = {name: TopicInfo(name, f"id of {name}", count, 1) for name in names}
        topics: Any = TopicsInMemory(count)
        make_reader: Any = self._make_reader
        self.model = QuickModelWorker(
            own.name, own, infos, topics, around.checkpoints, self.reader, self._writer, self._output,  # type: ignore[arg-type]
            lambda: MemoryLogReader(around.log), LateClients(around.store, make_reader),  # type: ignore[arg-type, return-value]
        )  # fmt: skip
        around.log.senders[self.model.worker] = (self._writer, self._output)
        self.started = False
        self.assigned: tuple[int, ...] = ()
        self.fetchers: dict[int, list[int]] = {}
        """Partition → the offset to be fetched next, and the number of the last seek."""
        self.prefetched: deque[Fetched] = deque()
        self._batches: asyncio.Queue[Fetched] = asyncio.Queue()
        self._assigning = asyncio.Lock()
        self._tasks = [self._loop.create_task(self._live())]

    def _make_reader(self, arrived: Callable[[], Awaitable[None]], out_of_range: object) -> MemoryTopicReader:
        self.labels = MemoryTopicReader(self._around.labels, arrived)
        return self.labels

    async def _live(self) -> None:
        await self.model.start(Input(self.seek, self._behind, lambda: None))
        self.started = True
        while True:
            await self.model.processor.process(await self._batches.get())

    def _behind(self, partition: PartitionId, offset: int) -> bool:
        return offset < self._around.samples[partition.partition].end

    # What its surroundings do with it

    def assign(self, partitions: Iterable[int]) -> None:
        """It owns these partitions from now on, as after a rebalance (streams.group)."""
        self.assigned = tuple(partitions)
        self._do(self._positions(self.assigned))

    def save(self) -> None:
        """Save a checkpoint, and what waits."""
        self._do(self.model.save())

    def fetch(self, partition: int, size: int) -> None:
        """Fetch samples; they wait in a buffer, as Faust's do, until `process`."""
        if partition in self.fetchers:
            start, number = self.fetchers[partition]
            topic = self._around.samples[partition]
            stop = min(start + size, topic.end)
            if stop > start:
                records, name = topic.between(start, stop), self.model.settings.samples
                self.prefetched.append(Fetched(name, partition, number, start, stop, records, 0.0))
                self.fetchers[partition][0] = stop

    def fetch_labels(self, partition: int, size: int) -> None:
        """The broker answers the labels' reader."""
        if self.labels is not None:
            self._do(self.labels.fetch(partition, size))

    def process(self, most: int) -> None:
        """Hand up to `most` fetched batches on."""
        for _ in range(min(most, len(self.prefetched))):
            self._batches.put_nowait(self.prefetched.popleft())

    def failure(self) -> BaseException | None:
        """Why it has ended; None while it runs."""
        futures = [*self._tasks, *([self.model.processor.failed] if self.model.started else [])]
        ended = [f for f in futures if f.done() and not f.cancelled()]
        return next((error for f in ended if (error := f.exception()) is not None), None)

    def crash(self) -> None:
        """It is gone at once; what it has sent is on its way."""
        for task in self._tasks:
            task.cancel()
        self._tasks.append(self._loop.create_task(self.model.stop()))

    # What it does with its surroundings

    async def seek(self, partition: PartitionId, offset: int, number: int) -> None:
        """See Processor.Seek. Rule 11: all that its producer has sent for the partition is read back."""
        read = self.model.fold.log_offset
        for record in self._writer.sent:
            if record.kind == "data" and record.partition() == partition:
                arrived = self._around.log.arrived.get((record.worker, record.seq), read)
                assert arrived < read, f"{partition} goes on before the echo of record {record.seq} is read"
        self.fetchers[partition.partition] = [offset, number]

    async def _positions(self, partitions: Sequence[int]) -> None:
        async with self._assigning:
            processor = self.model.processor
            processor.release_all()
            self.fetchers.clear()
            taken = [self.model.partition_id(p) for p in partitions]
            await processor.take(taken)
            for partition in taken:
                offset = self.model.fold.next[partition]
                await self.seek(partition, offset, processor.stand(partition, offset))
            processor.assigned(taken)

    def _do(self, what: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(self._loop.create_task(what))
