"""The composition root: settings → Kafka, Redis, models → a Faust app that feeds their processors.

The worker's life: start every model (checkpoint, log), then let Faust join the group; run until a signal,
a failure, or, when draining, until all that was there is done; then finish what is in flight, leave the
group, save, close. Stopping takes less than ten seconds.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import signal
import time
from collections.abc import Awaitable, Mapping
from typing import Any

import faust
from faust.types import TP

from infra.kafka_admin import KafkaAdmin, TopicInfo
from infra.kafka_clients import aiokafka_config
from infra.logs import logger
from infra.redis_store import RedisStore
from infra.settings import ModelSettings, Settings
from infra.store import StoreError
from models.errors import GradstreamError
from streams import raw_records
from streams.learning_log import LogError
from streams.log_format import PartitionId
from streams.model_worker import ModelWorker
from streams.progress import Progress
from streams.transport import BatchConsumer, BatchSchema, BatchTransport, NoTables

BATCHES_BUFFERED = 4
FINISH_SECONDS = 5.0
LEAVE_SECONDS = 3.0


class WorkerError(GradstreamError):
    """The worker cannot start or go on."""


class FaustApp(faust.App):  # type: ignore[misc]
    """A Faust app on the batch transport; `group` is the worker behind it."""

    logger = logging.getLogger("faust.app")  # mode would name it after this module: the log is ours
    group: Worker

    def _new_transport(self) -> BatchTransport:
        return BatchTransport(self.conf.broker_consumer, self, loop=self.loop)


class Worker:
    """All models of one process in one consumer group."""

    def __init__(self, settings: Settings, names: list[str], group_id: str, drain: bool = False) -> None:
        self.settings = settings
        self.group_id = group_id
        self.drain = drain
        self.log = logger(group=group_id)
        self.models: dict[str, ModelWorker] = {}
        self._by_topic: dict[str, ModelWorker] = {}
        self._names = names
        self._stop: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._faust: FaustApp | None = None
        self._assigned: set[TP] = set()
        self._joined = asyncio.Event()
        self._holes: set[asyncio.Task[None]] = set()

    # Life

    async def run(self) -> None:
        """Work until told to stop; raises what made it stop otherwise."""
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, self.stop, name.name)
        progress = Progress(self)
        try:
            await self._until_stopped(self._start())
            if not self._stop.done():
                progress.start()
                gc.collect()
                gc.freeze()
                gc.set_threshold(100_000, 20, 50)
                await self._until_stopped(self._drained() if self.drain else asyncio.sleep(float("inf")))
            reason = self._stop.result() if self._stop.done() else "drained"
            await self._finish(reason)
        finally:
            progress.stop()
            await self._close()

    def stop(self, reason: str) -> None:
        """End the worker in good order."""
        if not self._stop.done():
            self._stop.set_result(reason)

    def fail(self, error: BaseException) -> None:
        """End the worker with an error."""
        if not self._stop.done():
            self._stop.set_exception(error)

    async def _until_stopped(self, work: Awaitable[Any]) -> None:
        """Wait for `work`, a stop or a failure, whichever comes first; raises failures."""
        task = asyncio.ensure_future(work)
        stop: asyncio.Future[Any] = self._stop
        await asyncio.wait([task, stop], return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if self._stop.done():
            self._stop.result()
        elif not task.cancelled():
            task.result()

    async def _start(self) -> None:
        raw_records.install()
        self._check_topics_unique()
        topics = await asyncio.to_thread(self._describe)
        redis = self.settings.redis
        self._store = RedisStore(redis.url.get_secret_value(), redis.timeout)
        for name in self._names:
            model = ModelWorker(name, self.settings, topics, self._store)
            self.models[name] = model
            self._by_topic[model.settings.samples] = model
            await model.start(self._seek)
            model.processor.failed.add_done_callback(self._processor_failed)
            self._tell(model)
        self._faust = self._make_faust()
        await self._faust.start()
        self._watchdog = asyncio.create_task(self._watch())

    async def _finish(self, reason: str) -> None:
        """Stop fetching, let what is in flight come back, leave the group, save."""
        begun = time.monotonic()
        if self._faust is not None and self._faust.consumer is not None:
            self._faust.consumer.stop_flow()
        for model in self.models.values():
            if hasattr(model, "processor"):
                try:
                    await asyncio.wait_for(model.processor.drained(), FINISH_SECONDS - (time.monotonic() - begun))
                except TimeoutError:
                    model.log.warning("stopping with batches in flight: their samples will be processed again")
        if self._faust is not None:
            await asyncio.wait({asyncio.ensure_future(self._faust.stop())}, timeout=LEAVE_SECONDS)
        for model in self.models.values():
            if hasattr(model, "processor"):
                await self._last_save(model, reason)
        self._report()

    async def _last_save(self, model: ModelWorker, reason: str) -> None:
        try:
            await asyncio.wait_for(model.save(), timeout=5)
        except (StoreError, TimeoutError) as error:
            model.log.warning("the last checkpoint was not saved; the log has everything", reason=str(error))
        model.log.info(
            "stopped",
            reason=reason,
            log_offset=model.fold.log_offset,
            samples_learned=model.fold.samples_learned,
            digest=model.checkpoints.digest(),
            samples_redone=model.view.samples_redone,
        )

    async def _close(self) -> None:
        if hasattr(self, "_watchdog"):
            self._watchdog.cancel()
        if self._faust is not None and not self._faust.should_stop:
            await asyncio.wait({asyncio.ensure_future(self._faust.stop())}, timeout=LEAVE_SECONDS)
        for model in self.models.values():
            await model.stop()
        if hasattr(self, "_store"):
            await self._store.close()

    # What the transport asks (streams.transport.Group)

    def consumer_config(self) -> dict[str, Any]:
        """See Group."""
        settings = self.settings
        return {
            **self._clients(),
            "group_id": self.group_id,
            "group_instance_id": settings.group_instance_id,
            "session_timeout_ms": int(settings.session_timeout * 1000),
            "heartbeat_interval_ms": int(_heartbeat(settings.session_timeout) * 1000),
            "rebalance_timeout_ms": 60_000,
            "max_poll_interval_ms": 600_000,
        }

    async def positions(self, assigned: set[TP]) -> Mapping[TP, tuple[int, int]]:
        """See Group. Rules 8, 11, 13 and 14."""
        for model in self.models.values():
            model.processor.release_all()
        positions = {}
        for tp in sorted(assigned):
            model = self._by_topic[tp.topic]
            if tp.partition >= model.servable():
                model.log.warning(
                    "left unread: predictions or dead letters have fewer partitions than samples; "
                    "run `gradstream topics create` and restart",
                    partition=tp.partition,
                )
                continue
            partition = model.partition_id(tp.partition)
            offset = await model.processor.take(partition, lambda: _zero())
            offset = await self._inside(model, partition, offset)
            positions[tp] = (offset, model.processor.stand(partition, offset))
        self._assigned = set(positions)
        self.log.info("assigned", partitions={f"{tp.topic}-{tp.partition}": positions[tp][0] for tp in positions})
        self._joined.set()
        return positions

    def committable(self) -> Mapping[TP, int]:
        """See Group."""
        offsets = {}
        for tp in self._assigned:
            model = self._by_topic[tp.topic]
            offset = model.fold.next.get(model.partition_id(tp.partition))
            if offset is not None:
                offsets[tp] = offset
        return offsets

    def lag(self, model: ModelWorker) -> int | None:
        """Records of the assigned partitions that the fold has not reached; None before the first fetch."""
        behind = 0
        for tp in self._assigned:
            if self._by_topic[tp.topic] is model:
                high = self._consumer().highwater(tp)
                if high is None:
                    return None
                behind += max(0, high - model.fold.next.get(model.partition_id(tp.partition), 0))
        return behind

    def out_of_range(self, partitions: Mapping[TP, int]) -> None:
        """See Group."""

        async def mend() -> None:
            positions = await self.positions(self._assigned | set(partitions))
            await self._consumer().seek_numbered(positions)

        task = asyncio.ensure_future(mend())
        self._holes.add(task)
        task.add_done_callback(self._holes.discard)
        task.add_done_callback(self._processor_failed)

    # Helpers

    async def _inside(self, model: ModelWorker, partition: PartitionId, offset: int) -> int:
        """Rule 13: a position outside the input stops the worker, or is skipped when settings say so."""
        found, start, end = await asyncio.to_thread(self._bounds, partition)
        if found.topic_id != partition.topic_id:
            raise LogError(
                f"samples topic {partition.topic}: was deleted and made again (topic id {found.topic_id}, the "
                f"model learns from {partition.topic_id}); forget the model: gradstream reset {model.name}"
            )
        if start <= offset <= end:
            return offset
        where = f"{partition}: the model's next offset {offset} is outside the topic, which has [{start}, {end})"
        if offset > end or model.settings.on_hole != "skip":
            raise LogError(
                f'{where}; set on_hole = "skip" to go on behind the hole, or gradstream reset {model.name}'
            )
        model.log.warning("skipping a hole in the input", partition=str(partition), start=offset, stop=start)
        reason = {"reason": "deleted from the input topic", "records_at_most": start - offset}
        await model.processor.skip_hole(partition, offset, start, json.dumps(reason).encode())
        return model.fold.next[partition]

    async def _seek(self, partition: PartitionId, offset: int, number: int) -> None:
        await self._consumer().seek_numbered({TP(partition.topic, partition.partition): (offset, number)})

    def _consumer(self) -> BatchConsumer:
        assert self._faust is not None
        consumer: BatchConsumer = self._faust.consumer
        return consumer

    def _clients(self) -> dict[str, Any]:
        return aiokafka_config(self.settings.kafka)

    def _check_topics_unique(self) -> None:
        seen: dict[str, str] = {}
        for name in self._names:
            topic = self.settings.models[name].samples
            if topic in seen:
                raise WorkerError(
                    f"models {seen[topic]} and {name} read the same topic {topic}: run a worker for each "
                    f"(gradstream worker --model {seen[topic]}, gradstream worker --model {name})"
                )
            seen[topic] = name

    def _describe(self) -> dict[str, TopicInfo]:
        """All topics of all models; raises for missing ones."""
        wanted: dict[str, str] = {}
        for name in self._names:
            model = self.settings.models[name]
            for topic in (model.samples, model.predictions, model.dead_letters, model.learning_log):
                wanted[topic] = name
        with KafkaAdmin(self.settings.kafka) as admin:
            found = admin.describe(wanted)
        missing = [topic for topic in wanted if topic not in found]
        if missing:
            raise WorkerError(f"no topic {', '.join(missing)}; make what is missing: gradstream topics create")
        for name in self._names:
            log = found[self.settings.models[name].learning_log]
            if log.partitions != 1:
                raise WorkerError(f"learning log {log.name}: has {log.partitions} partitions, expected 1")
        return found

    def _bounds(self, partition: PartitionId) -> tuple[TopicInfo, int, int]:
        topic, number = partition.topic, partition.partition
        with KafkaAdmin(self.settings.kafka) as admin:
            found = admin.describe([topic])
            if topic not in found:
                raise LogError(f"samples topic {topic}: is not there any more")
            return found[topic], admin.start_offsets(topic)[number], admin.end_offsets(topic)[number]

    def _processor_failed(self, done: asyncio.Future[None]) -> None:
        if not done.cancelled() and (error := done.exception()) is not None:
            self.fail(error)

    def _make_faust(self) -> FaustApp:
        servers = self.settings.kafka.servers
        app = FaustApp(
            self.group_id,
            broker=";".join(f"kafka://{server}" for server in servers),
            store="memory://",
            web_enabled=False,
            topic_disable_leader=True,
            topic_allow_declare=False,
            autodiscover=False,
            stream_wait_empty=False,
            stream_buffer_maxsize=BATCHES_BUFFERED,
            broker_session_timeout=self.settings.session_timeout,
            broker_heartbeat_interval=_heartbeat(self.settings.session_timeout),
            broker_commit_interval=2.0,
            agent_supervisor="mode.supervisors:CrashingSupervisor",
            TableManager=NoTables,
            loop=asyncio.get_running_loop(),
        )
        app.group = self
        for model in self.models.values():
            self._add_agent(app, model)
        app.finalize()
        return app

    def _add_agent(self, app: FaustApp, model: ModelWorker) -> None:
        topic = app.topic(model.settings.samples, schema=BatchSchema(), allow_empty=True)

        @app.agent(topic, name=f"model.{model.name}", concurrency=1)  # type: ignore[untyped-decorator]
        async def learn(stream: Any) -> None:
            async for event in stream.noack().events():
                try:
                    await model.processor.process(event.value)
                except Exception as error:
                    self.fail(error)
                    raise
                event.ack()

    async def _watch(self) -> None:
        """Faust does not notice a group coordinator that failed for good, and its own crash is silent."""
        while True:
            await asyncio.sleep(0.5)
            assert self._faust is not None
            if self._faust.crashed:
                self.fail(self._faust.crash_reason or WorkerError("Faust stopped"))
            thread = self._consumer()._thread if self._faust.consumer is not None else None
            consumer = thread._consumer if thread is not None else None
            coordinator = getattr(consumer, "_coordinator", None)
            task = getattr(coordinator, "_coordination_task", None)
            error = getattr(coordinator, "_pending_exception", None)
            if error is None and task is not None and task.done() and not task.cancelled():
                error = task.exception()
            if error is not None:
                self.fail(WorkerError(f"group {self.group_id}: {type(error).__name__}: {error}"))

    async def _drained(self) -> None:
        """Until every partition of every model's samples topic is folded up to where it ended at the start."""
        ends = {name: await asyncio.to_thread(self._ends, model) for name, model in self.models.items()}
        await self._joined.wait()
        while not all(
            model.fold.next.get(model.partition_id(p), 0) >= end
            for name, model in self.models.items()
            for p, end in ends[name].items()
            if p < model.servable()
        ):
            await asyncio.sleep(0.02)

    def _ends(self, model: ModelWorker) -> dict[int, int]:
        with KafkaAdmin(self.settings.kafka) as admin:
            return admin.end_offsets(model.settings.samples)

    def _tell(self, model: ModelWorker) -> None:
        settings: ModelSettings = model.settings
        model.log.info(
            "worker starts",
            worker=model.worker,
            reads=settings.samples,
            writes=[settings.predictions, settings.dead_letters, settings.learning_log],
            group=self.group_id,
            samples_learned=model.fold.samples_learned,
            begins={str(p): offset for p, offset in sorted(model.fold.next.items(), key=str)},
        )

    def _report(self) -> None:
        """Times for the benchmark, where it asks for them."""
        path = os.environ.get("GRADSTREAM_BENCH_REPORT")
        if path:
            done = next(iter(self.models.values())).processor.throughput
            report = {
                "first_record": done.first_record,
                "last_prediction_acked": done.last_prediction,
                "last_append_acked": done.last_append,
                "samples": done.samples,
            }
            with open(path, "w", encoding="utf-8") as file:
                json.dump(report, file)


async def _zero() -> int:
    """A partition that was added after the model began opens at 0 (rule 14)."""
    return 0


def _heartbeat(session_timeout: float) -> float:
    """Seconds between heartbeats: a rebalance is noticed at the next one, so once a second at least."""
    return min(session_timeout / 6, 1.0)
