"""The peers: how a worker of each is started on a topic, and what one run of it gives."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec
from confluent_kafka import Consumer, TopicPartition

from benchmarks.report import Report
from benchmarks.samples import FEATURES, LEARNING_RATE, create_topics, late
from benchmarks.watch import BenchmarkError, last_line, run_pinned

PEERS = ("ours", "naive", "expert")
LATE = "late"
"""Ours with the same samples, their labels on a topic of their own, 10,000 samples later."""
GRADSTREAM = Path(sys.executable).with_name("gradstream")

SETTINGS = """\
[kafka]
bootstrap_servers = "{kafka}"

[redis]
url = "{redis}"

[models.{name}]
samples = "{samples}"
{labels}task = "binary"
optimizer = {{ name = "adagrad", learning_rate = {rate} }}
start = "earliest"

[models.{name}.features]
numeric = {features}
"""


class Run(msgspec.Struct):
    """One measured run of one peer."""

    peer: str
    samples: int
    seconds: float
    """From the first record received to the last acknowledgement."""
    cpu_seconds: float
    """CPU time of the worker process within these seconds."""
    peak_bytes: int
    """Largest resident memory of the worker process, Python and libraries included."""

    @property
    def rate(self) -> float:
        """Samples per second."""
        return self.samples / self.seconds

    @property
    def cpu_microseconds(self) -> float:
        """CPU time per sample."""
        return 1e6 * self.cpu_seconds / self.samples


@dataclass(frozen=True)
class Bench:
    """Where things are: servers, a directory for settings, logs and reports, the core of the workers."""

    kafka: str
    redis: str
    directory: Path
    core: int
    timeout: float = 300.0
    profile: Path | None = None
    """Where cProfile writes what it saw of our worker; None: it does not look."""

    def run(self, peer: str, samples: str, count: int, name: str) -> Run:
        """One run of `peer` over the first `count` records of the topic `samples`.

        `name`: of the model, not used before.

        Raises BenchmarkError unless exactly one prediction per sample stands on NAME.predictions afterwards.
        """
        report_path, log = self.directory / f"{name}.json", self.directory / f"{name}.log"
        ours = peer in ("ours", LATE)
        command = self._ours(peer, samples, name) if ours else self._module(peer, samples, count, name)
        watched = run_pinned(command, self.core, report_path, log, self.timeout)
        report = msgspec.json.decode(report_path.read_bytes(), type=Report)
        written = self._records(f"{name}.predictions")
        if not count == report.samples == written:
            raise BenchmarkError(
                f"{peer}: reports {report.samples} samples and wrote {written} predictions, expected {count}"
                f" of each; its last words: {last_line(log)}"
            )
        cpu = watched.cpu_seconds(report.first_record, report.end)
        return Run(peer, count, report.seconds, cpu, watched.peak_bytes)

    def _module(self, peer: str, samples: str, count: int, name: str) -> list[str]:
        create_topics(self.kafka, [f"{name}.predictions"])
        arguments = [self.kafka, samples, f"{name}.predictions", str(count)]
        return [sys.executable, "-m", f"benchmarks.{peer}", *arguments]

    def _ours(self, peer: str, samples: str, name: str) -> list[str]:
        """The command of a worker, after the model's settings have been written and its topics created."""
        config = self.directory / f"{name}.toml"
        samples, labels = late(samples) if peer == LATE else (samples, None)
        text = SETTINGS.format(
            kafka=self.kafka,
            redis=self.redis,
            name=name,
            samples=samples,
            labels="" if labels is None else f'labels = "{labels}"\n',
            rate=LEARNING_RATE,
            features=msgspec.json.encode(FEATURES).decode(),
        )
        config.write_text(text)
        create = [str(GRADSTREAM), "topics", "create", "--config", str(config)]
        done = subprocess.run(create, capture_output=True, text=True, timeout=60)
        if done.returncode:
            raise BenchmarkError(
                f"{' '.join(create)} ended with status {done.returncode}: {done.stderr.strip()}"
            )
        profiler = [sys.executable, "-m", "cProfile", "-o", str(self.profile)] if self.profile else []
        return [*profiler, str(GRADSTREAM), "worker", "--config", str(config), "--drain"]

    def _records(self, topic: str) -> int:
        consumer = Consumer({"bootstrap.servers": self.kafka, "group.id": "gradstream-bench"})
        try:
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=30)
        finally:
            consumer.close()
        return int(high - low)
