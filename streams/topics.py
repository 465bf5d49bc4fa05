"""What a worker asks Kafka about topics: ids, partitions, offsets. Off the event loop, in one line each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

from infra.kafka_admin import KafkaAdmin, TopicInfo
from infra.settings import KafkaSettings, ModelSettings
from models.errors import GradstreamError

T = TypeVar("T")
Role = Literal["samples", "labels"]
"""What a model reads a topic for."""


class TopicError(GradstreamError):
    """A topic is missing, or is not what it has to be."""


@dataclass(frozen=True, slots=True)
class Extent:
    """A topic's id, and the offsets between which each partition has records."""

    topic_id: str
    starts: dict[int, int]
    ends: dict[int, int]


def made_again(topic: str, found: str, known: str, model: str, role: Role = "samples") -> TopicError:
    """A topic of this name is another one than the model learns from."""
    return TopicError(
        f"{role} topic {topic}: was deleted and made again (its id is {found}, the model knows {known}); "
        f"forget the model: gradstream reset {model}"
    )


def deleted(topic: str, role: Role = "samples") -> TopicError:
    """A topic that a running model learns from is not there any more."""
    return TopicError(
        f"{role} topic {topic}: was deleted; make it again, and forget the model that learned from it: "
        "gradstream reset"
    )


def check_equal(samples: TopicInfo, labels: TopicInfo) -> None:
    """Raise TopicError where the key of a sample and of its label may lead to different partitions."""
    if samples.partitions == labels.partitions:
        return
    fewer, most = sorted((samples, labels), key=lambda topic: topic.partitions)
    raise TopicError(
        f"labels topic {labels.name}: has {labels.partitions} partitions, samples topic {samples.name} has "
        f"{samples.partitions}, and they need as many; add partitions to the one with fewer: "
        f"kafka-topics.sh --alter --topic {fewer.name} --partitions {most.partitions}"
    )


class Topics:
    """Questions to one cluster; each raises KafkaUnavailable when it does not answer."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka

    async def of_models(
        self, models: Mapping[str, ModelSettings], partial: bool = False
    ) -> dict[str, TopicInfo]:
        """All topics of all models by name; raises TopicError for one that is missing or unfit.

        `partial`: a missing one is left out instead, and labels may have other partitions than samples: while
        a worker runs, partitions are added to one topic after the other.
        """
        wanted = [topic for model in models.values() for topic in _topics_of(model)]
        found = await self._ask(lambda admin: admin.describe(wanted))
        missing = [topic for topic in wanted if topic not in found]
        if missing and not partial:
            raise TopicError(f"no topic {', '.join(missing)}; make what is missing: gradstream topics create")
        for model in models.values():
            log = found.get(model.learning_log)
            if log is not None and log.partitions != 1:
                raise TopicError(f"learning log {log.name}: has {log.partitions} partitions, expected 1")
            if model.labels is not None and not partial:
                check_equal(found[model.samples], found[model.labels])
        return found

    async def extent(self, topic: str, role: Role = "samples") -> Extent:
        """The topic as it is now, asked over one connection; raises TopicError if it is gone."""

        def ask(admin: KafkaAdmin) -> Extent:
            found = admin.describe([topic])
            if topic not in found:
                raise deleted(topic, role)
            return Extent(found[topic].topic_id, admin.start_offsets(topic), admin.end_offsets(topic))

        return await self._ask(ask)

    async def starts(self, topic: str) -> dict[int, int]:
        """Partition → offset of its first record."""
        return await self._ask(lambda admin: admin.start_offsets(topic))

    async def ends(self, topic: str) -> dict[int, int]:
        """Partition → offset after its last record."""
        return await self._ask(lambda admin: admin.end_offsets(topic))

    async def offsets_at(self, topic: str, milliseconds: int) -> dict[int, int]:
        """Partition → offset of its first record with a timestamp at or after a time, else its end."""
        return await self._ask(lambda admin: admin.offsets_at(topic, milliseconds))

    async def unassigned(self, group: str, found: Iterable[TopicInfo]) -> bool:
        """Whether a settled consumer group has left partitions of these topics to nobody."""
        assigned = await self._ask(lambda admin: admin.assigned(group))
        wanted = ((topic.name, partition) for topic in found for partition in range(topic.partitions))
        return assigned is not None and any(tp not in assigned for tp in wanted)

    async def _ask(self, question: Callable[[KafkaAdmin], T]) -> T:
        def ask() -> T:
            with KafkaAdmin(self._kafka) as admin:
                return question(admin)

        return await asyncio.to_thread(ask)


def _topics_of(model: ModelSettings) -> list[str]:
    own = [model.samples, model.predictions, model.dead_letters, model.learning_log]
    return own if model.labels is None else [*own, model.labels]
