"""The servers of a run: each kind is started when a row first asks for it; a row mends what it breaks."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.consistency import redis_nodes
from tests.consistency.episode import Episode
from tests.consistency.kafka_cluster import KafkaCluster
from tests.consistency.row import Row

BROKERS = {"single": 1, "three": 3}
SETTINGS = {
    "log.cleaner.backoff.ms": 500,  # compaction is seen within a second
    "log.retention.check.interval.ms": 1000,
    "group.initial.rebalance.delay.ms": 0,
}


class Arena:
    """One Kafka and one Redis of each kind, for as long as `stack` is open."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self._servers: dict[str, Any] = {}
        self._episodes = 0

    def episode(self, row: Row, seed: int, long: bool, broken: str = "") -> Episode:
        """A row's run on servers of the kinds that it wants."""
        self._episodes += 1
        folder = self._folder / f"{self._episodes}-{row.name}"
        folder.mkdir()
        kafka = self._server(f"kafka {row.cluster}", lambda path: self._kafka(path, row.cluster))
        redis = self._server(f"redis {row.redis}", lambda path: self._redis(path, row.redis))
        self._mend(kafka, redis)
        return Episode(row, seed, kafka, redis, folder, broken, long)

    @staticmethod
    def _mend(kafka: KafkaCluster, redis: Any) -> None:
        """A row that failed amid its faults leaves the next one nothing to fail of."""
        for node in range(len(kafka.proxies) or 1):
            kafka.resume(node)
            kafka.start(node)
        for proxy in kafka.proxies:
            proxy.heal()
        if isinstance(redis, redis_nodes.RedisNode):
            redis.resume()
            redis.start()
            redis.accept()

    def _server(self, kind: str, make: Any) -> Any:
        if kind not in self._servers:
            path = self._folder / kind.replace(" ", "-")
            path.mkdir()
            self._servers[kind] = self._stack.enter_context(make(path))
        return self._servers[kind]

    def _kafka(self, path: Path, kind: str) -> KafkaCluster:
        return KafkaCluster(path, BROKERS[kind], proxied=kind == "single", settings=SETTINGS)

    def _redis(self, path: Path, kind: str) -> Any:
        return redis_nodes.RedisSentinels(path) if kind == "sentinels" else redis_nodes.RedisNode(path)
