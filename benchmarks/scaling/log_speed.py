"""What a log's partition takes, and what it costs to follow it."""

from __future__ import annotations

import asyncio
import time
from statistics import median

import msgspec

from benchmarks.suite.place import Place
from streams.learning_log import LogReader, LogWriter

APPENDED = 1024 * 1024
SMALL_APPEND = 10_000
SOON = 0.003


class Log(msgspec.Struct, frozen=True):
    """One partition, from here."""

    bytes_per_second: float
    round_trip: float
    """Seconds of an append of 10 kB, median."""
    fetch: float
    """CPU µs that a reader takes for an answer with one record, beyond what the record takes."""


async def measure(place: Place, appends: int = 100) -> Log:
    """What a partition takes of two writers, each of which waits for its append as a worker does."""
    name = place.name("appends")
    place.model(name, f"{name}.samples", {"task": "regression"})
    topic = f"{name}.learning-log"
    writers = [LogWriter(topic, {"bootstrap_servers": place.kafka}) for _ in range(2)]
    for writer in writers:
        await writer.start()
    trips, alone = await _trips(writers[0], appends)
    reader = LogReader(topic, {"bootstrap_servers": place.kafka})
    await reader.start()
    reader.stand(appends)
    following = asyncio.create_task(_follow(reader))
    _, read = await _trips(writers[0], appends)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    await reader.stop()
    begun = time.perf_counter()
    await asyncio.gather(*(_append_all(writer, bytes(APPENDED), appends) for writer in writers))
    took = time.perf_counter() - begun
    for writer in writers:
        await writer.stop()
    place.leave(name)
    return Log(len(writers) * appends * APPENDED / took, median(trips), max(0.0, read - alone))


async def _trips(writer: LogWriter, appends: int) -> tuple[list[float], float]:
    """Seconds of each of some appends, and CPU µs of this process for one."""
    trips, spent = [], time.process_time()
    for _ in range(appends):
        begun = time.perf_counter()
        await writer.append("data", "bench", 0, bytes(SMALL_APPEND))
        trips.append(time.perf_counter() - begun)
        await asyncio.sleep(SOON)  # so that each is fetched for itself
    return trips, 1e6 * (time.process_time() - spent) / appends


async def _follow(reader: LogReader) -> None:
    while True:
        await reader.run()


async def _append_all(writer: LogWriter, value: bytes, count: int) -> None:
    for _ in range(count):
        await writer.append("data", "bench", 0, value)
