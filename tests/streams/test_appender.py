"""A log that takes no records: waited for, and not for ever; smaller records where it wants them."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import numpy as np
import pytest

from models.model import Model
from models.rows import Rows
from models.spec import FeatureSpec, ModelSpec, NumericFeature
from streams import appender
from streams.appender import Appender
from streams.changes import Changes
from streams.data_codec import DataCodec
from streams.fold import Fold
from streams.learning_log import AppendFailed, LogError, LogGone
from streams.log_format import MAX_DATA_BYTES, PartitionId
from streams.memory_log import MemoryLog, MemoryLogWriter
from streams.view import Batch, View

SPEC = ModelSpec(task="regression", features=FeatureSpec(numeric=(NumericFeature("a"),)))
PARTITION = PartitionId("t", "id", 0)


class MoodyWriter(MemoryLogWriter):
    """Fails its first appends in a given way."""

    def __init__(self, log: MemoryLog, failures: int, too_large: bool = False) -> None:
        super().__init__(log)
        self.failures, self.too_large, self.starts = failures, too_large, 0

    async def start(self) -> None:
        self.starts += 1
        await super().start()

    async def append(self, *args: Any, **headers: Any) -> int:
        if self.failures:
            self.failures -= 1
            await self.stop()
            raise AppendFailed("log: NoSuchLuck", self.too_large)
        return await super().append(*args, **headers)


def rows(n: int) -> Rows:
    return Rows(
        numeric=np.ones((n, 1)),
        indptr=np.zeros(n + 1, dtype=np.int64),
        indices=np.zeros(0, dtype=np.uint32),
        values=np.zeros(0),
        scaled_by=np.zeros(0, dtype=np.int16),
        labels=np.ones(n),
        weights=np.ones(n),
        timestamps=np.zeros(n, dtype=np.int64),
        offsets=np.arange(n, dtype=np.int64),
    )


class Bench:
    """An appender on a log in memory; a failed append drops all pending, as the processor does."""

    def __init__(self, writer: MoodyWriter, alone: bool = False) -> None:
        self.writer = writer
        self.view = View(Fold(Model(SPEC), DataCodec(SPEC)), "w")
        self.changes = Changes()
        self.appender = Appender(self.view, writer, self.changes, self._begin_again, lambda: alone)
        self.began_again = 0

    async def _begin_again(self) -> None:
        self.began_again += 1
        self.view.drop_all()
        self.appender.settle()
        await self.appender.begin_again()
        await self.push()

    async def push(self) -> None:
        learned = self.view.predict_and_learn(rows(3))
        batch = Batch(PARTITION, 0, 3, rows(3), learned.served, 0, learned.undo)
        self.view.push(batch)
        self.appender.deliver(batch, asyncio.sleep(0))
        await self.changes.notify()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(appender, "FIRST_WAIT_SECONDS", 0.001)
    monkeypatch.setattr(appender, "GIVE_UP_SECONDS", 0.2)


def play(body: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(body, 10))


def test_a_failed_append_begins_again_with_a_new_producer_until_one_succeeds() -> None:
    async def body() -> None:
        log = MemoryLog()
        bench = Bench(MoodyWriter(log, failures=3))
        await bench.writer.start()
        task = asyncio.create_task(bench.appender.run())
        await bench.push()
        while log.end == 0:
            await asyncio.sleep(0.001)
        assert (bench.began_again, bench.writer.starts, log.end) == (3, 4, 1)
        task.cancel()

    play(body())


def test_when_none_succeeds_for_long_enough_the_worker_ends_with_the_reason() -> None:
    async def body() -> None:
        bench = Bench(MoodyWriter(MemoryLog(), failures=10**9))
        await bench.writer.start()
        task = asyncio.create_task(bench.appender.run())
        await bench.push()
        with pytest.raises(LogError, match=r"appends have failed for .*NoSuchLuck"):
            await task

    play(body())


def test_an_open_in_doubt_is_appended_once_more() -> None:
    async def body() -> None:
        log = MemoryLog()
        bench = Bench(MoodyWriter(log, failures=1))
        await bench.writer.start()
        await bench.appender.append_plain("open", None, **PARTITION.headers(), next=0)
        assert [record.kind for record in log.records(0, log.end)] == ["open"]
        assert bench.began_again == 1

    play(body())


def test_records_become_smaller_where_the_broker_takes_no_larger_ones() -> None:
    async def body() -> None:
        log = MemoryLog()
        bench = Bench(MoodyWriter(log, failures=2, too_large=True))
        await bench.writer.start()
        task = asyncio.create_task(bench.appender.run())
        await bench.push()
        while log.end == 0:
            await asyncio.sleep(0.001)
        assert bench.appender.largest == MAX_DATA_BYTES // 4
        task.cancel()

    play(body())


def test_a_record_that_lands_below_what_was_read_tells_of_a_truncated_log() -> None:
    async def body() -> None:
        log = MemoryLog()
        bench = Bench(MoodyWriter(log, failures=0))
        await bench.writer.start()
        bench.view.fold.log_offset = 7
        with pytest.raises(LogGone, match="appended at offset 0, though all before 7 was read"):
            await bench.appender.append_plain("open", None, **PARTITION.headers(), next=0)

    play(body())


@pytest.mark.parametrize(("alone", "records"), [(True, 1), (False, 3)])
def test_at_a_low_rate_batches_leave_together_unless_other_workers_wait_for_them(
    alone: bool, records: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(appender, "LINGER_SECONDS", 0.3)

    async def body() -> None:
        log = MemoryLog()
        bench = Bench(MoodyWriter(log, failures=0), alone)
        await bench.writer.start()
        task = asyncio.create_task(bench.appender.run())
        for _ in range(3):
            await bench.push()
            await asyncio.sleep(0.02)
        while any(batch.seq is None for batch in bench.view.pending):
            await asyncio.sleep(0.01)
        assert log.end == records
        task.cancel()

    play(body())


def test_enough_samples_wait_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(appender, "LINGER_SECONDS", 5.0)
    monkeypatch.setattr(appender, "ENOUGH", 6)

    async def body() -> None:
        log = MemoryLog()
        bench = Bench(MoodyWriter(log, failures=0), alone=True)
        await bench.writer.start()
        await bench.push()
        await bench.push()
        task = asyncio.create_task(bench.appender.run())
        while log.end == 0:
            await asyncio.sleep(0.001)
        task.cancel()

    asyncio.run(asyncio.wait_for(body(), 2))
