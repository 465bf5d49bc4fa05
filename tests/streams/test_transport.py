"""The private hooks of Faust and aiokafka that the batch transport stands on are where they were."""

from __future__ import annotations

import asyncio
import inspect
from importlib import metadata
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.conn import AIOKafkaConnection
from aiokafka.consumer import fetcher, subscription_state
from aiokafka.consumer.group_coordinator import GroupCoordinator
from faust.app.base import App
from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from faust.transport import consumer as base
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from streams import raw_records
from streams.processor import Fetched
from streams.transport import BatchConsumer, BatchFetching


def parameters(function: Any) -> list[str]:
    return list(inspect.signature(function).parameters)


def test_the_pinned_versions_are_installed() -> None:
    assert metadata.version("faust-streaming") == "0.15.3"
    assert metadata.version("aiokafka").startswith("0.14.")


@pytest.mark.parametrize(
    ("owner", "name", "expected"),
    [
        (App, "_new_transport", ["self"]),
        (driver.Consumer, "_new_consumer_thread", ["self"]),
        (driver.AIOKafkaConsumerThread, "_create_worker_consumer", ["self", "transport"]),
        (
            driver.AIOKafkaConsumerThread,
            "_fetch_records",
            ["self", "consumer", "active_partitions", "timeout", "max_records"],
        ),
        (base.Consumer, "getmany", ["self", "timeout"]),
        (base.Consumer, "_drain_messages", ["self", "fetcher"]),
        (base.Consumer, "seek_to_committed", ["self"]),
        (base.Consumer, "perform_seek", ["self"]),
        (base.Consumer, "ack", ["self", "message"]),
        (base.Consumer, "on_buffer_drop", ["self", "tp"]),
        (base.Consumer, "_filter_tps_with_pending_acks", ["self", "topics"]),
        (base.Consumer, "_filter_committable_offsets", ["self", "tps"]),
        (fetcher.Fetcher, "fetched_records", ["self", "partitions", "timeout", "max_records"]),
        (fetcher.PartitionRecords, "_consumer_record", ["self", "tp", "record"]),
    ],
)
def test_a_hook_has_the_signature_it_had(owner: Any, name: str, expected: list[str]) -> None:
    assert parameters(getattr(owner, name)) == expected


@pytest.mark.parametrize(
    ("function", "uses"),
    [
        (TableManager.on_start, ["sleep(1.0)", "_update_channels", "self.recovery.start"]),
        (Recovery._resume_streams, ["perform_seek", "resume_flow"]),
        (base.Consumer.perform_seek, ["seek_to_committed", "_read_offset", "_committed_offset"]),
        (driver.AIOKafkaConsumerThread.getmany, ["_fetch_records", "_max_poll_records"]),
        (fetcher.Fetcher._proc_fetch_request, ["PartitionRecords("]),
        (fetcher.Fetcher.fetched_records, ["getall", "_records"]),
        (AIOKafkaConsumer.start, ["_fetcher", "_coordinator"]),
        (fetcher.Fetcher.__init__, ["_fetch_task"]),
        (AIOKafkaConnection.send, ["self._writer.write", "except OSError", "CONNECTION_BROKEN"]),
        (GroupCoordinator.__init__, ["_pending_exception", "_coordination_task"]),
        (subscription_state.TopicPartitionState.__init__, ["_position"]),
    ],
)
def test_a_function_that_we_rely_on_still_does_what_we_rely_on(function: Any, uses: list[str]) -> None:
    source = inspect.getsource(function)
    assert [name for name in uses if name not in source] == []


def test_raw_records_replace_the_class_that_the_fetcher_looks_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetcher, "PartitionRecords", fetcher.PartitionRecords)
    raw_records.install()
    assert fetcher.PartitionRecords is raw_records.RawPartitionRecords


class Fetching(BatchConsumer):
    """A consumer whose thread answers when the test says so."""

    should_stop = False

    def __init__(self) -> None:
        self.app = SimpleNamespace(consumer_generation_id=1)
        self.flow_active, self.can_resume_flow = True, asyncio.Event()
        self.answer: asyncio.Future[dict[TP, Fetched]] = asyncio.get_running_loop().create_future()

    def _get_active_partitions(self) -> set[TP]:
        return {TP("samples", 0)}

    async def _getmany(self, active_partitions: Any, timeout: float) -> Any:  # noqa: ASYNC109
        return await self.answer

    async def wait(self, *events: asyncio.Event, **_: Any) -> Any:
        await events[0].wait()


def test_a_fetch_that_a_rebalance_overtakes_is_not_lost() -> None:
    asyncio.run(asyncio.wait_for(_overtake(), 10))


async def _overtake() -> None:
    consumer, tp = Fetching(), TP("samples", 0)
    asked = asyncio.create_task(anext(consumer.getmany(timeout=1.0)))
    await asyncio.sleep(0)
    consumer.flow_active = False  # the partitions are revoked; assigned again, and sought
    consumer.app.consumer_generation_id = 2
    batch = Fetched("samples", 0, 7, 10, 12, (), 0.0)
    consumer.answer.set_result({tp: batch})
    await asyncio.sleep(0.01)
    assert not asked.done(), "the flow is stopped"
    consumer.flow_active = True
    consumer.can_resume_flow.set()
    found, message = await asked
    assert (found, message.value, message.generation_id) == (tp, batch, 2)


class Consumer:
    """aiokafka's consumer as far as the thread looks at it: one partition, one assignment after another."""

    def __init__(self) -> None:
        self.assign(0)

    def assign(self, committed: int) -> None:
        """A rebalance: what is fetched next begins at Kafka's committed offset."""
        self.state = SimpleNamespace(_position=committed)
        assignment = SimpleNamespace(active=True, tps={KEY}, state_value=lambda key: self.state)
        self._subscription = SimpleNamespace(subscription=SimpleNamespace(assignment=assignment))

    def assignment(self) -> set[TopicPartition]:
        return {KEY}

    def seek(self, key: TopicPartition, offset: int) -> None:
        self.state._position = offset

    def resume(self, key: TopicPartition) -> None:
        """Nothing is paused."""

    def fetched(self, count: int) -> dict[TopicPartition, list[Any]]:
        first = self.state._position
        self.state._position += count
        return {KEY: [SimpleNamespace(offset=first + i) for i in range(count)]}


KEY = TopicPartition("t", 0)


def numbered(thread: BatchFetching, consumer: Consumer, count: int) -> list[tuple[int, int, int]]:
    batches = thread._number(consumer, consumer.fetched(count))
    return [(batch.seek, batch.start, batch.stop) for batch in batches.values()]


def test_what_a_new_assignment_fetches_before_it_is_sought_is_nobodys() -> None:
    consumer, thread = Consumer(), object.__new__(BatchFetching)
    thread._stands = {}
    thread._ensure_consumer = lambda: consumer
    asyncio.run(thread.seek_numbered({TP("t", 0): (100, 1)}))
    assert numbered(thread, consumer, 50) == [(1, 100, 150)]
    consumer.assign(committed=120)  # it trails the position
    assert numbered(thread, consumer, 50) == []
    asyncio.run(thread.seek_numbered({TP("t", 0): (150, 2)}))
    assert numbered(thread, consumer, 10) == [(2, 150, 160)]


def test_records_that_are_not_in_their_batchs_range_are_fetched_anew() -> None:
    consumer, thread = Consumer(), object.__new__(BatchFetching)
    thread._stands = {}
    thread._ensure_consumer = lambda: consumer
    asyncio.run(thread.seek_numbered({TP("t", 0): (100, 1)}))
    consumer.state._position = 90
    assert numbered(thread, consumer, 50) == []
    assert numbered(thread, consumer, 50) == [(1, 100, 150)]
