"""Faust's consumer thread without the thread: aiokafka's consumer runs in the worker's own event loop.

Faust gives its consumer a thread, so that an agent that holds the loop up does not keep it from sending
heartbeats. No step of this worker's loop takes long (streams.stride). With a thread each fetch is asked for
through a queue and answered through another: four changes of threads a fetch, and both threads wait for one
interpreter lock.

These private hooks of mode and faust-streaming are used, and held by tests/streams/test_consumer_in_loop.py:
ServiceThread.start, .stop, ._stopped_set, ._default_start and its siblings; QueueServiceThread.call_thread;
ConsumerThread.on_partitions_revoked and .on_partitions_assigned.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from faust.transport.drivers import aiokafka as driver
from faust.types import TP


class ConsumerInLoop(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    """See the module."""

    wait_for_shutdown = False  # of a thread

    def __init__(self, *args: Any, loop: asyncio.AbstractEventLoop, **kwargs: Any) -> None:
        super().__init__(*args, loop=loop, thread_loop=loop, **kwargs)

    async def start(self) -> None:
        """Connect."""
        self._thread_started.set()
        await self._default_start()

    async def call_thread(self, fun: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any) -> Any:
        """Call it here and now."""
        result = fun(*args, **kwargs)
        return await result if asyncio.iscoroutine(result) else result

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Tell Faust."""
        await self.consumer.on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Tell Faust."""
        await self.consumer.on_partitions_assigned(assigned, generation_id)

    def _stopped_set(self) -> None:
        self._stopped.set()

    async def _stop_children(self) -> None:
        await self.on_thread_stop()  # leaves the group
        await self._default_stop_children()

    async def _stop_futures(self) -> None:
        await self._default_stop_futures()

    async def _stop_exit_stacks(self) -> None:
        await self._default_stop_exit_stacks()
