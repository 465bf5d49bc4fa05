"""What happens to topics while a worker runs: partitions are added, a topic is deleted, or made again.

Kafka's fetch protocol, as our client speaks it, names topics and not their ids: one that was deleted and made
again would be read on as if nothing had happened. So the ids are asked for every few seconds.
"""

from __future__ import annotations

import asyncio
from typing import NoReturn

from infra.kafka_admin import KafkaUnavailable
from infra.logs import logger
from streams.group import ModelGroup
from streams.learning_log import LogGone
from streams.model_worker import ModelWorker
from streams.topics import Role, Topics, deleted, made_again

EVERY_SECONDS = 5.0


class TopicWatch:
    """Looks at the topics of a worker's models."""

    def __init__(self, topics: Topics, models: list[ModelWorker], group: ModelGroup) -> None:
        self._topics = topics
        self._models = models
        self._group = group
        self._away = False

    async def run(self) -> NoReturn:
        """Look for ever; raises TopicError or LogGone when a model's topic is not what it was."""
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            try:
                for model in self._models:
                    await self._look(model)
                await self._look_at_group()
            except KafkaUnavailable as error:
                if not self._away:
                    logger().warning("topics cannot be looked at", reason=str(error))
                self._away = True
            else:
                self._away = False

    async def _look_at_group(self) -> None:
        """Partitions that nobody was assigned: the group's leader was replaced before it could see them.

        A static member that comes back takes over its predecessor's assignment without a rebalance, as old as
        that is. If it was the leader, nobody watches for new partitions from then on (KIP-814 mends that for
        clients that speak JoinGroup 9; ours does not). So each looks, and the leader's rejoining rebalances.
        """
        if not self._group.static:
            return
        topics = [model.infos[model.settings.samples] for model in self._models]
        if await self._topics.unassigned(self._group.group_id, topics):
            logger(group=self._group.group_id).info("partitions are assigned to nobody: rejoining")
            await self._group.consumer.rejoin()

    async def _look(self, model: ModelWorker) -> None:
        settings = model.settings
        found = await self._topics.of_models({model.name: settings}, partial=True)
        known = model.infos
        read: list[tuple[Role, str | None]] = [("samples", settings.samples), ("labels", settings.labels)]
        for role, topic in read:
            if topic is None:
                continue
            there = found.get(topic)
            if there is None:
                raise deleted(topic, role)
            if there.topic_id != known[topic].topic_id:
                raise made_again(topic, there.topic_id, known[topic].topic_id, model.name, role)
        log = found.get(settings.learning_log)
        if log is None or log.topic_id != known[settings.learning_log].topic_id:
            again = "" if log is None else " and made again"
            raise LogGone(
                f"learning log {settings.learning_log}: was deleted{again}; "
                f"nothing was overwritten; forget the model: gradstream reset {model.name}"
            )
        before = model.servable()
        model.infos = {**known, **found}
        if model.servable() > before:
            await self._group.serve_more()
