"""Room for a run: what an earlier demo left in this stack goes away, what is somebody else's stays."""

from __future__ import annotations

import redis

from infra.kafka_admin import KafkaAdmin
from infra.local import Status
from infra.redis_store import MODELS, model_key
from infra.settings import KafkaSettings
from streams.demo.config import GROUP, LABELS, MODEL, SAMPLES, TOPICS
from streams.demo.errors import DemoError

KEYS = tuple(model_key(MODEL, part) for part in ("", "tensors", "weights"))
WAITING = model_key(MODEL, "waiting:*")
"""What waits for its label has a key for each partition."""


def make_room(servers: Status, own: bool) -> None:
    """Forget the demo's model, topics and offsets.

    own: whether the demo has run in this folder before. Otherwise nothing is deleted, and DemoError raised
    if there is something. Raises DemoError, too, while a worker runs.
    """
    assert servers.kafka is not None
    assert servers.redis is not None
    with (
        KafkaAdmin(KafkaSettings(bootstrap_servers=servers.kafka)) as admin,
        redis.Redis.from_url(servers.redis, decode_responses=True) as client,
    ):
        topics = admin.describe(TOPICS)
        keys = [key for key in KEYS if client.exists(key)] + sorted(client.scan_iter(WAITING))
        if (topics or keys) and not own:
            found = f"topic {min(topics)}" if topics else f"Redis key {keys[0]}"
            raise DemoError(
                f"{found} in {servers.dir} is there already, and not from a demo; "
                "give the demo a folder of its own with --dir"
            )
        members = admin.group_members(GROUP, SAMPLES) if topics else []
        if members:
            raise DemoError(
                f"a worker reads the flights of an earlier demo in {servers.dir}: {members[0]}; "
                "stop it, then start the demo again"
            )
        for topic in topics:
            admin.delete_topic(topic)
        for topic in (SAMPLES, LABELS):
            admin.delete_group_offsets(GROUP, topic)
        if keys:
            client.delete(*keys)
        client.srem(MODELS, MODEL)
