"""A worker's life: start every model, join the group, run, finish what is in flight, leave, save, close.

It runs until a signal, a failure, or, when draining, until all that was there is done. Stopping takes less
than ten seconds.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import os
import signal
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pyarrow
from aiokafka.errors import KafkaError

from infra.settings import Settings
from infra.store import CheckpointStore, StoreError
from streams.faust_app import FaustApp, cannot_stay, failure, make_app
from streams.group import ModelGroup
from streams.labels.processor import LateProcessor
from streams.model_worker import ModelWorker
from streams.progress import Progress
from streams.shared_topic import MakeReader
from streams.topic_watch import TopicWatch
from streams.topics import Topics

FINISH_SECONDS = 3.5
LEAVE_SECONDS = 1.5
SAVE_SECONDS = 2.0
END_SECONDS = 1.9  # more than CLOSE_SECONDS of model_worker; less than ten in all, with and_leave
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of malloc.h


class Worker:
    """All models of one process in one consumer group."""

    def __init__(
        self,
        settings: Settings,
        models: list[ModelWorker],
        group_id: str,
        topics: Topics,
        store: CheckpointStore,
        make_reader: Callable[[str], MakeReader],
        drain: bool = False,
    ) -> None:
        """`make_reader`: makes readers of a topic, for models that do not go with the others of it."""
        self.models = models
        self.group = ModelGroup(group_id, settings, topics, models, self.fail)
        self._settings = settings
        self._topics = topics
        self._store = store
        self._drain = drain
        self._make_reader = make_reader
        self._stop: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._faust: FaustApp | None = None
        self._watchdogs: list[asyncio.Task[None]] = []

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
                await self._until_stopped(self._drained() if self._drain else asyncio.Event().wait())
            await self._finish(self._stop.result() if self._stop.done() else "drained")
        finally:
            progress.stop()
            closing = asyncio.ensure_future(self._close())
            if (await asyncio.wait({closing}, timeout=END_SECONDS))[0]:
                closing.result()  # else a client does not let go: the process ends without it

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
        for model in self.models:
            await model.start(self.group.input(model.name))
            model.processor.failed.add_done_callback(self.group.failed)
            self._tell(model)
        self.group.share(self._make_reader)
        self._faust = make_app(self._settings, self.group, self.models)
        self.group.consumer = self._faust.consumer
        _tune_memory()
        self._watch_over("watchdog", self._watch(self._faust))
        try:
            await self._faust.start()
        except KafkaError as error:
            raise cannot_stay(self.group.group_id, error) from error
        self._watch_over("topic watch", TopicWatch(self._topics, self.models, self.group).run())

    def _watch_over(self, name: str, body: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(body, name=name)
        task.add_done_callback(self.group.failed)
        self._watchdogs.append(task)

    async def _watch(self, faust_app: FaustApp) -> None:
        while True:
            await asyncio.sleep(0.5)
            if (error := failure(faust_app)) is not None:
                self.fail(error)

    async def _drained(self) -> None:
        """Until every samples topic is folded up to where it ended when this began."""
        ends = {model.name: await self._topics.ends(model.settings.samples) for model in self.models}
        labels = {
            model.name: await self._topics.ends(model.settings.labels)
            for model in self.models
            if model.settings.labels is not None
        }
        await self.group.joined.wait()
        for model in self.models:
            for partition, end in ends[model.name].items():
                if partition < model.servable():
                    await model.processor.folded(model.partition_id(partition), end)
            for partition, end in labels.get(model.name, {}).items():
                if partition < model.servable() and isinstance(model.processor, LateProcessor):
                    await model.processor.labels_folded(model.partition_id(partition), end)

    async def _finish(self, reason: str) -> None:
        """Stop fetching, let what is in flight come back, leave the group, save."""
        until = time.monotonic() + FINISH_SECONDS
        if self._faust is not None:
            self._faust.consumer.stop_flow()
        started = [model for model in self.models if model.started]
        for model in started:
            model.processor.release_all()  # what Faust has queued is left to the next owner
            try:
                await asyncio.wait_for(model.processor.drained(), until - time.monotonic())
            except TimeoutError:
                model.log.warning("stopping with batches in flight: their samples will be processed again")
        await self._leave()
        for model in started:
            await self._last_save(model, reason)
        self._report()

    async def _leave(self) -> None:
        if self._faust is not None and not self._faust.should_stop:
            await asyncio.wait({asyncio.ensure_future(self._faust.stop())}, timeout=LEAVE_SECONDS)

    async def _last_save(self, model: ModelWorker, reason: str) -> None:
        try:
            await asyncio.wait_for(model.save(last=True), timeout=SAVE_SECONDS)
        except (StoreError, TimeoutError) as error:
            model.log.warning("the last checkpoint was not saved; the log has everything", reason=str(error))
        model.log.info(
            "stopped",
            reason=reason,
            log_offset=model.fold.log_offset,
            samples_learned=model.fold.samples_learned,
            digest=model.checkpoints.digest(),
            samples_processed=model.processor.throughput.samples,
            samples_redone=model.view.samples_redone,
            samples_pending=model.processor.pacing.typical,
        )

    async def _close(self) -> None:
        for task in self._watchdogs:
            task.cancel()
        await self._leave()
        await self.group.stop()
        await asyncio.gather(*(model.stop() for model in self.models))
        await self._store.close()

    def _tell(self, model: ModelWorker) -> None:
        settings = model.settings
        model.log.info(
            "worker starts",
            worker=model.worker,
            reads=settings.samples,
            writes=[settings.predictions, settings.dead_letters, settings.learning_log],
            group=self.group.group_id,
            samples_learned=model.fold.samples_learned,
            begins={str(p): offset for p, offset in sorted(model.fold.next.items(), key=str)},
        )

    def _report(self) -> None:
        """Times for the benchmark, where it asks for them."""
        path = os.environ.get("GRADSTREAM_BENCH_REPORT")
        if path and self.models:
            done = self.models[0].processor.throughput
            predicted, appended = self.models[0].processor.last_acknowledged
            report = {
                "first_record": done.first_record,
                "last_prediction_acked": predicted,
                "last_append_acked": appended,
                "samples": done.samples,
                "samples_redone": self.models[0].view.samples_redone,
                "samples_pending": self.models[0].processor.pacing.typical,
                "records_ignored": self.models[0].fold.ignored,
            }
            with open(path, "w", encoding="utf-8") as file:
                json.dump(report, file)


def _tune_memory() -> None:
    """What is alive after the start stays: do not look at it again for garbage, and at the rest seldom.

    Batches are made and dropped thousands of times a second; malloc would give their memory back to the
    system each time, and every new one would fault its pages in again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc's alone
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, 32 * 1024 * 1024)
        mallopt(M_TRIM_THRESHOLD, 128 * 1024 * 1024)
    pyarrow.set_memory_pool(pyarrow.system_memory_pool())
