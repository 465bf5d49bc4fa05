"""`gradstream` with the learning log switched off, to measure what it costs; the product has no such switch.

    python -m benchmarks.suite.without_log --config FILE worker --drain

A record of the log is not encoded, not sent and not read back: its envelope alone comes round in memory, so
that the worker's own batches are confirmed in their order as they would be. Everything else is as always:
predictions, dead letters, undo, checkpoints. Nothing that it learns outlives it; never use its topics again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from models.rows import Float64, Rows
from streams import app, cli
from streams.data_codec import DataCodec
from streams.log_format import Body
from streams.memory_log import MemoryLog, MemoryLogReader, MemoryLogWriter


class EmptyWriter(MemoryLogWriter):
    """Refuses a data record with a body: then somebody else encodes than the one that was switched off."""

    async def append(self, kind: str, worker: str, seq: int, value: Body | None, **headers: object) -> int:
        """See Writer."""
        assert kind != "data" or not value, (
            "a record was encoded: benchmarks.suite.without_log is out of date"
        )
        return await super().append(kind, worker, seq, value, **headers)


def nothing(_codec: DataCodec, _parts: Sequence[tuple[Rows, Float64]], _names: Mapping[int, str]) -> bytes:
    """The body of a record that nobody will read."""
    return b""


def switch_off() -> None:
    """Put logs in memory in the place of those on Kafka, one for each topic."""
    logs: dict[str, MemoryLog] = {}

    def log(topic: str) -> MemoryLog:
        return logs.setdefault(topic, MemoryLog(topic))

    def reader(topic: str, _clients: dict[str, Any]) -> MemoryLogReader:
        return MemoryLogReader(log(topic))

    def writer(topic: str, _clients: dict[str, Any]) -> EmptyWriter:
        return EmptyWriter(log(topic))

    assert {"LogReader", "LogWriter"} <= vars(app).keys(), "benchmarks.suite.without_log is out of date"
    for where, name, made in (
        (app, "LogReader", reader),
        (app, "LogWriter", writer),
        (DataCodec, "encode_all", nothing),
    ):
        setattr(where, name, made)


if __name__ == "__main__":
    switch_off()
    cli.main()
