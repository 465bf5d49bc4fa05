"""The servers of the fault suite are hurt as their names say, and come back."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from infra.redis_store import RedisStore
from infra.settings import load_connections
from infra.store import Checkpoint, StoreUnavailable
from tests.consistency.kafka_cluster import KafkaCluster
from tests.consistency.proxy import Direction, Proxy
from tests.consistency.redis_nodes import RedisNode, RedisSentinels
from tests.waiting import eventually

pytestmark = pytest.mark.integration

PING, PONG = b"PING\r\n", b"+PONG\r\n"


@pytest.fixture
def node(tmp_path: Path) -> Iterator[RedisNode]:
    with RedisNode(tmp_path / "redis") as running:
        yield running


@pytest.fixture
def proxy(node: RedisNode) -> Iterator[Proxy]:
    with Proxy(node.port) as running:
        yield running


def connected(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=0.5)


def asked(connection: socket.socket) -> bytes:
    connection.sendall(PING)
    return connection.recv(100)


# Proxy


def test_a_cut_connection_is_reset_and_a_new_one_is_served(proxy: Proxy) -> None:
    with connected(proxy) as old, connected(proxy) as new:
        assert asked(old) == asked(new) == PONG
        assert proxy.connections == 2
        proxy.cut()
        assert proxy.connections == 0
        with pytest.raises(ConnectionResetError):
            old.recv(1)
    with connected(proxy) as other:
        assert asked(other) == PONG


def test_half_open_connections_old_and_new_are_silent_and_cut_when_it_heals(proxy: Proxy) -> None:
    with connected(proxy) as old:
        assert asked(old) == PONG
        proxy.half_open()
        with connected(proxy) as new:
            for connection in (old, new):
                with pytest.raises(TimeoutError):
                    asked(connection)
            proxy.heal()
            for connection in (old, new):
                with pytest.raises(ConnectionResetError):
                    connection.recv(1)
    with connected(proxy) as other:
        assert asked(other) == PONG


@pytest.mark.parametrize(("swallowed", "arrived"), [("to_server", False), ("to_client", True)])
def test_one_way_swallows_requests_or_answers(
    node: RedisNode, proxy: Proxy, swallowed: Direction, arrived: bool
) -> None:
    with connected(proxy) as connection, node.client() as direct:
        assert asked(connection) == PONG
        proxy.one_way(swallowed)
        connection.sendall(b"SET k v\r\n")
        with pytest.raises(TimeoutError):
            connection.recv(1)
        assert direct.exists("k") == arrived
        proxy.heal()
        with pytest.raises(ConnectionResetError):
            connection.recv(1)


def test_a_delay_counts_in_both_directions(proxy: Proxy) -> None:
    with connected(proxy) as connection:
        assert asked(connection) == PONG
        proxy.delay(0.1)
        start = time.monotonic()
        assert asked(connection) == PONG
        assert time.monotonic() - start >= 0.2
        proxy.heal()
        assert asked(connection) == PONG


def test_a_proxy_that_refuses_takes_no_new_connection_until_it_heals(proxy: Proxy) -> None:
    with connected(proxy) as old:
        assert asked(old) == PONG
        proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            connected(proxy)
        assert asked(old) == PONG
        proxy.heal()
        with connected(proxy) as new:
            assert asked(new) == PONG


def test_a_proxy_carries_megabytes_unchanged(proxy: Proxy, node: RedisNode) -> None:
    blob = os.urandom(5_000_000)
    with redis.Redis("127.0.0.1", proxy.port) as through, node.client() as direct:
        through.set("blob", blob)
        assert direct.get("blob") == blob == through.get("blob")


# Redis


@pytest.mark.parametrize(
    ("how", "answer"),
    [
        ("oom", "command not allowed when used memory > 'maxmemory'"),
        ("misconf", "MISCONF Redis is configured to save RDB snapshots"),
        ("readonly", "You can't write against a read only replica"),
    ],
)
def test_redis_refuses_writes_and_answers_reads_until_it_accepts(
    node: RedisNode, how: str, answer: str
) -> None:
    with node.client() as client:
        client.set("k", "before")
        node.refuse(how)
        with pytest.raises(redis.ResponseError, match=answer):
            client.set("k", "refused")
        assert client.get("k") == b"before"
        node.accept()
        client.set("k", "after")
        assert client.get("k") == b"after"


def test_redis_comes_back_with_all_it_acknowledged_or_without_its_last_seconds(node: RedisNode) -> None:
    with node.client() as client:
        client.set("k", "old")
        node.remember()
        client.set("k", "new")
        node.kill()
        with pytest.raises(redis.ConnectionError):
            client.get("k")
        node.start()
        assert client.get("k") == b"new"
        node.rewind()
        assert client.get("k") == b"old"
        node.empty()
        assert client.get("k") is None


def test_a_paused_redis_takes_connections_and_is_silent(node: RedisNode) -> None:
    with node.client(timeout=0.3) as client:
        node.pause()
        with pytest.raises(redis.TimeoutError):
            client.ping()
        node.resume()
        assert eventually(lambda: bool(client.ping()))


async def saved(store: RedisStore, offset: int) -> str:
    """The store's answer, or why there is none."""
    text = {"log_offset": str(offset), "log_topic_id": "t", "digest": "d", "spec": "{}"}
    try:
        return await store.save("m", Checkpoint(text, {"w": b"x"}, {}, None))
    except StoreUnavailable as error:
        return str(error)


@pytest.mark.slow
def test_after_a_sentinel_failover_a_store_writes_to_the_new_master(tmp_path: Path) -> None:
    with RedisSentinels(tmp_path) as servers:
        (tmp_path / "x.toml").write_text(servers.settings)
        settings = load_connections(tmp_path / "x.toml", env={}).redis

        async def until_saved(store: RedisStore, offset: int) -> None:
            deadline = time.monotonic() + 30
            while (answer := await saved(store, offset)) != "saved":
                assert answer.startswith("Redis at master 'gradstream-test' of the sentinels 127.")
                assert time.monotonic() < deadline, answer
                await asyncio.sleep(0.1)

        async def main() -> None:
            store = RedisStore.from_settings(settings)
            try:
                for offset in (1, 11):
                    await until_saved(store, offset)  # Sentinels cut connections while they change roles
                    before = servers.master_port()
                    servers.kill_master()
                    await until_saved(store, offset + 1)
                    assert servers.master_port() != before
                    with servers.master().client() as client:
                        assert client.hget("gradstream:{m}", "log_offset") == str(offset + 1).encode()
                    servers.restart_killed()
            finally:
                await store.close()

        asyncio.run(main())


# Kafka


# By librdkafka: kafka-python leaves sockets open where a connection is refused.


def create(kafka: KafkaCluster, topic: str) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    admin.create_topics([NewTopic(topic, num_partitions=1)])[topic].result(30)


def produce(bootstrap: str, topic: str, values: range) -> None:
    """Returns when all values are acknowledged by the copies in sync."""
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "log_level": 0})
    acknowledged: list[int] = []

    def delivered(error: KafkaError | None, message: Message) -> None:
        assert error is None, error
        acknowledged.append(message.offset())

    for value in values:
        producer.produce(topic, str(value), on_delivery=delivered)
    producer.flush(60)
    assert len(acknowledged) == len(values)


def consumed(bootstrap: str, topic: str, count: int, seconds: float = 30) -> list[int]:
    """The first values of the topic, at most `count`."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "none", "log_level": 0})
    try:
        consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
        found: list[int] = []
        deadline = time.monotonic() + seconds
        while len(found) < count and time.monotonic() < deadline:
            message = consumer.poll(0.2)
            if message is not None and message.error() is None:
                found.append(int(message.value()))
        return found
    finally:
        consumer.close()


@pytest.mark.slow
def test_a_killed_broker_comes_back_with_its_data_and_proxied_clients_stay_on_proxies(tmp_path: Path) -> None:
    with KafkaCluster(tmp_path, proxied=True) as kafka:
        create(kafka, "numbers")
        produce(kafka.proxied_bootstrap, "numbers", range(10))
        kafka.kill()
        assert not kafka.alive()
        kafka.start()
        produce(kafka.proxied_bootstrap, "numbers", range(10, 20))
        kafka.restart()
        assert consumed(kafka.bootstrap, "numbers", 20) == list(range(20))
        kafka.proxies[0].half_open()
        assert consumed(kafka.proxied_bootstrap, "numbers", 1, seconds=2) == []
        assert consumed(kafka.bootstrap, "numbers", 20) == list(range(20))
        kafka.proxies[0].heal()
        assert consumed(kafka.proxied_bootstrap, "numbers", 20) == list(range(20))


@pytest.mark.slow
@pytest.mark.skipif("GRADSTREAM_LONG" not in os.environ, reason="three brokers: only with GRADSTREAM_LONG=1")
def test_when_the_leader_dies_another_copy_leads_with_all_that_was_acknowledged(tmp_path: Path) -> None:
    with KafkaCluster(tmp_path, brokers=3) as kafka:
        create(kafka, "numbers")
        produce(kafka.bootstrap, "numbers", range(100))
        assert kafka.isr("numbers") == [0, 1, 2]
        first = kafka.leader("numbers")
        moved = kafka.move_leader("numbers")
        assert moved != first
        assert kafka.leader("numbers") == moved
        kafka.kill(moved)
        assert eventually(lambda: kafka.leader("numbers") not in (moved, -1))
        produce(kafka.bootstrap, "numbers", range(100, 200))
        assert kafka.isr("numbers") == sorted({0, 1, 2} - {moved})
        kafka.start(moved)
        assert eventually(lambda: kafka.isr("numbers") == [0, 1, 2])
        assert consumed(kafka.bootstrap, "numbers", 200) == list(range(200))
