"""A connection that breaks under a write ends no client: aiokafka hears of it as it expects to."""

from __future__ import annotations

import asyncio

import pytest
import uvloop
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.metadata import MetadataRequest

from streams import broken_connections
from streams.broken_connections import fetching_ended
from streams.learning_log import LogError, LogReader
from tests.servers import Servers


def test_a_write_on_a_connection_just_closed_is_a_connection_error(servers: Servers) -> None:
    broken_connections.install()

    async def body() -> None:
        consumer = AIOKafkaConsumer(bootstrap_servers=servers.kafka)
        await consumer.start()
        try:
            await consumer.topics()
            connection = next(iter(consumer._client._conns.values()))
            transport = connection._writer.transport
            transport.abort()
            await asyncio.sleep(0)  # closed, and the connection has not heard of it yet
            with pytest.raises(RuntimeError, match="handler is closed"):
                transport.write(b"x")
            with pytest.raises(KafkaConnectionError, match="broken: unable to perform operation"):
                await connection.send(MetadataRequest([]))
            assert await consumer.topics() is not None  # over a new connection
        finally:
            await consumer.stop()

    uvloop.run(asyncio.wait_for(body(), 30))


def test_a_reader_whose_client_stopped_fetching_says_so(servers: Servers) -> None:
    async def body() -> None:
        reader = LogReader("nowhere", {"bootstrap_servers": servers.kafka})
        await reader.start()
        try:
            assert fetching_ended(reader._consumer) is None
            reader._consumer.assign([TopicPartition("nowhere", 0)])

            async def fails() -> None:
                raise KafkaConnectionError("gone")

            reader._consumer._fetcher._fetch_task.cancel()
            task = reader._consumer._fetcher._fetch_task = asyncio.ensure_future(fails())
            await asyncio.wait({task})
            with pytest.raises(LogError, match=r"nowhere: the client stopped reading: .*gone"):
                await reader.run()
        finally:
            await reader.stop()

    asyncio.run(asyncio.wait_for(body(), 30))
