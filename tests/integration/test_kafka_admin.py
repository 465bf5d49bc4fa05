"""KafkaAdmin against a real broker, and against addresses where none is."""

from __future__ import annotations

import gc
import logging
import re
import socket
import threading
import uuid
from collections.abc import Iterator

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.structs import OffsetAndMetadata

from infra.kafka_admin import KafkaAdmin, KafkaUnavailable
from infra.settings import KafkaSettings
from tests.servers import Servers


@pytest.fixture
def admin(servers: Servers) -> Iterator[KafkaAdmin]:
    with KafkaAdmin(KafkaSettings(bootstrap_servers=servers.kafka)) as connected:
        yield connected


def produce(servers: Servers, topic: str, count: int) -> None:
    producer = KafkaProducer(bootstrap_servers=servers.kafka)
    try:
        for i in range(count):
            producer.send(topic, b"x", partition=i % 2)
        producer.flush()
    finally:
        producer.close()


def test_a_created_topic_is_described_with_its_id_and_partitions(admin: KafkaAdmin, topic_name: str) -> None:
    made = admin.create(topic_name, 3, config={"retention.ms": "60000"})
    assert uuid.UUID(made.topic_id).int
    assert (made.name, made.partitions, made.replication_factor) == (topic_name, 3, 1)
    assert admin.describe([topic_name, f"{topic_name}.none"]) == {topic_name: made}
    assert admin.own_config(topic_name)["retention.ms"] == "60000"
    assert admin.topic_config(topic_name)["cleanup.policy"] == "delete"


def test_creating_a_topic_that_is_there_leaves_it_as_it_is(admin: KafkaAdmin, topic_name: str) -> None:
    made = admin.create(topic_name, 2)
    assert admin.create(topic_name, 5) == made


def test_offsets_of_each_partition(servers: Servers, admin: KafkaAdmin, topic_name: str) -> None:
    admin.create(topic_name, 2)
    assert admin.end_offsets(topic_name) == {0: 0, 1: 0}
    produce(servers, topic_name, 5)
    assert admin.start_offsets(topic_name) == {0: 0, 1: 0}
    assert admin.end_offsets(topic_name) == {0: 3, 1: 2}


def test_a_topic_is_extended_and_its_settings_are_changed_one_by_one(
    admin: KafkaAdmin, topic_name: str
) -> None:
    admin.create(topic_name, 1, config={"retention.ms": "60000"})
    admin.extend(topic_name, 4)
    assert admin.describe([topic_name])[topic_name].partitions == 4
    admin.alter(topic_name, {"max.message.bytes": "2000000"})
    own = admin.own_config(topic_name)
    assert (own["retention.ms"], own["max.message.bytes"]) == ("60000", "2000000")
    assert admin.default_message_bytes() > 0


def test_a_topic_made_again_has_another_id(admin: KafkaAdmin, topic_name: str) -> None:
    first = admin.create(topic_name, 1)
    assert admin.delete_topic(topic_name)
    assert admin.describe([topic_name]) == {}
    assert not admin.delete_topic(topic_name)
    assert admin.create(topic_name, 1).topic_id != first.topic_id


def test_members_of_a_group_are_named_and_keep_it_from_being_deleted(
    servers: Servers, admin: KafkaAdmin, topic_name: str, unique_name: str
) -> None:
    admin.create(topic_name, 1)
    assert admin.group_members(unique_name) == []
    consumer = KafkaConsumer(
        topic_name, bootstrap_servers=servers.kafka, group_id=unique_name, client_id="reader"
    )
    try:
        while not consumer.assignment():
            consumer.poll(timeout_ms=200)
        consumer.commit({TopicPartition(topic_name, 0): OffsetAndMetadata(0, "", -1)})
        (member,) = admin.group_members(unique_name)
        assert re.fullmatch(r"reader \(.+\)", member)
        assert admin.group_members(unique_name, topic_name) == [member]
        assert admin.group_members(unique_name, "another") == []
        with pytest.raises(KafkaUnavailable, match=r"cannot delete consumer group .*stop its members first"):
            admin.delete_group(unique_name)
        with pytest.raises(KafkaUnavailable, match="cannot delete the offsets of consumer group"):
            admin.delete_group_offsets(unique_name, topic_name)
    finally:
        consumer.close()
    assert admin.group_offsets(unique_name, topic_name) == {0: 0}
    assert admin.delete_group_offsets(unique_name, topic_name) == 1
    assert admin.delete_group_offsets(unique_name, topic_name) == 0
    admin.delete_group(unique_name)
    assert not admin.delete_group(unique_name)


def test_a_missing_topic_is_told_with_the_nearest_name(admin: KafkaAdmin, topic_name: str) -> None:
    admin.create(topic_name, 1)
    with pytest.raises(KafkaUnavailable, match=f"no topic '{topic_name}s'; did you mean '{topic_name}'?"):
        admin.end_offsets(f"{topic_name}s")


@pytest.mark.parametrize("attempt", ["create", "extend", "alter"])
def test_a_refusal_is_one_line_with_the_broker_s_reason(
    admin: KafkaAdmin, topic_name: str, attempt: str
) -> None:
    admin.create(topic_name, 2)
    attempts = {
        "create": lambda: admin.create(f"{topic_name}.2", 1, replication_factor=9),
        "extend": lambda: admin.extend(topic_name, 1),
        "alter": lambda: admin.alter(topic_name, {"retention.ms": "soon"}),
    }
    with pytest.raises(KafkaUnavailable) as caught:
        attempts[attempt]()
    line = str(caught.value)
    assert line.startswith(f"Kafka at {admin.address}: cannot ")
    assert "Request" not in line
    assert "\n" not in line


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken: list[socket.socket] = []

        def accept() -> None:
            while True:
                try:
                    taken.append(server.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)
        for connection in taken:
            connection.close()


def refused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("127.0.0.1:{refused}", "connection refused; check kafka.bootstrap_servers"),
        ("127.0.0.1:{silent}", "does not answer as a Kafka broker with PLAINTEXT"),
        ("no-such-host.invalid:9092", "host no-such-host.invalid is not known"),
    ],
)
# kafka-python leaves the socket of a refused connection to the garbage collector: collected here, by the test
# that makes them, they are nobody else's warning.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_no_broker_is_one_line_with_address_and_reason(
    address: str, reason: str, silent_port: int, capfd: pytest.CaptureFixture[str]
) -> None:
    address = address.format(refused=refused_port(), silent=silent_port)
    with pytest.raises(KafkaUnavailable) as caught:
        KafkaAdmin(KafkaSettings(bootstrap_servers=address))
    assert str(caught.value).startswith(f"Kafka at {address}: ")
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
    del caught
    gc.collect()
    assert capfd.readouterr().err == ""


def test_the_client_s_own_log_is_quiet_unless_it_was_asked_for() -> None:
    from infra.kafka_admin import quiet

    log = logging.getLogger("kafka")
    before = log.level
    try:
        log.setLevel(logging.DEBUG)
        quiet()
        assert log.isEnabledFor(logging.INFO)
        log.setLevel(logging.NOTSET)
        quiet()
        assert not log.isEnabledFor(logging.CRITICAL)
    finally:
        log.setLevel(before)
