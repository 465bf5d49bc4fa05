"""Real workers, as far as this machine holds them."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import msgspec
import redis

from benchmarks.fleet import Fleet, redone_share, wait_learned
from benchmarks.samples import create_topics
from benchmarks.scaling.workloads import Workload
from benchmarks.stream import Stream
from benchmarks.suite.place import Place
from benchmarks.watch import cpu_clock
from infra.redis_store import model_key
from streams.learning_log import LogReader

PACED, PACED_PARTITIONS = 40_000.0, 4
"""Samples a second that come as batches of 100: in each tick of benchmarks.stream one to each partition."""
PACED_BATCH = 100
WARM = 3_000
"""Samples before those that are measured: what a process does once is done then."""
IDLE_SECONDS = 1.5
TIMEOUT = 120.0

Tell = Callable[[str], None]


class Run(msgspec.Struct, frozen=True):
    """So many workers on as many partitions; offered: samples a second, None: all at once."""

    workload: str
    workers: int
    samples: int
    offered: float | None
    rate: float
    cpu: float
    """µs of a worker for each sample that it processes itself, mean of the workers, `idle` not counted."""
    idle: float
    """µs a second of a worker that has nothing to do."""
    redone: float
    servers: float
    """CPU µs of the servers and of who sends, for each sample of all."""
    pending: float
    """Median of the samples that were pending."""
    redis_bytes: int
    record: float
    """Samples of a record of the log, mean."""
    read: float
    """CPU µs of reading such a record, with many in a fetch."""


@dataclass
class Workers:
    """Runs workers on a local stack."""

    place: Place
    servers: Sequence[int]
    """Process ids."""
    tell: Tell

    async def run(self, workload: Workload, workers: int, samples: int, offered: float | None = None) -> Run:
        """A new model, and what came of it; workers have a partition each, one that is paced has four."""
        partitions = workers if offered is None else PACED_PARTITIONS
        name = self.place.name(f"{workload.name}-{workers}")
        topic, log = f"{name}.samples", f"{name}.learning-log"
        create_topics(self.place.kafka, [topic], partitions)
        config = self.place.model(name, topic, {**workload.table, "save_every": "1s"}, partitions)
        warm = Stream(self.place.kafka, topic, partitions, PACED)
        stream = Stream(self.place.kafka, topic, partitions, offered)
        await warm.build(workload.values(WARM))
        await stream.build(workload.values(samples))
        with Fleet(config, name, workers, self.place.cores) as fleet:
            fleet.wait_assigned(partitions)
            await warm.send()
            warmed = await asyncio.to_thread(wait_learned, fleet, self.place.redis, WARM, TIMEOUT)
            pids = [*(one.pid for one in fleet.processes), *self.servers, os.getpid()]
            idle = await _idle(pids[:workers])
            begun, before = time.monotonic(), [_cpu(pid) for pid in pids]
            await stream.send()
            await asyncio.to_thread(wait_learned, fleet, self.place.redis, WARM + samples, TIMEOUT)
            took, after = time.monotonic() - begun, [_cpu(pid) for pid in pids]
            reports = fleet.stop()
        used = [1e6 * (b - a) for a, b in zip(before, after, strict=True)]
        learned = max(one.last_append_acked or 0.0 for one in reports) - begun
        log_records, read = await reading(self.place.kafka, log)
        run = Run(
            workload=workload.name,
            workers=workers,
            samples=samples,
            offered=offered,
            rate=samples / learned,
            cpu=(sum(used[:workers]) - workers * idle * took) / samples,
            idle=idle,
            redone=redone_share(reports),
            servers=sum(used[workers:]) / samples,
            pending=median(one.samples_pending for one in reports),
            redis_bytes=stored(self.place.redis, name),
            record=samples / max(1, log_records - int(warmed["log_offset"])),
            read=read,
        )
        self.place.leave(name)
        self.tell(
            f"{workload.name}, {workers} workers: {run.rate:,.0f}/s, {run.cpu:.2f} µs, "
            f"{run.redone:.2f} redone"
        )
        return run


async def _idle(pids: Sequence[int]) -> float:
    """CPU µs a second of a process that waits, mean of all."""
    before = [_cpu(pid) for pid in pids]
    await asyncio.sleep(IDLE_SECONDS)
    spent = sum(_cpu(pid) - one for pid, one in zip(pids, before, strict=True))
    return 1e6 * spent / IDLE_SECONDS / len(pids)


async def reading(kafka: str, topic: str) -> tuple[int, float]:
    """Records of a log, and CPU µs of one, by a worker's reader, nothing folded."""
    reader = LogReader(topic, {"bootstrap_servers": kafka})
    await reader.start()
    try:
        start, end = await reader.bounds()
        reader.stand(start)
        at, begun = start, time.process_time()
        while at < end:
            at = [record.offset + 1 for record in await reader.run()][-1]
        spent = time.process_time() - begun
    finally:
        await reader.stop()
    return end - start, 1e6 * spent / max(1, end - start)


def stored(url: str, name: str) -> int:
    """Bytes that Redis says it needs for a model."""
    with redis.Redis.from_url(url) as client:
        keys = list(client.scan_iter(match=f"{model_key(name)}*", count=1000))
        return sum(int(client.memory_usage(key, samples=0) or 0) for key in keys)


def _cpu(pid: int) -> float:
    return time.clock_gettime(cpu_clock(pid))
