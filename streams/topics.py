"""What a worker asks Kafka about topics: ids, partitions, offsets. Off the event loop, in one line each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TypeVar

from infra.kafka_admin import KafkaAdmin, TopicInfo
from infra.settings import KafkaSettings, ModelSettings
from models.errors import GradstreamError

T = TypeVar("T")


class TopicError(GradstreamError):
    """A topic is missing, or is not what it has to be."""


class Topics:
    """Questions to one cluster; each raises KafkaUnavailable when it does not answer."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka

    async def of_models(self, models: Mapping[str, ModelSettings]) -> dict[str, TopicInfo]:
        """All topics of all models by name; raises TopicError for one that is missing or unfit."""
        wanted = [
            topic
            for model in models.values()
            for topic in (model.samples, model.predictions, model.dead_letters, model.learning_log)
        ]
        found = await self._ask(lambda admin: admin.describe(wanted))
        missing = [topic for topic in wanted if topic not in found]
        if missing:
            raise TopicError(f"no topic {', '.join(missing)}; make what is missing: gradstream topics create")
        for model in models.values():
            log = found[model.learning_log]
            if log.partitions != 1:
                raise TopicError(f"learning log {log.name}: has {log.partitions} partitions, expected 1")
        return found

    async def now(self, topic: str) -> TopicInfo:
        """The topic as it is now; raises TopicError if it is gone."""
        found = await self._ask(lambda admin: admin.describe([topic]))
        if topic not in found:
            raise TopicError(f"samples topic {topic}: is not there any more")
        return found[topic]

    async def starts(self, topic: str) -> dict[int, int]:
        """Partition → offset of its first record."""
        return await self._ask(lambda admin: admin.start_offsets(topic))

    async def ends(self, topic: str) -> dict[int, int]:
        """Partition → offset after its last record."""
        return await self._ask(lambda admin: admin.end_offsets(topic))

    async def _ask(self, question: Callable[[KafkaAdmin], T]) -> T:
        def ask() -> T:
            with KafkaAdmin(self._kafka) as admin:
                return question(admin)

        return await asyncio.to_thread(ask)
