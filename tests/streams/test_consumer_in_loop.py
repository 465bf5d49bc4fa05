"""Faust's consumer thread runs without its thread, and the hooks that this takes are where they were."""

from __future__ import annotations

import asyncio
import functools
import inspect
import threading
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from faust.transport import consumer as base
from faust.transport.conductor import Conductor
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from mode import Service
from mode.threads import QueueServiceThread, ServiceThread

from streams.consumer_in_loop import ConsumerInLoop
from streams.transport import BatchConsumer

SAMPLES = TP("samples", 0)


@pytest.mark.parametrize(
    ("function", "uses"),
    [
        (ServiceThread.start, ["_thread_started.set()"]),
        (ServiceThread._serve, ["_default_start()", "on_thread_started()", "_shutdown_thread()"]),
        (
            ServiceThread._shutdown_thread,
            ["on_thread_stop()", "_default_stop_children()", "_default_stop_futures()",
             "_default_stop_exit_stacks()"],
        ),
        (Service.stop, ["_stopped_set()", "_stop_children()", "wait_for_shutdown", "_stop_futures()"]),
        (QueueServiceThread.call_thread, ["fun, *args, **kwargs"]),
        (QueueServiceThread.on_thread_started, ["method_queue.start()"]),
        (driver.AIOKafkaConsumerThread.on_start, ["_create_consumer(", "_consumer.start()"]),
        (driver.AIOKafkaConsumerThread.on_thread_stop, ["_consumer.stop()"]),
        (base.ConsumerThread.on_partitions_revoked, ["threadsafe_partitions_revoked"]),
        (base.ConsumerThread.on_partitions_assigned, ["threadsafe_partitions_assigned"]),
        (Conductor._compile_message_handler, ["_tp_to_callback_lock", "await callback(message)"]),
    ],
)  # fmt: skip
def test_a_function_that_we_rely_on_still_does_what_we_rely_on(function: Any, uses: list[str]) -> None:
    source = inspect.getsource(function)
    assert [name for name in uses if name not in source] == []


def in_loop(test: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    """Runs a test in a loop of its own."""

    @functools.wraps(test)
    def run() -> None:
        asyncio.run(asyncio.wait_for(test(), 20))

    return run


class Client:
    """aiokafka's consumer, as far as it is started, asked and stopped here."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []

    async def start(self) -> None:
        self.note("start")

    async def stop(self) -> None:
        self.note("stop")

    def note(self, what: str) -> None:
        """With the thread that it happens in."""
        self.calls.append((what, threading.get_ident()))


class InLoop(ConsumerInLoop):
    """With a client of ours."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.told: list[Any] = []
        faust_consumer = SimpleNamespace(
            transport=SimpleNamespace(app=SimpleNamespace(conf=SimpleNamespace())),
            on_partitions_revoked=self.revoked,
            on_partitions_assigned=self.assigned,
        )
        super().__init__(faust_consumer, loop=asyncio.get_running_loop())

    def __post_init__(self) -> None:
        """Nothing is asked of Faust's settings."""

    def _create_consumer(self, loop: asyncio.AbstractEventLoop) -> Any:
        return self.client

    async def revoked(self, partitions: set[TP]) -> None:
        self.told.append(("revoked", partitions))

    async def assigned(self, partitions: set[TP], generation_id: int) -> None:
        self.told.append(("assigned", partitions, generation_id))


@in_loop
async def test_client_is_started_asked_and_stopped_in_the_loop_that_learns() -> None:
    client, threads = Client(), threading.active_count()
    consumer = InLoop(client)
    await consumer.start()

    async def ask(what: str) -> str:
        client.note(what)
        return what.upper()

    assert await consumer.call_thread(ask, "first") == "FIRST"
    assert threading.active_count() == threads
    await consumer.stop()
    assert client.calls == [(what, threading.get_ident()) for what in ("start", "first", "stop")]


@in_loop
async def test_stopping_ends_all_that_runs_beside_it() -> None:
    before = asyncio.all_tasks()
    consumer = InLoop(Client())
    await consumer.start()
    await consumer.stop()
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before
    await consumer.stop()
    assert [what for what, _ in consumer.client.calls] == ["start", "stop"]


@in_loop
async def test_an_error_of_a_call_is_the_callers() -> None:
    async def refuse() -> None:
        raise LookupError("refused")

    with pytest.raises(LookupError, match="refused"):
        await InLoop(Client()).call_thread(refuse)


@in_loop
async def test_faust_is_told_of_a_rebalance_before_it_goes_on() -> None:
    consumer = InLoop(Client())
    await consumer.on_partitions_revoked({SAMPLES})
    await consumer.on_partitions_assigned({SAMPLES}, 3)
    assert consumer.told == [("revoked", {SAMPLES}), ("assigned", {SAMPLES}, 3)]


class HandsOver(BatchConsumer):
    """A consumer whose agent takes a batch when the test lets it."""

    def __init__(self, room: asyncio.Event) -> None:
        Service.__init__(self)
        self.suspend_flow = asyncio.Event()
        self.taken: list[Any] = []
        self._room = room

    async def callback(self, message: Any) -> None:
        await self._room.wait()
        await asyncio.sleep(0)
        self.taken.append(message)


async def handed_over(consumer: HandsOver, message: str) -> asyncio.Task[None]:
    task = asyncio.create_task(consumer._hand_over(message))
    for _ in range(10):
        await asyncio.sleep(0)
    return task


@in_loop
async def test_an_agent_with_room_gets_a_batch() -> None:
    room = asyncio.Event()
    room.set()
    consumer = HandsOver(room)
    assert (await handed_over(consumer, "batch")).done()
    assert consumer.taken == ["batch"]


@in_loop
async def test_an_agent_without_room_gets_a_batch_when_it_has_some() -> None:
    room = asyncio.Event()
    consumer = HandsOver(room)
    task = await handed_over(consumer, "batch")
    assert not task.done()
    assert not consumer.taken
    room.set()
    await asyncio.wait_for(task, 5)
    assert consumer.taken == ["batch"]


@in_loop
async def test_a_batch_that_waits_when_the_flow_stops_is_dropped() -> None:
    room = asyncio.Event()
    consumer = HandsOver(room)
    task = await handed_over(consumer, "batch")
    consumer.suspend_flow.set()
    await asyncio.wait_for(task, 5)
    room.set()
    await asyncio.sleep(0.01)
    assert not consumer.taken
