"""What the consumer group's transport asks of the models behind it: where to begin, what to commit."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from faust.types import TP

from infra.kafka_clients import aiokafka_config
from infra.logs import logger
from infra.settings import Settings
from streams.group_input import Input
from streams.labels.processor import LateProcessor
from streams.learning_log import LogError
from streams.log_format import PartitionId
from streams.model_worker import ModelWorker
from streams.shared_topic import Lane, MakeReader, SharedTopic
from streams.topics import Extent, Role, Topics, made_again

if TYPE_CHECKING:
    from streams.transport import BatchConsumer


def heartbeat(session_timeout: float) -> float:
    """Seconds between heartbeats: a rebalance is noticed at the next one, so once a second at least."""
    return min(session_timeout / 6, 1.0)


class ModelGroup:
    """The models of one worker as one member of a consumer group (streams.transport.Group)."""

    consumer: BatchConsumer
    """Set once Faust has made it."""

    def __init__(
        self,
        group_id: str,
        settings: Settings,
        topics: Topics,
        models: list[ModelWorker],
        fail: Callable[[BaseException], None],
    ) -> None:
        self.group_id = group_id
        self.fail = fail
        self.joined = asyncio.Event()
        self.log = logger(group=group_id)
        self._settings = settings
        self._topics = topics
        self._models = models
        self._by_topic: dict[str, list[ModelWorker]] = {}
        for model in models:
            self._by_topic.setdefault(model.settings.samples, []).append(model)
        self.shared: dict[str, SharedTopic] = {}
        """Of topics that several models read; made when they have started."""
        self._assigned_by_kafka: set[TP] = set()
        self._assigned: set[TP] = set()  # without those that are left unread
        self._mending: set[asyncio.Task[None]] = set()
        self._one_at_a_time = asyncio.Lock()

    @property
    def static(self) -> bool:
        """Whether this worker is a static member of its group (group_instance_id)."""
        return self._settings.group_instance_id is not None

    def input(self, model: str) -> Input:
        """What a model asks of this group."""
        return Input(partial(self.seek, model), self.behind, self.out_of_range)

    def consumer_config(self) -> dict[str, Any]:
        """See Group."""
        settings = self._settings
        return {
            **aiokafka_config(settings.kafka),
            "group_id": self.group_id,
            "group_instance_id": settings.group_instance_id,
            "session_timeout_ms": int(settings.session_timeout * 1000),
            "heartbeat_interval_ms": int(heartbeat(settings.session_timeout) * 1000),
            "rebalance_timeout_ms": 60_000,
            "max_poll_interval_ms": 600_000,
        }

    async def positions(self, assigned: set[TP]) -> Mapping[TP, tuple[int, int]]:
        """See Group. Rules 8, 11, 13 and 14 of the log."""
        async with self._one_at_a_time:
            self._assigned_by_kafka = set(assigned)
            return await self._positions(assigned)

    def share(self, make_reader: Callable[[str], MakeReader]) -> None:
        """Put models that read one topic on lanes of it; they have started."""
        for topic, models in self._by_topic.items():
            if len(models) > 1:
                make = make_reader(topic)
                lanes = [Lane(topic, model.name, model.processor, make) for model in models]
                self.shared[topic] = SharedTopic(topic, lanes, [lane.processor.ingest for lane in lanes])
                for lane in lanes:
                    lane.start(self.out_of_range)

    async def stop(self) -> None:
        """End the lanes."""
        for shared in self.shared.values():
            for lane in shared.lanes:
                await lane.stop()

    async def _positions(self, assigned: set[TP]) -> Mapping[TP, tuple[int, int]]:
        for model in self._models:
            model.processor.release_all()
        taken: dict[TP, list[ModelWorker]] = {}
        offsets: list[tuple[ModelWorker, TP, int]] = []
        for model in self._models:
            mine = {tp: model.partition_id(tp.partition) for tp in self._servable(model, assigned)}
            found = await model.processor.take(mine.values())
            offsets += [(model, tp, found[partition]) for tp, partition in mine.items()]
            for tp in mine:
                taken.setdefault(tp, []).append(model)
        label_offsets = {(model.name, tp): _label_next(model, tp.partition) for model, tp, _ in offsets}
        # Asked after the folds were read: an end from before could lie below an offset from after.
        extents = {topic: await self._topics.extent(topic, role) for topic, role in _read(offsets).items()}
        for model, tp, offset in offsets:
            partition = model.partition_id(tp.partition)
            await self._inside(model, partition, offset, extents[tp.topic])
            if (at := label_offsets[model.name, tp]) is not None:
                await self._labels_inside(model, partition, at, extents[model.labels_topic().name])
        # Now: another owner may have moved a fold since `take`.
        positions = {tp: self._stand(tp, models) for tp, models in taken.items()}
        for model in self._models:
            owned = [tp.partition for tp, models in taken.items() if model in models]
            model.processor.assigned([model.partition_id(number) for number in owned])
        self._assigned = set(positions)
        self.log.info(
            "assigned", partitions={f"{tp.topic}-{tp.partition}": at for tp, (at, _) in positions.items()}
        )
        self.joined.set()
        return positions

    def _stand(self, tp: TP, models: list[ModelWorker]) -> tuple[int, int]:
        """Let models process a partition from where they are; offset and number of its fetcher's seek."""
        begins, numbers = [], []
        for model in models:
            partition = model.partition_id(tp.partition)
            begins.append(model.fold.next[partition])
            numbers.append(model.processor.stand(partition, begins[-1]))
        if (shared := self.shared.get(tp.topic)) is None:
            return begins[0], numbers[0]
        return shared.stand(tp.partition, begins, [model.name for model in models])

    def _servable(self, model: ModelWorker, assigned: set[TP]) -> list[TP]:
        """The model's partitions of those assigned, without those whose predictions have no place to go."""
        found = []
        for tp in sorted(tp for tp in assigned if tp.topic == model.settings.samples):
            if tp.partition < model.servable():
                found.append(tp)
            else:
                model.log.warning(
                    "left unread: predictions or dead letters have fewer partitions than samples; "
                    "run `gradstream topics create`",
                    partition=tp.partition,
                )
        return found

    def committable(self) -> Mapping[TP, int]:
        """See Group."""
        offsets = {tp: self._next(tp) for tp in self._assigned}
        return {tp: offset for tp, offset in offsets.items() if offset is not None}

    def lag(self, model: ModelWorker) -> int | None:
        """Records of the assigned partitions that the fold has not reached; None before the first fetch."""
        mine = [tp for tp in self._assigned if tp.topic == model.settings.samples]
        highs = [self.consumer.highwater(tp) for tp in mine]
        if any(high is None for high in highs):
            return None
        at = [model.fold.next.get(model.partition_id(tp.partition), 0) for tp in mine]
        return int(sum(max(0, high - offset) for offset, high in zip(at, highs, strict=True)))

    def out_of_range(self) -> None:
        """See Group. The fetcher says it again until it is sought: once is enough."""
        if not self._mending:
            task = asyncio.ensure_future(self._mend())
            self._mending.add(task)
            task.add_done_callback(self._mending.discard)
            task.add_done_callback(self.failed)

    async def serve_more(self) -> None:
        """Take the partitions that were left unread, now that their predictions have a place to go."""
        if self._assigned_by_kafka - self._assigned:
            await self._mend()

    def behind(self, partition: PartitionId, offset: int) -> bool:
        """Whether the broker may have records of an assigned partition at `offset` or after it."""
        high = self.consumer.stable(TP(partition.topic, partition.partition))
        return high is None or offset < high

    async def seek(self, model: str, partition: PartitionId, offset: int, number: int) -> None:
        """Put a model's fetcher of one partition at an offset (streams.processor.Seek)."""
        if (shared := self.shared.get(partition.topic)) is not None:
            shared.lane(model).read_beside(partition.partition, offset)
            return
        await self.consumer.seek_numbered({TP(partition.topic, partition.partition): (offset, number)})

    def failed(self, done: asyncio.Future[None]) -> None:
        """A callback for tasks whose failure ends the worker."""
        if not done.cancelled() and (error := done.exception()) is not None:
            self.fail(error)

    def _next(self, tp: TP) -> int | None:
        offsets = [m.fold.next.get(m.partition_id(tp.partition)) for m in self._by_topic[tp.topic]]
        known = [offset for offset in offsets if offset is not None]
        return min(known) if len(known) == len(offsets) else None

    async def _mend(self) -> None:
        """Take all that is assigned once more, and go on where the fold stands."""
        async with self._one_at_a_time:
            positions = await self._positions(self._assigned_by_kafka)
            await self.consumer.seek_numbered(positions)

    async def _labels_inside(
        self, model: ModelWorker, partition: PartitionId, at: int, extent: Extent
    ) -> None:
        """As `_inside`, of the labels of a late-label model."""
        assert isinstance(model.processor, LateProcessor)
        info, number = model.labels_topic(), partition.partition
        standing = model.processor.fold.standings[partition]
        if extent.topic_id != standing.label_topic_id:
            raise made_again(info.name, extent.topic_id, standing.label_topic_id, model.name, "labels")
        start, end = extent.starts[number], extent.ends[number]
        if start <= at <= end:
            return
        if at > end or model.settings.on_hole != "skip":
            raise _outside(f"{info.name}-{number}", at, start, end, model.name)
        model.log.warning(
            "skipping a hole in the labels", partition=f"{info.name}-{number}", start=at, stop=start
        )
        reason = {"reason": "deleted from the labels topic", "records_at_most": start - at}
        await model.processor.skip_label_hole(partition, at, start, json.dumps(reason).encode())

    async def _inside(self, model: ModelWorker, partition: PartitionId, offset: int, extent: Extent) -> None:
        """Rule 13: a position outside the input stops the worker, or is skipped when settings say so."""
        if extent.topic_id != partition.topic_id:
            raise made_again(partition.topic, extent.topic_id, partition.topic_id, model.name)
        start, end = extent.starts[partition.partition], extent.ends[partition.partition]
        if start <= offset <= end:
            return
        if offset > end or model.settings.on_hole != "skip":
            raise _outside(str(partition), offset, start, end, model.name)
        model.log.warning("skipping a hole in the input", partition=str(partition), start=offset, stop=start)
        reason = {"reason": "deleted from the input topic", "records_at_most": start - offset}
        await model.processor.skip_hole(partition, offset, start, json.dumps(reason).encode())


def _outside(partition: str, offset: int, start: int, end: int, model: str) -> LogError:
    return LogError(
        f"{partition}: the model's next offset {offset} is outside of the topic, which has "
        f'[{start}, {end}); set on_hole = "skip" to go on behind a hole, or forget the model: '
        f"gradstream reset {model}"
    )


def _label_next(model: ModelWorker, number: int) -> int | None:
    """The next offset of a partition's labels; None: the model has none that come late."""
    if not isinstance(model.processor, LateProcessor):
        return None
    return model.processor.fold.standings[model.partition_id(number)].label_next


def _read(offsets: list[tuple[ModelWorker, TP, int]]) -> dict[str, Role]:
    """The topics that are read, and what for."""
    read: dict[str, Role] = {tp.topic: "samples" for _, tp, _ in offsets}
    late = [model for model, _, _ in offsets if model.settings.labels is not None]
    return read | {model.labels_topic().name: "labels" for model in late}
