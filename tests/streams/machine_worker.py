"""One worker process of the machine: a real ModelWorker, and a fetcher that does what it is told."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any

from infra.kafka_admin import TopicInfo
from infra.settings import ModelSettings
from infra.store import CheckpointStore
from streams.group_input import Input
from streams.lanes import DeliveryFailed
from streams.learning_log import AppendFailed
from streams.log_format import PartitionId
from streams.memory_log import MemoryLogReader
from streams.model_worker import ModelWorker
from streams.processor import Fetched
from tests.streams.machine_world import Input as Samples
from tests.streams.machine_world import MemoryOutput, Outbox, WatchedLog, WatchedWriter

NAME = "m"
SELF_TEST = "self-test"
ALLOWED = (AppendFailed, DeliveryFailed)
"""What may end a worker: the test told the log, or the output, to fail."""


class TopicsInMemory:
    """What a worker asks of the samples topic (streams.topics.Topics)."""

    def __init__(self, known: int) -> None:
        self._known = known

    async def starts(self, topic: str) -> dict[int, int]:
        """See Topics."""
        return dict.fromkeys(range(self._known), 0)


class QuickModelWorker(ModelWorker):
    """Takes the kernels' self-test for granted: it costs a second, and is the same in all workers."""

    def _prepare(self) -> str:
        return SELF_TEST


class MachineWorker:
    """A process: starts, is assigned partitions, fetches, processes, crashes."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        settings: ModelSettings,
        log: WatchedLog,
        store: CheckpointStore,
        outbox: Outbox,
        inputs: Sequence[Samples],
        known: int,
    ) -> None:
        """known: how many partitions the topic had when the model began; later ones open when taken."""
        self._loop, self._log, self._inputs = loop, log, inputs
        self._output, self._writer = MemoryOutput(outbox), WatchedWriter(log)
        self.reader = MemoryLogReader(log)
        names = (settings.samples, settings.predictions, settings.dead_letters, settings.learning_log)
        infos = {name: TopicInfo(name, f"id of {name}", known, 1) for name in names}
        self.model = QuickModelWorker(
            NAME, settings, infos, TopicsInMemory(known), store, self.reader, self._writer, self._output,
            lambda: MemoryLogReader(log),
        )  # fmt: skip
        log.senders[self.model.worker] = (self._writer, self._output)
        self.watch_echoes = True
        """Whether `seek` looks at rule 11."""
        self.started = False
        """Whether it has read the log to its end, and opened its partitions."""
        self.assigned: tuple[int, ...] = ()
        self.fetchers: dict[int, list[int]] = {}
        """Partition → the offset to be fetched next, and the number of the last seek."""
        self.prefetched: deque[Fetched] = deque()
        self._batches: asyncio.Queue[Fetched] = asyncio.Queue()
        self._assigning = asyncio.Lock()
        self._tasks = [loop.create_task(self._live())]

    async def _live(self) -> None:
        await self.model.start(Input(self.seek, lambda *_: True, lambda: None))
        self.started = True
        while True:
            await self.model.processor.process(await self._batches.get())

    # What its surroundings do with it

    def assign(self, partitions: Iterable[int]) -> None:
        """It owns these partitions from now on, as after a rebalance (streams.group)."""
        self.assigned = tuple(partitions)
        self._do(self._positions(self.assigned))

    def save(self) -> None:
        """Save a checkpoint."""
        self._do(self.model.save())

    def fetch(self, partition: int, size: int) -> None:
        """Fetch a batch; it waits in a buffer, as Faust's do, until `process`."""
        if partition in self.fetchers:
            start, number = self.fetchers[partition]
            stop = min(start + size, self._inputs[partition].end)
            if stop > start:
                records = self._inputs[partition].between(start, stop)
                topic = self.model.settings.samples
                self.prefetched.append(Fetched(topic, partition, number, start, stop, records, 0.0))
                self.fetchers[partition][0] = stop

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
        for record in self._writer.sent if self.watch_echoes else ():
            if record.kind == "data" and record.partition() == partition:
                arrived = self._log.arrived.get((record.worker, record.seq), read)
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

    def _do(self, what: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(self._loop.create_task(what))
