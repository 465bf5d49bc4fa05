"""Several models on one samples topic in one worker: one fetch and one parse, and nobody waits for long.

The group's consumer fetches for all models that stand where it is. One that is behind (it was added later,
its batches were dropped, or it could not keep up for LAG_SECONDS) reads beside it with a reader of its own,
until it has come to where a fetched batch of the group goes on; then it takes that batch, and its own reader
rests.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from infra.logs import logger
from streams.changes import Changes
from streams.ingest import Ingest
from streams.joint import JointBatch, JointDecoder
from streams.processor import Fetched, Processor
from streams.topic_reader import TopicReader

LAG_SECONDS = 1.0
BATCHES_WAITING = 4

MakeReader = Callable[[Callable[[], Awaitable[None]], Callable[[], None]], TopicReader]


class Lane:
    """One model's way through the topic."""

    def __init__(self, topic: str, name: str, processor: Processor, make_reader: MakeReader) -> None:
        self.topic, self.name, self.processor = topic, name, processor
        self.queue: asyncio.Queue[Fetched] = asyncio.Queue(BATCHES_WAITING)
        self.beside: set[int] = set()
        """Partitions that it reads by itself."""
        self._make_reader = make_reader
        self._reader: TopicReader | None = None
        self._changes = Changes()
        self._locks: dict[int, asyncio.Lock] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._check: Callable[[asyncio.Task[None]], None] = processor.check
        self._out_of_range: Callable[[], None] = lambda: None

    def start(self, out_of_range: Callable[[], None]) -> None:
        """Begin to take batches."""
        self._out_of_range = out_of_range
        self._run("shared samples", self._take_shared())

    async def stop(self) -> None:
        """End what runs."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._reader is not None:
            await self._reader.stop()

    def read_beside(self, partition: int, offset: int) -> None:
        """Read a partition from `offset` on, apart from the others."""
        if self._reader is None:
            self._reader = self._make_reader(self._changes.notify, self._out_of_range)
            self._run("own samples", self._read(self._reader))
            self._run("samples beside", self._take_own(self._reader))
        self.beside.add(partition)
        self._reader.stand(partition, offset)

    def read_with_others(self, partition: int) -> None:
        """Take a partition's batches from the group again."""
        self.beside.discard(partition)
        if self._reader is not None:
            self._reader.keep(set(self.beside))

    async def hand(self, fetched: Fetched) -> None:
        """Process what is new in a batch of the group."""
        async with self._lock(fetched.partition):
            at = self.processor.position(self.topic, fetched.partition)
            if at is None or at.offset >= fetched.stop:
                return
            if at.offset < fetched.start:
                if fetched.partition not in self.beside:  # batches were missed
                    self.read_beside(fetched.partition, at.offset)
                return
            if fetched.partition in self.beside:
                self.read_with_others(fetched.partition)
            await self.processor.process(replace(fetched.since(at.offset), seek=at.seek))

    async def _take_shared(self) -> None:
        while True:
            await self.hand(await self.queue.get())

    async def _read(self, reader: TopicReader) -> None:
        await reader.start()
        await reader.run()

    async def _take_own(self, reader: TopicReader) -> None:
        while True:
            await self._changes.until(lambda: any(reader.peek(p) is not None for p in self.beside))
            for partition in sorted(self.beside):
                if reader.peek(partition) is not None:
                    await self._one_of_own(reader, partition)

    async def _one_of_own(self, reader: TopicReader, partition: int) -> None:
        async with self._lock(partition):
            if partition not in self.beside or reader.peek(partition) is None:
                return
            piece, at = reader.take(partition), self.processor.position(self.topic, partition)
            if at is None:
                return  # dropped: it will be sought again
            if piece.start != at.offset:
                reader.stand(partition, at.offset)
                return
            await self.processor.process(
                Fetched(
                    self.topic, partition, at.seek, piece.start, piece.stop, piece.records, time.monotonic()
                )
            )

    def _lock(self, partition: int) -> asyncio.Lock:
        return self._locks.setdefault(partition, asyncio.Lock())

    def _run(self, name: str, body: Awaitable[None]) -> None:
        task: asyncio.Task[None] = asyncio.ensure_future(body)
        task.set_name(f"{name} {self.name}")
        task.add_done_callback(self._check)
        self._tasks.append(task)


class SharedTopic:
    """The models of one samples topic, each on its lane."""

    def __init__(self, topic: str, lanes: Sequence[Lane], ingests: Sequence[Ingest]) -> None:
        self.topic = topic
        self.lanes = list(lanes)
        self._joint = JointDecoder(ingests)
        self._numbers: dict[int, int] = {}
        self._seeks = 0

    def lane(self, model: str) -> Lane:
        """A model's."""
        return next(lane for lane in self.lanes if lane.name == model)

    def stand(self, partition: int, offsets: Sequence[int], models: Sequence[str]) -> tuple[int, int]:
        """Begin a partition that was assigned: each of the models stands at its offset.

        Returns offset and number of the seek of the group's consumer: it goes to where the first of them is.
        """
        lead = max(offsets)
        for model, offset in zip(models, offsets, strict=True):
            if offset < lead:
                self.lane(model).read_beside(partition, offset)
            else:
                self.lane(model).read_with_others(partition)
        self._seeks += 1
        self._numbers[partition] = self._seeks
        return lead, self._seeks

    async def process(self, fetched: Fetched) -> None:
        """Give a batch of the group to all lanes; one that does not take it for a while reads by itself."""
        if self._numbers.get(fetched.partition) != fetched.seek:
            return  # fetched before a seek
        if self._joint.members:
            fetched = replace(fetched, parsed=JointBatch(self._joint, fetched.records))
        for lane in self.lanes:
            await self._offer(lane, fetched)

    async def _offer(self, lane: Lane, fetched: Fetched) -> None:
        plain = replace(fetched, parsed=None) if lane.processor.ingest.joint is None else fetched
        if fetched.partition in lane.beside:  # it takes the batch if it has come so far, or the next one
            with contextlib.suppress(asyncio.QueueFull):
                lane.queue.put_nowait(plain)
            return
        try:
            await asyncio.wait_for(lane.queue.put(plain), LAG_SECONDS)
        except TimeoutError:
            at = lane.processor.position(self.topic, fetched.partition)
            if at is not None and fetched.partition not in lane.beside:
                logger(model=lane.name).info(
                    "does not keep up with the other models: it goes on by itself",
                    partition=f"{self.topic}-{fetched.partition}",
                )
                lane.read_beside(fetched.partition, at.offset)
