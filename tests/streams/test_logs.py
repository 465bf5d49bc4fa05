"""The contract of a learning log (streams.log_contract), held in memory and on Kafka."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Protocol

import pytest
from kafka import TopicPartition
from kafka.admin import KafkaAdminClient

from infra.kafka_admin import KafkaAdmin
from infra.kafka_clients import aiokafka_config
from infra.settings import KafkaSettings
from streams.learning_log import MAX_RECORD_BYTES, AppendFailed, LogGone, LogReader, LogWriter
from streams.log_contract import Reader, Writer
from streams.log_format import LogRecord, PartitionId, UnknownFormat
from streams.memory_log import MemoryLog, MemoryLogReader, MemoryLogWriter

SOON_MS = 300


class Side(Protocol):
    """One log and those who use it."""

    def reader(self) -> Reader: ...
    def writer(self) -> Writer: ...
    def delete_before(self, offset: int) -> None: ...


@dataclass
class MemorySide:
    log: MemoryLog = field(default_factory=MemoryLog)

    def reader(self) -> Reader:
        return MemoryLogReader(self.log)

    def writer(self) -> Writer:
        return MemoryLogWriter(self.log)

    def delete_before(self, offset: int) -> None:
        self.log.delete_before(offset)


@dataclass
class KafkaSide:
    settings: KafkaSettings
    topic: str = field(default_factory=lambda: f"test-{uuid.uuid4().hex[:12]}.learning-log")

    def __post_init__(self) -> None:
        with KafkaAdmin(self.settings) as admin:
            admin.create(self.topic, 1, config={"max.message.bytes": str(MAX_RECORD_BYTES)})

    def reader(self) -> Reader:
        return LogReader(self.topic, aiokafka_config(self.settings))

    def writer(self) -> Writer:
        return LogWriter(self.topic, aiokafka_config(self.settings))

    def delete_before(self, offset: int) -> None:
        with KafkaAdminClient(bootstrap_servers=self.settings.servers) as admin:
            admin.delete_records({TopicPartition(self.topic, 0): offset})


class Log:
    """What a test is given: a side whose readers and writers are stopped at its end."""

    def __init__(self, side: Side, stack: AsyncExitStack) -> None:
        self.side, self._stack = side, stack

    async def reader(self, offset: int) -> Reader:
        """A reader that stands at `offset`."""
        made = self.side.reader()
        self._stack.push_async_callback(made.stop)
        await made.start()
        made.stand(offset)
        return made

    async def writer(self, records: int = 0) -> Writer:
        """A writer that has appended so many records, numbered by `seq`."""
        made = self.side.writer()
        self._stack.push_async_callback(made.stop)
        await made.start()
        for seq in range(records):
            await made.append("data", "w", seq, b"%d" % seq)
        return made

    async def delete_before(self, offset: int) -> None:
        """Retention takes what is before `offset`."""
        await asyncio.to_thread(self.side.delete_before, offset)


Body = Callable[[Log], Coroutine[Any, Any, None]]
Run = Callable[[Body], None]


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.integration)])
def run(request: pytest.FixtureRequest) -> Run:
    servers = request.getfixturevalue("servers") if request.param == "kafka" else None
    side: Side = (
        MemorySide() if servers is None else KafkaSide(KafkaSettings(bootstrap_servers=servers.kafka))
    )

    def run_body(body: Body) -> None:
        async def main() -> None:
            async with AsyncExitStack() as stack:
                await body(Log(side, stack))

        asyncio.run(main())

    return run_body


async def read(reader: Reader, count: int) -> list[LogRecord]:
    """The next `count` records."""
    found: list[LogRecord] = []
    async with asyncio.timeout(20):
        while len(found) < count:
            found += await reader.run(SOON_MS)
    return found


def seqs(records: list[LogRecord]) -> list[int]:
    return [record.seq for record in records]


def test_what_is_appended_is_read_back_in_order_with_its_headers(run: Run) -> None:
    async def body(log: Log) -> None:
        writer, partition = await log.writer(), PartitionId("t", "id", 3)
        assert await writer.append("genesis", "w", 0, b"{}") == 0
        where = partition.headers()
        assert await writer.append("data", "w", 1, b"\x00\xff", **where, from_=5, to=9) == 1
        assert await writer.append("open", "é", 2, None, **where, next=7) == 2
        first, second, third = await read(await log.reader(0), 3)
        assert (first.offset, first.kind, first.worker, first.seq, first.value) == (
            0,
            "genesis",
            "w",
            0,
            b"{}",
        )
        assert (second.offset, second.kind, second.value) == (1, "data", b"\x00\xff")
        assert (second.partition(), second.number("from"), second.number("to")) == (partition, 5, 9)
        assert (third.offset, third.kind, third.worker, third.value) == (2, "open", "é", None)
        assert third.number("next") == 7

    run(body)


def test_a_run_without_records_is_empty_after_its_time(run: Run) -> None:
    async def body(log: Log) -> None:
        reader = await log.reader(0)
        assert await reader.run(SOON_MS) == []
        await log.writer(1)
        assert seqs(await read(reader, 1)) == [0]
        assert await reader.run(SOON_MS) == []

    run(body)


def test_a_run_that_waits_ends_when_a_record_comes(run: Run) -> None:
    async def body(log: Log) -> None:
        reader, writer = await log.reader(0), await log.writer()
        waiting = asyncio.create_task(reader.run(timeout_ms=60_000))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        await writer.append("data", "w", 0, b"")
        async with asyncio.timeout(20):
            assert seqs(await waiting) == [0]

    run(body)


def test_a_reader_stands_in_the_middle_and_stands_again(run: Run) -> None:
    async def body(log: Log) -> None:
        await log.writer(5)
        reader = await log.reader(3)
        assert seqs(await read(reader, 2)) == [3, 4]
        reader.stand(1)
        assert seqs(await read(reader, 4)) == [1, 2, 3, 4]

    run(body)


def test_bounds_and_end_have_what_was_answered_to_a_writer(run: Run) -> None:
    async def body(log: Log) -> None:
        reader, writer = await log.reader(0), await log.writer()
        assert await reader.bounds() == (0, 0)
        for count in range(1, 4):
            await writer.append("data", "w", count, b"")
            assert await reader.end() == count
        await log.delete_before(2)
        assert await reader.bounds() == (2, 3)

    run(body)


def test_standing_at_the_end_is_standing_in_the_log(run: Run) -> None:
    async def body(log: Log) -> None:
        writer = await log.writer(2)
        reader = await log.reader(2)
        assert await reader.run(SOON_MS) == []
        await writer.append("data", "w", 9, b"")
        assert seqs(await read(reader, 1)) == [9]

    run(body)


@pytest.mark.parametrize("offset", [0, 1, 5], ids=["deleted", "deleted too", "after the end"])
def test_a_position_outside_of_the_log_is_never_reset(run: Run, offset: int) -> None:
    async def body(log: Log) -> None:
        await log.writer(4)
        await log.delete_before(2)
        reader = await log.reader(offset)
        with pytest.raises(LogGone, match=r"learning-log.*gradstream reset"):
            await read(reader, 1)
        with pytest.raises(LogGone):
            await read(reader, 1)
        reader.stand(2)
        assert seqs(await read(reader, 2)) == [2, 3]

    run(body)


def test_a_record_that_is_too_large_fails_and_closes_the_writer(run: Run) -> None:
    async def body(log: Log) -> None:
        writer = await log.writer(1)
        for size in (MAX_RECORD_BYTES + 1, 3 * MAX_RECORD_BYTES):
            with pytest.raises(AppendFailed, match="learning-log"):
                await writer.append("data", "w", 1, bytes(size))
            with pytest.raises(AppendFailed, match="closed"):
                await writer.append("data", "w", 2, b"")
            await writer.start()
        assert await writer.append("data", "w", 3, bytes(MAX_RECORD_BYTES // 2)) == 1
        found = await read(await log.reader(0), 2)
        assert seqs(found) == [0, 3]
        assert len(found[1].value or b"") == MAX_RECORD_BYTES // 2

    run(body)


def test_a_writer_appends_nothing_before_its_start_and_after_its_stop(run: Run) -> None:
    async def body(log: Log) -> None:
        writer = log.side.writer()
        with pytest.raises(AppendFailed, match="closed"):
            await writer.append("data", "w", 0, b"")
        await writer.start()
        await writer.append("data", "w", 1, b"")
        await writer.stop()
        with pytest.raises(AppendFailed, match="closed"):
            await writer.append("data", "w", 2, b"")
        assert seqs(await read(await log.reader(0), 1)) == [1]

    run(body)


def test_what_was_never_started_can_be_stopped_and_stopped_again(run: Run) -> None:
    async def body(log: Log) -> None:
        for made in (log.side.reader(), log.side.writer()):
            await made.stop()
            await made.stop()

    run(body)


def test_another_releases_record_stops_the_reader_and_names_its_offset(run: Run) -> None:
    async def body(log: Log) -> None:
        writer = await log.writer()
        await writer.append("data", "w", 0, b"", format=2)
        with pytest.raises(UnknownFormat, match="offset 0"):
            await read(await log.reader(0), 1)

    run(body)


def test_all_readers_see_the_records_of_all_writers_in_one_order(run: Run) -> None:
    async def body(log: Log) -> None:
        one, two = await log.writer(), await log.writer()
        for seq in range(10):
            await asyncio.gather(one.append("data", "a", seq, b""), two.append("data", "b", seq, b""))
        seen = [await read(await log.reader(0), 20) for _ in range(2)]
        assert [(r.offset, r.worker, r.seq) for r in seen[0]] == [
            (r.offset, r.worker, r.seq) for r in seen[1]
        ]
        assert [r.offset for r in seen[0]] == list(range(20))
        for worker in "ab":
            assert [r.seq for r in seen[0] if r.worker == worker] == list(range(10))

    run(body)
