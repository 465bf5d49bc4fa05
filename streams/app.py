"""The composition root: settings → Kafka, Redis, models, consumer group → a running worker.

Only here are real adapters put together; everything else is given what it needs.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from infra.kafka_clients import aiokafka_config
from infra.redis_store import RedisStore
from infra.redis_waiting import RedisWaitingStore
from infra.settings import Settings
from streams import broken_connections, raw_records
from streams.labels.clients import LateClients
from streams.learning_log import LogReader, LogWriter
from streams.model_worker import ModelWorker
from streams.native import produce
from streams.predictions import Output
from streams.shared_topic import MakeReader
from streams.topic_reader import TopicReader
from streams.topics import Topics
from streams.worker import Worker


async def run_worker(settings: Settings, model: str | None = None, drain: bool = False) -> None:
    """Run a worker for all models of the settings, or for one in a group of its own, until it is stopped.

    Raises a GradstreamError that says what is wrong, in one line.
    """
    raw_records.install()
    broken_connections.install()
    produce.install()
    chosen = settings.models if model is None else {model: settings.models[model]}
    group_id = settings.group_id if model is None else f"{settings.group_id}.{model}"
    topics = Topics(settings.kafka)
    infos = await topics.of_models(chosen)
    store = RedisStore.from_settings(settings.redis)
    clients = aiokafka_config(settings.kafka)
    models = [
        ModelWorker(
            name,
            one,
            infos,
            topics,
            store,
            LogReader(one.learning_log, clients),
            LogWriter(one.learning_log, clients),
            Output(clients),
            partial(LogReader, one.learning_log, clients),
            None
            if one.labels is None
            else LateClients(RedisWaitingStore(store), partial(TopicReader, one.labels, clients)),
        )
        for name, one in chosen.items()
    ]
    await Worker(settings, models, group_id, topics, store, partial(_reader_of, clients), drain).run()


def _reader_of(clients: dict[str, Any], topic: str) -> MakeReader:
    return partial(TopicReader, topic, clients)
