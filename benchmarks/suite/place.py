"""Where the suite measures: servers on the first core, workers on the second, topics that are filled once."""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import click
import msgspec
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from benchmarks.fleet import create_model
from benchmarks.peers import GRADSTREAM
from benchmarks.samples import QUIET, bulk_producer, create_topics, flush_all
from benchmarks.suite.streams import LABELS, Stream
from benchmarks.tables import toml
from benchmarks.watch import BenchmarkError, last_line
from streams.demo.processes import own_environment

TERM_SECONDS = 20.0


@dataclass(frozen=True)
class Filled:
    """A topic with a stream; samples: how many, its labels not counted."""

    topic: str
    samples: int
    bytes_per_sample: float


@dataclass
class Place:
    """`core`: of the workers; `cores`: all that there are."""

    kafka: str
    redis: str
    folder: Path
    core: int
    cores: Sequence[int]
    prefix: str = "suite"
    """Of all names."""
    keeps: bool = False
    """Whether what a run wrote stays on its topics; all runs together write tens of gigabytes."""
    _filled: dict[tuple[str, int], Filled] = field(default_factory=dict)
    _names: Counter[str] = field(default_factory=Counter)

    def name(self, what: str) -> str:
        """A name that was not used before, for a model and its topics."""
        self._names[what] += 1
        return f"{self.prefix}-{what}-{self._names[what]}"

    def fill(self, stream: Stream, count: int) -> Filled:
        """A topic with the first `count` samples of a stream, filled when it is asked for the first time."""
        if (stream.name, count) not in self._filled:
            topic = f"{self.prefix}.{stream.name}.{count}"
            create_topics(self.kafka, [topic, *[topic + LABELS] * stream.late], stream.partitions)
            self._filled[stream.name, count] = self._produce(stream, count, topic)
        return self._filled[stream.name, count]

    def _produce(self, stream: Stream, count: int, topic: str) -> Filled:
        producer, samples, size = bulk_producer(self.kafka), 0, 0
        for i, (ending, key, value) in enumerate(stream.records(count)):
            producer.produce(topic + ending, value, key, partition=i % stream.partitions)
            if not ending:
                samples, size = samples + 1, size + len(value)
            if i % 10_000 == 0:
                producer.poll(0)
        flush_all(producer, self.kafka)
        filled = Filled(topic, samples, size / samples)
        click.echo(f"{samples:,} samples of {filled.bytes_per_sample:.0f} bytes are on {topic}", err=True)
        return filled

    def model(self, name: str, samples: str, table: dict[str, Any], partitions: int = 1) -> Path:
        """Write the settings of a model on the topic `samples`, and create its topics; the file's path."""
        config, table = self.folder / f"{name}.toml", {"samples": samples, "start": "earliest", **table}
        servers = f'[kafka]\nbootstrap_servers = "{self.kafka}"\n\n[redis]\nurl = "{self.redis}"\n'
        create_model(config, f"{servers}\n[models]\n{name} = {toml(table)}\n", partitions)
        return config

    def leave(self, name: str) -> None:
        """What the model or loop `name` wrote is not needed any more."""
        if not self.keeps:
            admin = AdminClient({"bootstrap.servers": self.kafka, **QUIET})
            known = admin.list_topics(timeout=30).topics
            for future in admin.delete_topics([one for one in known if one.startswith(f"{name}.")]).values():
                future.result(timeout=30)

    def records(self, topic: str, partitions: int = 1) -> int:
        """How many records stand on a topic."""
        consumer = Consumer({"bootstrap.servers": self.kafka, "group.id": "gradstream-bench", **QUIET})
        try:
            bounds = [
                consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=30)
                for partition in range(partitions)
            ]
        finally:
            consumer.close()
        return sum(int(high - low) for low, high in bounds)


def worker_command(config: Path, *options: str) -> list[str]:
    """The command of a worker."""
    return [str(GRADSTREAM), "--config", str(config), "worker", *options]


@contextmanager
def running(command: list[str], cores: Sequence[int], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process on some cores inside the block; ended with it, by SIGTERM first."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=own_environment(),
            preexec_fn=partial(os.sched_setaffinity, 0, set(cores)),
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(TERM_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def check(process: subprocess.Popen[bytes], log: Path) -> None:
    """Raises BenchmarkError when it has ended."""
    if process.poll() is not None:
        raise BenchmarkError(
            f"process {process.pid} ended with status {process.returncode}: {last_line(log)}"
        )


def decoded(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a worker's log that are JSON."""
    for line in path.read_bytes().splitlines():
        try:
            yield msgspec.json.decode(line, type=dict[str, Any])
        except msgspec.MsgspecError:
            continue
