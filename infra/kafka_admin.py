"""Kafka's administration as gradstream needs it: topics, their settings, offsets, consumer groups.

Every failure is one line that names the address, what happened and what to check; a server that does not
answer costs at most 15 s.
"""

from __future__ import annotations

import difflib
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, TypeVar

from kafka import KafkaAdminClient, TopicPartition
from kafka import errors as kafka_errors
from kafka.admin import ConfigResource, ConfigResourceType

from infra.kafka_clients import kafka_python_config
from infra.kafka_errors import KafkaUnavailable, reason, unreachable

if TYPE_CHECKING:
    from infra.settings import KafkaSettings

__all__ = ["KafkaAdmin", "KafkaUnavailable", "TopicInfo", "quiet"]

BOOTSTRAP_MS = 5_000
REQUEST_MS = 7_000
SETTLE_SECONDS = 10.0
"""How long a change may take to be seen by all: creation, deletion, the first look at a coordinator."""
LATEST, EARLIEST = -1, -2

_SLOW = (
    kafka_errors.KafkaTimeoutError,
    kafka_errors.RequestTimedOutError,
    kafka_errors.KafkaConnectionError,
)
"""Retriable, but the time for an answer is spent."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TopicInfo:
    """A topic that exists; topic_id is the text of its UUID, empty for brokers before 2.8."""

    name: str
    topic_id: str
    partitions: int
    replication_factor: int


def quiet() -> None:
    """Silence kafka-python's log, unless it was given a level: what it says there is raised as well."""
    log = logging.getLogger("kafka")
    if log.level == logging.NOTSET:
        log.setLevel(logging.CRITICAL + 1)


class KafkaAdmin:
    """A connection for administration. A context manager; every method raises KafkaUnavailable."""

    def __init__(self, kafka: KafkaSettings) -> None:
        quiet()
        self._config = kafka_python_config(kafka)
        servers = self._config["bootstrap_servers"]
        self._servers = [servers] if isinstance(servers, str) else list(servers)
        self.address = ",".join(self._servers)
        self._client = KafkaAdminClient.__new__(KafkaAdminClient)
        try:
            self._client.__init__(
                **self._config, bootstrap_timeout_ms=BOOTSTRAP_MS, request_timeout_ms=REQUEST_MS
            )
        except (kafka_errors.KafkaError, OSError, ValueError, AssertionError) as error:
            self._abandon()
            protocol = str(self._config.get("security_protocol", "PLAINTEXT"))
            raise unreachable(self._servers, error, protocol) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _abandon(self) -> None:
        """End the client's thread, which goes on trying for ever after a constructor that failed."""
        if hasattr(self._client, "_net"):
            self._client._closed = False
            self._client.close()

    def close(self) -> None:
        """Give back the connection."""
        self._client.close()

    def version(self) -> str:
        """The broker's version as far as the protocol tells it, as `4.3`."""
        return ".".join(map(str, self._client._manager.broker_version))

    def brokers(self) -> int:
        """How many brokers the cluster has now."""
        with self._errors("cannot describe the cluster"):
            return len(self._client.describe_cluster()["brokers"])

    def default_message_bytes(self) -> int:
        """max.message.bytes of a topic that does not set it."""
        with self._errors("cannot read the settings of the broker"):
            broker = str(self._client.describe_cluster()["brokers"][0]["broker_id"])
            resource = ConfigResource(ConfigResourceType.BROKER, broker)
            found = self._client.describe_configs([resource], config_filter="all")["broker"]
            return int(found[broker]["message.max.bytes"]["value"])

    def describe(self, topics: Iterable[str]) -> dict[str, TopicInfo]:
        """Those of the topics that exist."""
        names = sorted(set(topics))
        if not names:
            return {}
        with self._errors("cannot describe topics"):
            found = self._client.describe_topics(names)
        infos = {}
        for topic in found:
            error = kafka_errors.for_code(topic["error_code"])
            if error is kafka_errors.UnknownTopicOrPartitionError:
                continue
            if error is not kafka_errors.NoError and not topic["partitions"]:
                raise self._failed(f"cannot describe topic {topic['name']}", error())
            replicas = [len(partition["replica_nodes"]) for partition in topic["partitions"]]
            infos[topic["name"]] = TopicInfo(
                topic["name"], str(topic.get("topic_id") or ""), len(replicas), min(replicas, default=0)
            )
        return infos

    def require(self, topic: str) -> TopicInfo:
        """A topic that has to exist; the error names the nearest one that does."""
        found = self.describe([topic]).get(topic)
        if found is not None:
            return found
        with self._errors("cannot list topics"):
            near = difflib.get_close_matches(topic, self._client.list_topics(), n=1)
        hint = f"did you mean '{near[0]}'?" if near else "make it first (gradstream topics create)"
        raise KafkaUnavailable(f"Kafka at {self.address}: no topic '{topic}'; {hint}")

    def start_offsets(self, topic: str) -> dict[int, int]:
        """Partition → offset of the first record that is still there."""
        return self._offsets(topic, EARLIEST)

    def end_offsets(self, topic: str) -> dict[int, int]:
        """Partition → offset that the next record will have."""
        return self._offsets(topic, LATEST)

    def offsets_at(self, topic: str, milliseconds: int) -> dict[int, int]:
        """Partition → offset of the first record whose timestamp is at or after a time, else of the next one.

        milliseconds: since 1970, not negative.
        """
        ends = self.end_offsets(topic)  # asked first: what comes in between is then not passed over
        found = self._offsets(topic, milliseconds)
        return {p: found[p] if found[p] >= 0 else end for p, end in ends.items()}

    def _offsets(self, topic: str, which: int) -> dict[int, int]:
        info = self.require(topic)
        partitions = {TopicPartition(topic, p): which for p in range(info.partitions)}
        with self._errors(f"cannot read the offsets of {topic}"):
            found = self._retried(lambda: self._client.list_partition_offsets(partitions))
        return {tp.partition: int(found[tp].offset) for tp in sorted(found)}

    def create(
        self,
        topic: str,
        partitions: int,
        *,
        replication_factor: int | None = None,
        config: Mapping[str, str] | None = None,
    ) -> TopicInfo:
        """Make a topic and wait until it can be used; one that is there already is left as it is.

        replication_factor None: the broker's default.
        """
        wanted = {
            "num_partitions": partitions,
            "replication_factor": replication_factor or -1,
            "configs": dict(config or {}),
        }
        what = f"cannot create topic {topic}"
        with self._errors(what):
            answer = self._client.create_topics({topic: wanted}, raise_errors=False)["topics"][0]
            error = kafka_errors.for_code(answer["error_code"])
            if error not in (kafka_errors.NoError, kafka_errors.TopicAlreadyExistsError):
                raise self._failed(what, error(answer["error_message"] or error.__name__))
            self._client.wait_for_topics([topic], timeout_ms=int(SETTLE_SECONDS * 1000))
        found: list[TopicInfo] = []  # the broker that is asked now may hear of the topic later

        def known() -> bool:
            found.extend(self.describe([topic]).values())
            return bool(found)

        self._wait(known, what)
        return found[0]

    def extend(self, topic: str, partitions: int) -> None:
        """Give a topic more partitions and wait until they can be used."""
        what = f"cannot extend topic {topic} to {partitions} partitions"
        with self._errors(what):
            answer = self._client.create_partitions({topic: partitions}, raise_errors=False)
            for result in answer.results:
                if result.error_code:
                    error = kafka_errors.for_code(result.error_code)
                    raise self._failed(what, error(result.error_message or error.__name__))
        self._wait(lambda: any(t.partitions >= partitions for t in self.describe([topic]).values()), what)

    def topic_config(self, topic: str) -> dict[str, str]:
        """All settings of a topic as they are in effect, defaults included."""
        resource = ConfigResource(ConfigResourceType.TOPIC, topic)
        with self._errors(f"cannot read the settings of topic {topic}"):
            found = self._client.describe_configs([resource], config_filter="all")
        return {name: str(entry["value"]) for name, entry in found["topic"][topic].items()}

    def own_config(self, topic: str) -> dict[str, str]:
        """The settings that were made on this topic itself."""
        resource = ConfigResource(ConfigResourceType.TOPIC, topic)
        with self._errors(f"cannot read the settings of topic {topic}"):
            found = self._client.describe_configs([resource], config_filter="all")["topic"][topic]
        return {
            name: str(entry["value"])
            for name, entry in found.items()
            if entry["config_source"] == "DYNAMIC_TOPIC_CONFIG"
        }

    def alter(self, topic: str, config: Mapping[str, str]) -> None:
        """Set some of a topic's settings, leave the others."""
        what = f"cannot change the settings of topic {topic}"
        with self._errors(what):
            resource = ConfigResource(ConfigResourceType.TOPIC, topic, dict(config))
            answer = self._client.alter_configs([resource])["topic"][topic]
        if answer != "OK":
            raise self._failed(what, kafka_errors.KafkaError(answer))

    def delete_topic(self, topic: str) -> bool:
        """Delete a topic and wait until it is gone; false when there was none."""
        what = f"cannot delete topic {topic}"
        with self._errors(what):
            try:
                self._client.delete_topics([topic])
            except kafka_errors.UnknownTopicOrPartitionError:
                return False
        self._wait(lambda: not self.describe([topic]), what)
        return True

    def group_members(self, group: str, topic: str | None = None) -> list[str]:
        """Members of a consumer group (with `topic`: that subscribed to it), as `client id (host)`."""
        with self._errors(f"cannot describe consumer group {group}"):
            found = self._retried(lambda: self._client.describe_groups([group]))[group]
        members = []
        for member in found["members"]:
            metadata = member["member_metadata"]
            topics = metadata.get("topics") if isinstance(metadata, dict) else None
            if topic is None or topics is None or topic in topics:
                members.append(f"{member['client_id']} ({str(member['client_host']).lstrip('/')})")
        return members

    def assigned(self, group: str) -> set[TopicPartition] | None:
        """All partitions that a group's members were assigned; None while it rebalances or has none."""
        with self._errors(f"cannot describe consumer group {group}"):
            found = self._retried(lambda: self._client.describe_groups([group]))[group]
        if found["group_state"] != "Stable":
            return None
        return {
            TopicPartition(topic["topic"], partition)
            for member in found["members"]
            if isinstance(member["member_assignment"], dict)
            for topic in member["member_assignment"]["assigned_partitions"]
            for partition in topic["partitions"]
        }

    def delete_group(self, group: str) -> bool:
        """Delete a consumer group without members; false when there was none."""
        what = f"cannot delete consumer group {group}"
        with self._errors(what):
            answer = self._retried(lambda: self._client.delete_groups([group]))[group]
        if answer == "OK" or answer == "GroupIdNotFoundError":
            return bool(answer == "OK")
        raise self._failed(what, getattr(kafka_errors, answer)())

    def group_offsets(self, group: str, topic: str) -> dict[int, int]:
        """Partition → offset that the group committed for the topic; those that it has."""
        with self._errors(f"cannot read the offsets of consumer group {group}"):
            found = self._retried(lambda: self._client.list_group_offsets(group))[group]
        return {
            tp.partition: int(committed.offset)
            for tp, committed in sorted(found.items())
            if tp.topic == topic and committed.offset >= 0
        }

    def delete_group_offsets(self, group: str, topic: str) -> int:
        """Forget what a group committed for one topic; returns for how many partitions."""
        what = f"cannot delete the offsets of consumer group {group} in {topic}"
        committed = [TopicPartition(topic, p) for p in self.group_offsets(group, topic)]
        if not committed:
            return 0
        with self._errors(what):
            answer = self._retried(lambda: self._client.delete_group_offsets(group, committed))
        for error in answer.values():
            if error is not kafka_errors.NoError:
                raise self._failed(what, error())
        return len(committed)

    def _retried(self, call: Callable[[], T]) -> T:
        """A call that a fresh or moving cluster may have to be asked twice, as for a group's coordinator."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            try:
                return call()
            except kafka_errors.KafkaError as error:
                if not error.retriable or isinstance(error, _SLOW) or time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def _wait(self, done: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + SETTLE_SECONDS
        while not done():
            if time.monotonic() > deadline:
                late = kafka_errors.KafkaTimeoutError(f"accepted, but not done after {SETTLE_SECONDS:.0f} s")
                raise self._failed(what, late)
            time.sleep(0.1)

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except (kafka_errors.KafkaError, OSError, ValueError, RuntimeError) as error:
            raise self._failed(what, error) from error

    def _failed(self, what: str, error: Exception) -> KafkaUnavailable:
        return KafkaUnavailable(f"Kafka at {self.address}: {what}: {reason(error)}")
