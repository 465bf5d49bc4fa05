"""One model in one worker: from checkpoint and log to a running processor, saved regularly.

Start-up follows rules 1, 8 and 17 of the log: load the checkpoint, check that the log is the one that it
stands in, fold the rest, begin the log if it is empty, and only then ask for partitions.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Callable

from aiokafka.errors import KafkaError

from infra.kafka_admin import TopicInfo
from infra.logs import logger
from infra.settings import ModelSettings
from infra.store import CheckpointStore, StoreUnavailable
from models.self_test import self_test_digest, warm_up
from streams.audit import Auditor, wrong_workers
from streams.checkpoints import Checkpoints
from streams.fold import Fold, begun_with, check_genesis, genesis_value
from streams.group_input import Input
from streams.ingest import Ingest
from streams.labels.clients import LateClients
from streams.labels.keeper import Keeper
from streams.labels.messages import LabelIngest
from streams.labels.plain import Rules
from streams.labels.processor import LateProcessor
from streams.labels.view import LateView, new_fold, view_of
from streams.learning_log import LogError, LogGone, LogReader, LogWriter
from streams.log_contract import next_records
from streams.log_format import LogRecord, PartitionId
from streams.native import warm_up as native
from streams.outgoing import Outgoing
from streams.predictions import Output
from streams.processor import Processor
from streams.records import PredictionEncoder
from streams.refusals import Refusals
from streams.topics import Topics, made_again
from streams.verify import fold_to, new_view

NEAR_END_SECONDS = 1.0
AUDIT_SECONDS = 1.0
COMPILES_SECONDS = 3.0
"""Loading compiled kernels takes less."""
LOOK_SECONDS = 5.0
"""How long an emptied Redis stays empty while no record comes."""
CLOSE_SECONDS = 1.5


class ModelWorker:
    """See the module. Made once a worker and model; `start`, then `processor` takes partitions."""

    processor: Processor

    def __init__(
        self,
        name: str,
        settings: ModelSettings,
        infos: dict[str, TopicInfo],
        topics: Topics,
        store: CheckpointStore,
        reader: LogReader,
        writer: LogWriter,
        output: Output,
        another_reader: Callable[[], LogReader],
        late: LateClients | None = None,
    ) -> None:
        """`another_reader`: a second reader of the log, for when the state is in doubt; `late`: what a model
        with a labels topic needs besides.
        """
        self.name = name
        self.settings = settings
        self.started = False
        self.worker = str(uuid.uuid4())
        self.log = logger(model=name)
        self.infos = infos  # streams.topic_watch renews them
        self._topics = topics
        self._store = store
        self._spec = self.settings.spec()
        self._reader = reader
        self._writer = writer
        self._output = output
        self._another_reader = another_reader
        self._late = late
        self._keeper: Keeper | None = None
        self._self_test = ""
        self._tasks: list[asyncio.Task[None]] = []
        self._store_away_since: float | None = None

    @property
    def fold(self) -> Fold:
        """The fold of the log as this worker has read it."""
        return self.processor.fold

    def samples_topic(self) -> TopicInfo:
        """What Kafka says of the samples topic."""
        return self.infos[self.settings.samples]

    def partition_id(self, partition: int) -> PartitionId:
        """The identity of a partition of the samples topic."""
        info = self.samples_topic()
        return PartitionId(info.name, info.topic_id, partition)

    def servable(self) -> int:
        """How many samples partitions have partitions to answer to (rule 14)."""
        topics = [self.settings.predictions, self.settings.dead_letters]
        topics += [] if self.settings.labels is None else [self.settings.labels]
        return min(self.samples_topic().partitions, *(self.infos[topic].partitions for topic in topics))

    async def start(self, input_: Input) -> None:
        """Load, check, fold to the end of the log; raises LogError, GenesisError or StoreError."""
        self._spec = self.settings.spec(begun_with(await self._read_genesis()))
        preparing = asyncio.ensure_future(asyncio.to_thread(self._prepare))
        if not (await asyncio.wait({preparing}, timeout=COMPILES_SECONDS))[0]:
            self.log.info("compiling the kernels of this kind of model, once on this machine: half a minute")
        self._self_test = await preparing
        fold = new_fold(self._spec)
        self.view = view_of(fold, self.worker, self.settings.audit_every)
        log_topic_id = self.infos[self.settings.learning_log].topic_id
        self.checkpoints = Checkpoints(self.name, self._spec, self.view, self._store, log_topic_id)
        self._auditor = Auditor(
            self.name, self.worker, self._store, self._digest_again, self.checkpoints.distrust
        )
        await self._store.register(self.name)
        wrong = wrong_workers(await self._store.unequal(self.name))
        loaded = await self.checkpoints.load(self._self_test, wrong)
        if wrong and not loaded:
            self.log.warning("no checkpoint but that of a wrong worker: folding the log from its start")
        await self._writer.start()
        await self._output.start()
        await self._stand_in_log(fold, loaded)
        await self._fold_to_end(fold)
        self.processor = self._make_processor(input_, log_topic_id)
        self.processor.start()
        self.started = True
        await self._open_all()
        for name, body in (("save", self._save_regularly()), ("audit", self._audit_regularly())):
            task = asyncio.create_task(body, name=f"{name} {self.name}")
            task.add_done_callback(self.processor.check)
            self._tasks.append(task)

    def _make_processor(self, input_: Input, log_topic_id: str) -> Processor:
        outgoing = Outgoing(self.name, self.settings, PredictionEncoder(self.name, self._spec), self._output)
        ingest = Ingest(self.name, self._spec)
        parts = (self.view, ingest, outgoing, self._reader, self._writer, input_.seek, self._auditor.note)
        if self._late is None or not isinstance(self.view, LateView):
            return Processor(*parts)
        self._keeper = Keeper(
            self.name, self._spec, self.view, self._late.store, log_topic_id, self._another_reader
        )
        return LateProcessor(
            *parts,
            keeper=self._keeper,
            labels=lambda arrived: self._late_clients.reader(arrived, input_.out_of_range),
            label_ingest=LabelIngest(self._spec),
            rules=self._rules,
            behind=input_.behind,
            label_topic=self.labels_topic,
        )

    @property
    def _late_clients(self) -> LateClients:
        assert self._late is not None
        return self._late

    def labels_topic(self) -> TopicInfo:
        """What Kafka says of the labels topic of a model that has one."""
        assert self.settings.labels is not None
        return self.infos[self.settings.labels]

    def _rules(self) -> Rules:
        settings = self.settings
        return Rules(
            horizon=round(settings.label_horizon * 1000),
            patience=round(settings.label_patience * 1000),
            negative=settings.on_missing == "negative",
            limit=max(1, settings.waiting_limit // self.samples_topic().partitions),
        )

    async def _read_genesis(self) -> bytes:
        """The body of the log's genesis, from the checkpoint or the log; empty if it has not begun."""
        stored = (await self._store.load_text(self.name)).get("genesis", "")
        if stored:
            return stored.encode()
        reader = self._another_reader()
        try:
            await reader.start()
            start, end = await reader.bounds()
            if start > 0 or end == 0:
                return b""
            reader.stand(0)
            first = await next_records(reader)
            return next((record.value or b"" for record in first if record.kind == "genesis"), b"")
        finally:
            await reader.stop()

    def _prepare(self) -> str:
        """Load the compiled kernels before the first sample needs them; returns the self-test's digest."""
        warm_up(self._spec)
        native.load()
        return self_test_digest(self._spec)

    async def _stand_in_log(self, fold: Fold, loaded: bool) -> None:
        """Rule 17: the checkpoint must stand inside the log, behind the record that it names."""
        topic, offset = self.settings.learning_log, fold.log_offset
        await self._reader.start()
        start, end = await self._reader.bounds()
        forget = f"forget the model: gradstream reset {self.name}"
        if not loaded and start > 0:
            raise LogGone(f"{topic}: begins at offset {start} and Redis has no checkpoint of it; {forget}")
        if offset > end:
            raise LogGone(
                f"{topic}: ends at {end}, before the checkpoint's offset {offset} (truncated?); {forget}"
            )
        if offset < start:
            raise LogGone(f"{topic}: begins at {start}, after the checkpoint's offset {offset}; {forget}")
        self._reader.stand(max(offset - 1, start))
        if offset > start:
            before, *rest = await self._next_run()
            if (before.offset, before.worker, before.seq) != (offset - 1, fold.last_worker, fold.last_seq):
                raise LogGone(f"{topic}: the record at offset {offset - 1} is not the checkpoint's; {forget}")
            self._fold_run(rest)

    async def _fold_to_end(self, fold: Fold) -> None:
        """Fold until the rest of the log is a matter of less than a second (rule 8)."""
        if fold.genesis is None and await self._reader.end() == 0:
            value = genesis_value(self._spec, self._self_test)
            await self._writer.append("genesis", self.worker, self.view.next_seq(), value)
        begun = told = time.monotonic()
        while True:
            since = time.monotonic()
            end = await self._reader.end()
            while fold.log_offset < end:
                self._fold_run(await self._next_run())
                if time.monotonic() - told > 5:
                    told = time.monotonic()
                    self.log.info("folding", log_offset=fold.log_offset, end=end)
            if time.monotonic() - since < NEAR_END_SECONDS:
                break
        if fold.genesis is None:
            raise LogGone(
                f"{self.settings.learning_log}: does not begin with a genesis record; "
                f"forget the model: gradstream reset {self.name}"
            )
        self.log.info("folded", log_offset=fold.log_offset, seconds=round(time.monotonic() - begun, 2))

    def _fold_run(self, run: list[LogRecord]) -> None:
        """Fold a run at start-up; the genesis is checked before anything after it is folded."""
        if self.view.fold.genesis is None:
            for record in run:
                if record.kind == "genesis":
                    check_genesis(record.value or b"", self._spec, self._self_test, self.name)
                    break
        for offset, digest in self.view.fold_run(run).digests:
            self._auditor.note(offset, digest)

    async def _next_run(self) -> list[LogRecord]:
        return await next_records(self._reader)

    async def _open_all(self) -> None:
        """Open every partition there is when the model begins, so that later ones are known to be new."""
        topic_id = self.samples_topic().topic_id
        known = [p for p in self.fold.next if p.topic == self.settings.samples]
        for partition in known:
            if partition.topic_id != topic_id:
                raise made_again(partition.topic, topic_id, partition.topic_id, self.name)
        if not known:
            starts = await self._begin(self.settings.samples)
            labels = self.settings.labels
            label_starts = {} if labels is None else await self._begin(labels)
            for number in range(self.samples_topic().partitions):
                await self.processor.open(self.partition_id(number), starts[number], label_starts.get(number))

    async def _begin(self, topic: str) -> dict[int, int]:
        """Partition → offset at which a model begins that has never read the topic."""
        start = self.settings.start
        if isinstance(start, int):
            return await self._topics.offsets_at(topic, start)
        return await (self._topics.ends if start == "latest" else self._topics.starts)(topic)

    # Saving

    async def save(self, last: bool = False) -> None:
        """Save the fold's state now, unless another worker has another one; raises StoreUnavailable.

        `last`: all of it, also what would be saved a few seconds later.
        """
        if not self._auditor.in_doubt:
            await self.checkpoints.save()
            if self._keeper is not None:
                if last:
                    self._keeper.urgent.set()
                await self._keeper.save(self.worker)
                await self.processor.wake()

    async def _save_regularly(self) -> None:
        """A Redis that is away stops nothing; it is told once, and once more when it is back.

        Raises StoreCorrupt, which ends the worker.
        """
        looked = time.monotonic()
        while True:
            await self._until_next_save()
            try:
                if time.monotonic() - looked > LOOK_SECONDS:
                    looked = time.monotonic()
                    await self.checkpoints.look()
                await self.save()
            except StoreUnavailable as error:
                if self._store_away_since is None:
                    self._store_away_since = time.monotonic()
                    self.log.warning("checkpoints are not saved; learning goes on", reason=str(error))
            else:
                if self._store_away_since is not None:
                    seconds = round(time.monotonic() - self._store_away_since, 1)
                    self.log.info("checkpoints are saved again", away_seconds=seconds)
                    self._store_away_since = None

    async def _until_next_save(self) -> None:
        """Sleep until it is time, or until too much waits in memory for its label."""
        if self._keeper is None:
            await asyncio.sleep(self.settings.save_every)
        else:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._keeper.urgent.wait(), self.settings.save_every)

    # Looking after the fold

    async def _audit_regularly(self) -> None:
        """Tell of refused updates, compare with the other workers; raises Unequal, which ends this one."""
        refusals = Refusals(self.name, self.fold)
        while True:
            await asyncio.sleep(AUDIT_SECONDS)
            refusals.look()
            try:
                await self._auditor.compare()
            except StoreUnavailable:
                pass  # the saver tells of it
            except (KafkaError, LogError) as error:  # asked again in a second; nothing is saved meanwhile
                self.log.warning("the log could not be folded again", reason=str(error))

    async def _digest_again(self, offset: int) -> str | None:
        """The digest of the log folded anew up to `offset`, None where its beginning is gone."""
        self.log.warning("workers differ: folding the log again to see who is right", log_offset=offset)
        view, reader = new_view(self._spec), self._another_reader()
        try:
            await reader.start()
            await fold_to(view, reader, offset)
        except LogGone:
            return None
        finally:
            await reader.stop()
        return view.fold.digest()

    async def stop(self) -> None:
        """End all tasks and connections; does not save."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self.started:
            await self.processor.stop()
        clients = (self._output.stop(), self._writer.stop(), self._reader.stop())
        try:
            await asyncio.wait_for(asyncio.gather(*clients, return_exceptions=True), CLOSE_SECONDS)
        except TimeoutError:
            self.log.warning("the Kafka clients did not close in time")
