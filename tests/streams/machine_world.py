"""What surrounds the workers of the machine: clock, input, outputs, learning log and store, all in memory.

Log and store are the product's own in-memory sides, watched. Only the way to Kafka is replaced: fetching
(`Input`) and producing (`MemoryOutput`). Each watcher fails at once when a promise is broken before its eyes.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from copy import deepcopy
from typing import Any, NamedTuple

from infra.memory_store import MemoryStore
from infra.store import Checkpoint, SaveAnswer
from models.rows import Float64, Rows
from streams.lanes import DeliveryFailed
from streams.log_format import LogRecord, parse_record
from streams.memory_log import Append, Headers, MemoryLog, MemoryLogWriter
from tests.streams.machine_contract import PlainFold


class SteppedLoop(asyncio.SelectorEventLoop):
    """An event loop whose time stands still unless it is moved, and that runs until nothing is ready."""

    now = 0.0

    def time(self) -> float:
        """Seconds; see `pass_time`."""
        return self.now

    def run_in_executor(self, executor: Executor | None, func: Callable[..., Any], *args: Any) -> Any:
        """At once: threads would come back whenever they like."""
        done = self.create_future()
        done.set_result(func(*args))
        return done

    def settle(self) -> None:
        """Run until everybody waits for something that only the test can bring."""
        for _ in range(100_000):
            self.call_soon(self.stop)
            self.run_forever()
            if not self._ready:
                return
        raise AssertionError("the workers never come to rest")

    def pass_time(self, seconds: float) -> None:
        """Move the clock; what was to happen until then happens."""
        self.now += seconds
        self.settle()


class RawRecord(NamedTuple):
    """A record of the samples topic (streams.records.Record)."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


class Input:
    """One partition of the samples topic. Offsets without a record are gaps, as compaction leaves them."""

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.end = 0
        self.records: list[RawRecord] = []
        self.labelled: list[int] = []
        self.dead: list[int] = []

    def produce(self, kind: str) -> None:
        """The next offset is a `labelled`, `unlabelled` or `wild` (refused) sample, `garbage` or a `gap`."""
        at, self.end = self.end, self.end + 1
        x = (at * 7 + self.partition) % 11 - 5
        body: dict[str, Any] = {"features": {"x": x, "c": f"c{(at * 5 + self.partition) % 12}"}}
        if kind == "labelled":
            body["label"] = 0.5 * x + at % 3
        elif kind == "wild":
            body["label"] = 1e308
        if kind in ("labelled", "wild"):
            self.labelled.append(at)
        if kind == "garbage":
            self.dead.append(at)
        if kind != "gap":
            value = b"{" if kind == "garbage" else json.dumps(body).encode()
            self.records.append(RawRecord(at, 1_700_000_000_000 + at, None, value))

    def between(self, start: int, stop: int) -> list[RawRecord]:
        """The records of offsets [start, stop)."""
        return [record for record in self.records if start <= record.offset < stop]


class Outbox:
    """All deliveries of predictions and dead letters on their way; held while the test says so."""

    def __init__(self) -> None:
        self.holding = False
        self.held: list[asyncio.Future[None]] = []

    async def carry(self) -> None:
        """One delivery; raises DeliveryFailed."""
        if self.holding:
            answer = asyncio.get_running_loop().create_future()
            self.held.append(answer)
            await answer

    def answer(self, index: int, fail: bool = False) -> None:
        """The answer to a held delivery comes, in whatever order."""
        answer = self.held.pop(index % len(self.held))
        if not answer.done():  # its worker may be gone
            answer.set_exception(DeliveryFailed("no")) if fail else answer.set_result(None)


class MemoryOutput:
    """One worker's producer of predictions and dead letters (streams.predictions.Output)."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self.predicted: defaultdict[tuple[int, int], list[float]] = defaultdict(list)
        """(partition, offset) → acknowledged predictions."""
        self.dead: set[tuple[int, int]] = set()
        """(partition, offset) of acknowledged dead letters."""

    async def start(self) -> None:
        """See Output."""

    async def stop(self) -> None:
        """See Output."""

    async def deliver(
        self,
        topic: str,
        partition: int,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        headers: Sequence[list[tuple[str, bytes]]] | None = None,
    ) -> None:
        """See Output."""
        if not values:
            return
        await self._outbox.carry()
        if headers is not None:
            self.dead |= {(partition, int(dict(each)["__connect.errors.offset"])) for each in headers}
            return
        for value in values:
            body = json.loads(value or b"")
            found = body["prediction"]
            self.predicted[partition, body["offset"]].append(math.nan if found is None else found)


class WatchedWriter(MemoryLogWriter):
    """A writer that remembers what its present producer has sent."""

    def __init__(self, log: MemoryLog) -> None:
        super().__init__(log)
        self.sent: list[LogRecord] = []

    async def stop(self) -> None:
        """The producer is closed: nobody waits for what it has sent."""
        self.sent = []
        await super().stop()


class WatchedLog(MemoryLog):
    """Looks at each record as it leaves its worker, and hands it to the plain fold when it arrives."""

    def __init__(self, plain: PlainFold, inputs: Sequence[Input]) -> None:
        super().__init__()
        self.plain = plain
        self._inputs = inputs
        self.senders: dict[str, tuple[WatchedWriter, MemoryOutput]] = {}
        """Worker → where its records and predictions leave."""
        self.arrived: dict[tuple[str, int], int] = {}
        """Worker and seq → the offset at which the record arrived first."""

    def put(self, key: bytes | None, value: bytes | None, headers: Headers) -> int:
        """See MemoryLog."""
        offset = super().put(key, value, headers)
        record = parse_record(offset, key, value, headers)
        self.arrived.setdefault((record.worker, record.seq), offset)
        self.plain.read(record)
        return offset

    def send(self, append: Append) -> None:
        """See MemoryLog; what is appended has been predicted by the same worker, and acknowledged."""
        record = parse_record(-1, append.key, append.value, append.headers)
        writer, output = self.senders[record.worker]
        writer.sent.append(record)
        if record.kind == "data":
            rows, served = self.plain.codec.decode(record.value)
            self._check_acknowledged(record, output, rows, served)
        super().send(append)

    def _check_acknowledged(
        self, record: LogRecord, output: MemoryOutput, rows: Rows, served: Float64
    ) -> None:
        partition = record.partition().partition
        for offset, prediction in zip(rows.offsets.tolist(), served[:, 0].tolist(), strict=True):
            found = output.predicted[partition, offset]
            wanted = prediction if math.isfinite(prediction) else math.nan
            assert any(one == wanted or (one != one and wanted != wanted) for one in found), (
                f"appended before its prediction was acknowledged: {partition}, {offset}"
            )
        start, stop = record.number("from"), record.number("to")
        dead = {(partition, at) for at in self._inputs[partition].dead if start <= at < stop}
        assert dead <= output.dead, "appended before its dead letters were acknowledged"
        assert len(dead) == record.number("dead_letters")


class WatchedStore(MemoryStore):
    """A store that never goes back by itself; the test may lose it, or put it back to an earlier save."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[dict[str, Checkpoint]] = []
        self.changed = False

    async def save(self, model: str, checkpoint: Checkpoint) -> SaveAnswer:
        """See CheckpointStore."""
        before = self._offset(model)
        answer = await super().save(model, checkpoint)
        assert self._offset(model) >= before, "a save moved the store back"
        if answer == "saved":
            self.kept.append(deepcopy(self._checkpoints))
            self.changed = True
        return answer

    def _offset(self, model: str) -> int:
        found = self._checkpoints.get(model)
        return -1 if found is None else found.log_offset

    def rewind(self, index: int) -> None:
        """As it was `index` saves ago: a Redis that lost its last seconds."""
        self._checkpoints = deepcopy(self.kept[-1 - index % len(self.kept)])

    def lose(self) -> None:
        """A Redis that was emptied."""
        self._checkpoints = {}
        self._digests = {}
