"""A stream under test: topics, produced samples, worker processes, and what they left behind.

Everything is looked at from outside: worker processes are started and killed like a user's, predictions are
read with kafka-python, checkpoints with redis-py, and the learning log by a plain reader of our own here.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis
from kafka import KafkaProducer

from streams.log_format import LogRecord, parse_record
from tests.topics import read_topic

COMMAND = [str(Path(sys.executable).parent / "gradstream")]
ROOT = Path(__file__).parents[2]


@dataclass
class Stream:
    """One model `name` on its own topics and servers."""

    kafka: str
    redis: str
    name: str
    folder: Path
    table: str  # the model's table in gradstream.toml, without samples
    partitions: int = 1
    top: str = ""  # settings outside of the model's table
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def samples(self) -> str:
        return f"{self.name}.samples"

    @property
    def labels(self) -> str:
        """The topic of labels that come late; the model's table names it, where there is one."""
        return f"{self.name}.labels"

    @property
    def config(self) -> Path:
        return self.folder / f"{self.name}.toml"

    def write_config(self, table: str | None = None) -> Path:
        self.config.write_text(
            f'{self.top}\n[kafka]\nbootstrap_servers = "{self.kafka}"\n[redis]\nurl = "{self.redis}"\n'
            f'[models."{self.name}"]\nsamples = "{self.samples}"\n{table or self.table}\n'
        )
        return self.config

    def create(self) -> None:
        self.write_config()
        self.command("topics", "create", "--partitions", str(self.partitions))

    def command(
        self, *arguments: str, check: bool = True, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*COMMAND, "--config", str(self.config), *arguments],
            capture_output=True, text=True, timeout=timeout, cwd=ROOT, env=_environment(), check=False,
        )  # fmt: skip
        assert not check or done.returncode == 0, done.stderr
        return done

    def produce(
        self, values: Sequence[bytes | None], key: Callable[[int], bytes | None] = lambda i: None
    ) -> None:
        """Sample i goes to partition i mod partitions."""
        self.send((self.samples, i % self.partitions, key(i), value) for i, value in enumerate(values))

    def send(self, records: Iterable[tuple[str, int, bytes | None, bytes | None]]) -> None:
        """Produce records, each a topic, a partition, a key and a value, in order."""
        producer = KafkaProducer(
            bootstrap_servers=self.kafka, acks="all", linger_ms=20, max_request_size=8_000_000
        )
        try:
            for topic, partition, key, value in records:
                producer.send(topic, value=value, key=key, partition=partition)
            producer.flush()
        finally:
            producer.close()

    # Workers

    def worker(self, *arguments: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        with open(self.folder / f"{self.name}.worker.log", "ab") as log:
            process = subprocess.Popen(
                [*COMMAND, "--config", str(self.config), "worker", *arguments],
                stderr=log, stdout=log, cwd=ROOT, env=_environment(env),
            )  # fmt: skip
        self.running.append(process)
        return process

    def drain(self, timeout: float = 120, env: Mapping[str, str] | None = None) -> None:
        process = self.worker("--drain", env=env)
        assert process.wait(timeout) == 0, self.logs()

    def logs(self) -> str:
        path = self.folder / f"{self.name}.worker.log"
        return path.read_text() if path.exists() else ""

    def stop_all(self) -> None:
        for process in self.running:
            if process.poll() is None:
                process.kill()
            process.wait()

    # What is there afterwards

    def read(self, topic: str) -> list[Any]:
        """All records of a topic, by partition and offset."""
        return read_topic(self.kafka, topic)

    def predictions(self) -> dict[tuple[int, int], list[bytes]]:
        """(partition, offset) of a sample → its predictions' bytes, in order."""
        found: dict[tuple[int, int], list[bytes]] = {}
        for record in self.read(f"{self.name}.predictions"):
            body = json.loads(record.value)
            assert body["partition"] == record.partition
            found.setdefault((body["partition"], body["offset"]), []).append(record.value)
        return found

    def log_records(self) -> list[LogRecord]:
        return [
            parse_record(r.offset, r.key, r.value, r.headers) for r in self.read(f"{self.name}.learning-log")
        ]

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.redis)

    def checkpoint(self) -> dict[str, str]:
        with contextlib.closing(self.client()) as client:
            found = client.hgetall(f"gradstream:{{{self.name}}}")
        return {k.decode(): v.decode() for k, v in found.items()}

    def tensors(self) -> dict[str, bytes]:
        with contextlib.closing(self.client()) as client:
            found = client.hgetall(f"gradstream:{{{self.name}}}:tensors")
        return {k.decode(): v for k, v in found.items()}

    def inspect(self) -> dict[str, Any]:
        result: dict[str, Any] = json.loads(self.command("inspect", self.name, "--json").stdout)
        return result

    def wait_learned(self, count: int, timeout: float = 60) -> None:
        """Until a checkpoint says that so many samples are learned."""
        self.wait(lambda: int(self.checkpoint().get("samples_learned", 0)) >= count, timeout)

    def wait(self, condition: Callable[[], bool], timeout: float = 60) -> None:
        until = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < until, self.logs()
            time.sleep(0.05)


def _environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The test's own, without the variables that name the session's servers: settings files name theirs."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("GRADSTREAM_")}
    return {**own, **(more or {})}


def terminate(process: subprocess.Popen[bytes], timeout: float = 10) -> int:
    process.send_signal(signal.SIGTERM)
    return process.wait(timeout)


@contextlib.contextmanager
def opened(stream: Stream) -> Iterator[Stream]:
    """A stream whose topics exist; its workers are gone at the end."""
    try:
        stream.create()
        yield stream
    finally:
        stream.stop_all()
