"""A Faust transport whose events are whole fetched batches, sought to the fold's offsets.

A Faust event a record costs 60 µs before any work; an event a fetched batch costs that once for thousands.
Faust keeps what it is good at: group membership, rebalancing, back-pressure, supervision. These private hooks
of faust-streaming 0.15.3 and aiokafka 0.14 are used; tests/streams/test_transport.py fails when one moves:

- App._new_transport, Transport.Consumer, Consumer._new_consumer_thread, Consumer.getmany,
  Consumer._drain_messages, Consumer.seek_to_committed, Consumer._filter_committable_offsets, Consumer.ack;
- TableManager.on_start;
- AIOKafkaConsumerThread._create_worker_consumer and ._fetch_records;
- AIOKafkaConsumer._fetcher, ._subscription, ._coordinator.

Each seek has a number. A batch carries the number of the seek it was fetched after, so that what was
fetched before a seek and arrives after it is told from what follows.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator, Mapping, Sequence
from typing import Any, Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import ConsumerStoppedError, NoOffsetForPartitionError, OffsetOutOfRangeError
from faust import Schema
from faust.tables.manager import TableManager
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage

from streams.consumer_in_loop import ConsumerInLoop
from streams.native.fetching import all_of, fetch_raw
from streams.processor import Fetched

LOGGER = logging.getLogger("faust.transport")  # mode would name it after this module: the log is ours
RECORDS_A_BATCH = 100_000  # all that one fetch brought
FETCH_WAIT_MS = 100
FETCH_BYTES = 2 * 1024 * 1024
"""Of wide samples a fetch of 1 MiB has so few that its own cost shows; each MiB more takes ten of memory."""
METADATA_AGE_MS = 10_000  # how soon a group notices that partitions were added


class Group(Protocol):
    """What the transport needs of the models behind it (streams.group)."""

    def consumer_config(self) -> dict[str, Any]:
        """Keyword arguments of the group's aiokafka consumer."""

    async def positions(self, assigned: set[TP]) -> Mapping[TP, tuple[int, int]]:
        """Where to process each assigned partition from, and the number of that seek."""

    def committable(self) -> Mapping[TP, int]:
        """Offsets to commit to Kafka, for lag tools: the fold's."""

    def out_of_range(self) -> None:
        """The input has no such offsets (any more) as the fetcher stands at."""

    def fail(self, error: BaseException) -> None:
        """End the worker."""


class BatchSchema(Schema):  # type: ignore[misc]
    """Hands a message's value on as it is."""

    def compile(self, app: Any, **_: Any) -> Callable[..., Awaitable[Any]]:
        """A decoder that decodes nothing."""
        create_event = app.create_event

        async def decode(message: Any, *, propagate: bool = False) -> Any:
            return create_event(None, message.value, message.headers, message)

        return decode


class RawConsumer(AIOKafkaConsumer):  # type: ignore[misc]
    """Gives all records of a fetch at once."""

    async def start(self) -> None:
        """Connect."""
        await super().start()
        fetch_raw(self)


class BatchFetching(ConsumerInLoop):
    """aiokafka's consumer, and which seek each partition stands after."""

    logger = LOGGER

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Next fetch position, seek number, and the assignment (aiokafka's) in which it was sought.
        self._stands: dict[TP, tuple[int, int, Any]] = {}

    def _create_worker_consumer(self, transport: Any) -> AIOKafkaConsumer:
        self._assignor = RoundRobinPartitionAssignor
        return RawConsumer(
            **self.app.group.consumer_config(),
            partition_assignment_strategy=[RoundRobinPartitionAssignor],
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",  # samples of an aborted transaction were never sent
            metadata_max_age_ms=METADATA_AGE_MS,
            max_poll_records=RECORDS_A_BATCH,
            fetch_max_wait_ms=FETCH_WAIT_MS,
            check_crcs=False,  # as librdkafka: TCP and the broker have checked them
            max_partition_fetch_bytes=FETCH_BYTES,
            fetch_max_bytes=FETCH_BYTES,
        )

    async def seek_numbered(self, positions: Mapping[TP, tuple[int, int]]) -> None:
        """Seek partitions to (offset, seek number); in one step."""
        consumer = self._ensure_consumer()
        assigned = consumer.assignment()
        for tp, (offset, number) in positions.items():
            later = self._stands.get(tp, (0, 0, None))[1] > number  # a recovery may overtake an assignment
            if TopicPartition(*tp) in assigned and not later:
                consumer.seek(TopicPartition(*tp), offset)
                consumer.resume(TopicPartition(*tp))  # one that was left unread
                self._stands[tp] = (offset, number, consumer._subscription.subscription.assignment)

    async def rejoin(self) -> None:
        """Ask the group for a new assignment; it gives one when it is its leader that asks."""
        self._ensure_consumer()._coordinator.request_rejoin()

    async def leave_unread(self, partitions: set[TP]) -> None:
        """Do not fetch these assigned partitions."""
        consumer = self._ensure_consumer()
        for key in consumer.assignment() & {TopicPartition(*tp) for tp in partitions}:
            consumer.seek(key, 0)
            consumer.pause(key)

    async def _fetch_records(
        self,
        consumer: AIOKafkaConsumer,
        active_partitions: set[TP],
        timeout: float | None = None,  # noqa: ASYNC109 - Faust's signature
        max_records: int | None = None,
    ) -> dict[TP, Fetched]:
        if not self.consumer.flow_active:
            return {}
        fetcher = consumer._fetcher
        if consumer._closed or fetcher._closed:
            raise ConsumerStoppedError
        try:
            with fetcher._subscriptions.fetch_context():
                records = await fetcher.fetched_records(
                    active_partitions, timeout=timeout, max_records=max_records
                )
        except NoOffsetForPartitionError:
            return {}  # an assignment is on its way, and a seek with it
        except OffsetOutOfRangeError:
            self.app.group.out_of_range()
            return {}
        return self._number(consumer, records)

    def _number(
        self, consumer: AIOKafkaConsumer, records: Mapping[TopicPartition, Sequence[Any]]
    ) -> dict[TP, Fetched]:
        """Cut what was fetched into batches with the fetch positions before and after them.

        A new assignment begins at Kafka's committed offsets, which trail the fold: what is fetched before it
        is sought says nothing about where this worker stands.
        """
        subscription = consumer._subscription.subscription
        assignment = subscription.assignment if subscription is not None else None
        batches: dict[TP, Fetched] = {}
        if assignment is None or not assignment.active:
            return batches
        for tp, (start, number, sought_in) in list(self._stands.items()):
            key = TopicPartition(*tp)
            state = assignment.state_value(key) if sought_in is assignment else None
            if state is None or state._position is None or state._position <= start:
                continue
            stop = state._position
            found = all_of(records.get(key, ()))
            if found and not start <= found[0].offset <= found[-1].offset < stop:
                # What it holds is not what its range says: it must not be learned under it.
                LOGGER.warning("%s: fetched anew from %d: got records from %d to %d", key, start,
                               found[0].offset, found[-1].offset)  # fmt: skip
                consumer.seek(key, start)
                continue
            batches[tp] = Fetched(tp.topic, tp.partition, number, start, stop, found, time.monotonic())
            self._stands[tp] = (stop, number, sought_in)
        return batches


class BatchConsumer(driver.Consumer):  # type: ignore[misc]
    """Yields one message a fetched batch, and leaves offsets to the group's fold."""

    logger = LOGGER
    _thread: BatchFetching

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._drop = asyncio.Event()

    def _new_consumer_thread(self) -> BatchFetching:
        return BatchFetching(self, loop=self.loop, beacon=self.beacon)

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Seek every assigned partition to the fold's offset (and not to Kafka's committed one)."""
        try:
            assigned = self.assignment()
            positions = await self.app.group.positions(assigned)
            await self._thread.leave_unread(assigned - positions.keys())
            await self._thread.seek_numbered(positions)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            self.app.group.fail(error)
            return {}
        return {tp: offset for tp, (offset, _) in positions.items()}

    async def seek_numbered(self, positions: Mapping[TP, tuple[int, int]]) -> None:
        """Seek partitions to (offset, seek number)."""
        await self._thread.seek_numbered(positions)

    def stable(self, tp: TP) -> int | None:
        """Offset after the last record that can be read of an assigned partition; None: not known yet."""
        consumer = self._thread._consumer
        subscription = None if consumer is None else consumer._subscription.subscription
        assignment = None if subscription is None else subscription.assignment
        state = None if assignment is None else assignment.state_value(TopicPartition(*tp))
        return None if state is None else state.lso

    async def rejoin(self) -> None:
        """Ask the group for a new assignment."""
        await self._thread.rejoin()

    def on_buffer_drop(self, tp: TP) -> None:
        """Wake the fetch loop: Faust would sleep a second when all partitions were buffered."""
        super().on_buffer_drop(tp)
        self._drop.set()

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, ConsumerMessage]]:  # noqa: ASYNC109
        """One message a fetched batch.

        None is dropped here. A fetch that was asked for before a rebalance may be answered after the seek
        that follows it, with what was fetched after that seek: nobody would fetch it again. So all batches
        wait for the flow, and the number of its seek tells the processor which of them are stale.
        """
        if not self.flow_active:
            await self.wait(self.can_resume_flow)
        active = self._get_active_partitions()
        if not active:
            self._drop.clear()
            await self.wait_first(self._drop.wait(), timeout=timeout)
            return
        for tp, batch in (await self._getmany(active_partitions=active, timeout=timeout)).items():
            if not self.flow_active:
                await self.wait(self.can_resume_flow)
            if self.should_stop:
                return
            yield tp, self._batch_message(tp, batch)

    def _batch_message(self, tp: TP, batch: Fetched) -> ConsumerMessage:
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            batch.stop - 1,
            0.0,
            0,
            (),
            None,
            batch,
            None,
            0,
            len(batch.records),
            tp,
            generation_id=self.app.consumer_generation_id,
        )

    async def _drain_messages(self, fetcher: Any) -> None:
        """Hand batches to the agents until the fetcher stops; stopping the flow drops the one in hand."""
        try:
            while not (self.should_stop or fetcher.should_stop):
                async for _, message in self.getmany(timeout=1.0):
                    await self._hand_over(message)
                await asyncio.sleep(0)
        except self.consumer_stopped_errors:
            if not self.app.should_stop:
                raise
        except asyncio.CancelledError:
            if not self.app.should_stop:
                raise

    async def _hand_over(self, message: ConsumerMessage) -> None:
        """Give an agent a batch; one that has no room yet, when the flow stops, does not get it.

        An agent has room nearly always, and then nothing has to wait: no task is made to find that out.
        """
        callback = self.callback(message)
        try:
            waits_for = callback.send(None)
        except StopIteration:
            return
        await self.wait_first(_Resumed(callback, waits_for), self.suspend_flow.wait())

    def ack(self, message: Any) -> bool:
        """A batch is done with; offsets are not derived from that."""
        if message.acked:
            return False
        message.acked = True
        self._unacked_messages.discard(message)
        if self._waiting_for_ack is not None and not self._waiting_for_ack.done():
            self._waiting_for_ack.set_result(None)
        return True

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Any:
        return iter(self.app.group.committable())

    def _filter_committable_offsets(self, tps: Any) -> dict[TP, int]:
        committed = self._committed_offset
        return {
            tp: offset
            for tp, offset in self.app.group.committable().items()
            if committed[tp] is None or offset > committed[tp]
        }


class _Resumed:
    """Goes on with a coroutine that was begun by hand and waits for something."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], waits_for: Any) -> None:
        self._coroutine, self._waits_for = coroutine, waits_for

    def __await__(self) -> Generator[Any, Any, Any]:
        """Wait, and run it to its end."""
        yield self._waits_for
        return (yield from self._coroutine.__await__())


class NoTables(TableManager):  # type: ignore[misc]
    """Faust's table manager without the second that it waits for tables: this app has none."""

    async def on_start(self) -> None:
        """Let the conductor subscribe."""
        await self._update_channels()
        await self.recovery.start()


class BatchTransport(driver.Transport):  # type: ignore[misc]
    """Faust's Kafka transport with the batch consumer."""

    Consumer = BatchConsumer
