"""What is delivered to a partition arrives once, in order, in few requests; a refusal is told."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
import uvloop
from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic

from streams.lanes import DeliveryFailed
from streams.native.record_set import RecordSet, one_record
from streams.predictions import Output
from tests.servers import Servers

COUNT = 300


def run(body: Coroutine[Any, Any, None]) -> None:
    uvloop.run(asyncio.wait_for(body, 60))


def records(kafka: str, topic: str) -> list[tuple[bytes | None, bytes | None]]:
    consumer = KafkaConsumer(bootstrap_servers=kafka, consumer_timeout_ms=2_000)
    try:
        consumer.assign([TopicPartition(topic, 0)])
        consumer.seek_to_beginning()
        return [(record.key, record.value) for record in consumer]
    finally:
        consumer.close()


def one(i: int) -> RecordSet:
    return one_record(b"k", b"%d" % i, [], 1_700_000_000_000)


@pytest.fixture
def topic(kafka_admin: KafkaAdminClient, unique_name: str) -> str:
    kafka_admin.create_topics([NewTopic(unique_name, 1, 1, topic_configs={"max.message.bytes": "20000"})])
    return unique_name


def test_pieces_of_both_kinds_arrive_once_and_in_the_order_of_the_calls(servers: Servers, topic: str) -> None:
    async def body() -> None:
        output = Output({"bootstrap_servers": servers.kafka})
        await output.start()
        requests: list[int] = []
        send_batch = output._producer.send_batch

        async def counted(batch: Any, *args: Any, **kwargs: Any) -> Any:
            requests.append(batch.record_count())
            return await send_batch(batch, *args, **kwargs)

        output._producer.send_batch = counted
        try:
            await asyncio.gather(
                *(
                    output.deliver(topic, 0, [b"k"], [b"%d" % i])
                    if i % 100 > 60
                    else output.deliver_sets(topic, 0, [one(i)])
                    for i in range(COUNT)
                )
            )
        finally:
            await output.stop()
        assert sum(requests) == COUNT
        assert len(requests) < 20, "those that waited left together"

    run(body())
    assert records(servers.kafka, topic) == [(b"k", b"%d" % i) for i in range(COUNT)]


def test_a_refusal_reaches_who_is_concerned_and_not_those_before(servers: Servers, topic: str) -> None:
    async def body() -> None:
        output = Output({"bootstrap_servers": servers.kafka})
        await output.start()
        try:
            large = one_record(None, b"x" * 30_000, [], 0)
            found = await asyncio.gather(
                output.deliver_sets(topic, 0, [one(1)]),
                output.deliver_sets(topic, 0, [large]),
                return_exceptions=True,
            )
            assert found[0] is None
            assert isinstance(found[1], DeliveryFailed)
            assert str(found[1]).startswith(f"topic {topic}, partition 0: Kafka did not take 1 records: ")
        finally:
            await output.stop()

    run(body())
    assert [value for _, value in records(servers.kafka, topic)] == [b"1"]


def test_who_gives_up_waiting_leaves_the_others_alone(servers: Servers, topic: str) -> None:
    async def body() -> None:
        output = Output({"bootstrap_servers": servers.kafka})
        await output.start()
        try:
            tasks = [asyncio.create_task(output.deliver_sets(topic, 0, [one(i)])) for i in range(10)]
            await asyncio.sleep(0)
            tasks[5].cancel()
            found = await asyncio.gather(*tasks, return_exceptions=True)
            assert [type(one) for one in found] == [type(None)] * 5 + [asyncio.CancelledError] + [
                type(None)
            ] * 4
        finally:
            await output.stop()

    run(body())
    assert [value for _, value in records(servers.kafka, topic)][:5] == [b"%d" % i for i in range(5)]
