"""The Faust app of a worker: one agent a samples topic, on the batch transport."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import faust
from aiokafka.errors import KafkaError
from faust.types import TP

from infra.kafka_errors import reason
from infra.settings import Settings
from models.errors import GradstreamError
from streams.broken_connections import fetching_ended
from streams.group import ModelGroup, heartbeat
from streams.model_worker import ModelWorker
from streams.processor import Fetched
from streams.transport import BatchConsumer, BatchSchema, BatchTransport, NoTables

BATCHES_BUFFERED = 2


class GroupFailed(GradstreamError):
    """The worker cannot stay a member of its consumer group."""


class FaustApp(faust.App):  # type: ignore[misc]
    """A Faust app on the batch transport; `group` is the models behind it."""

    logger = logging.getLogger("faust.app")  # mode would name it after this module: the log is ours
    group: ModelGroup

    def _create_directories(self) -> None:
        """None: there are no tables, and nothing of ours is kept in files."""

    async def _on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Faust seeks after an assignment; one of nothing has to be told as well."""
        await super()._on_partitions_assigned(assigned, generation_id)
        if not assigned and not self.should_stop:
            await self.consumer.seek_to_committed()

    def _new_transport(self) -> BatchTransport:
        return BatchTransport(self.conf.broker_consumer, self, loop=self.loop)


def make_app(settings: Settings, group: ModelGroup, models: list[ModelWorker]) -> FaustApp:
    """The app, not started."""
    app = FaustApp(
        group.group_id,
        broker=";".join(f"kafka://{server}" for server in settings.kafka.servers),
        store="memory://",
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        autodiscover=False,
        stream_wait_empty=False,
        stream_buffer_maxsize=BATCHES_BUFFERED,
        broker_session_timeout=settings.session_timeout,
        broker_heartbeat_interval=heartbeat(settings.session_timeout),
        broker_commit_interval=2.0,
        agent_supervisor="mode.supervisors:CrashingSupervisor",
        TableManager=NoTables,
        loop=asyncio.get_running_loop(),
    )
    app.group = group
    for topic, processes in _processes(group, models).items():
        _add_agent(app, topic, processes)
    app.finalize()
    return app


Process = Callable[[Fetched], Awaitable[None]]


def _processes(group: ModelGroup, models: list[ModelWorker]) -> dict[str, Process]:
    """Samples topic → what takes its batches: its model, or all that it has."""
    alone: dict[str, Process] = {model.settings.samples: model.processor.process for model in models}
    return alone | {topic: shared.process for topic, shared in group.shared.items()}


def _add_agent(app: FaustApp, samples: str, process: Process) -> None:
    topic = app.topic(samples, schema=BatchSchema(), allow_empty=True)

    @app.agent(topic, name=f"samples.{samples}", concurrency=1)  # type: ignore[untyped-decorator]
    async def learn(stream: Any) -> None:
        async for event in stream.noack().events():
            try:
                await process(event.value)
            except Exception as error:
                app.group.fail(error)
                raise
            event.ack()


def failure(app: FaustApp) -> BaseException | None:
    """Why the app cannot go on, where nobody else would tell: its own crash, or the group coordinator's."""
    if app.crashed:
        return cannot_stay(app.group.group_id, app.crash_reason)
    batch_consumer: BatchConsumer | None = app.consumer
    consumer = batch_consumer._thread._consumer if batch_consumer is not None else None
    coordinator = getattr(consumer, "_coordinator", None)
    task = getattr(coordinator, "_coordination_task", None)
    error = getattr(coordinator, "_pending_exception", None)
    if error is None and task is not None and task.done() and not task.cancelled():
        error = task.exception()
    error = error or fetching_ended(consumer)
    if error is None:
        return None
    return cannot_stay(app.group.group_id, error)


def cannot_stay(group_id: str, error: BaseException | None) -> BaseException:
    """An error that ended Faust or its consumer, in one line where Kafka's client made it."""
    if error is not None and not isinstance(error, KafkaError):
        return error
    return GroupFailed(f"group {group_id}: {reason(error) if error is not None else 'Faust stopped'}")
