"""Latency at a steady rate: from a sample's `produce` to the arrival of its prediction, on one clock.

The harness produces in one thread and polls for predictions in another, both with confluent-kafka and without
any lingering; there is one partition, so the i-th sample has the offset i.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click
import msgspec
import numpy as np
from confluent_kafka import Consumer, Producer, TopicPartition

from benchmarks.samples import QUIET, create_topics, encoded_samples
from benchmarks.suite.contestants import Contestant, Loop
from benchmarks.suite.measured import Effort, Rows
from benchmarks.suite.place import Filled, Place, check, running
from benchmarks.suite.streams import DENSE_10
from benchmarks.watch import BenchmarkError, cpu_clock

READY_SECONDS = 60.0
SILENCE_SECONDS = 10.0


class Probe:
    """Sends samples and notes when something arrives on the predictions topic. A context manager."""

    def __init__(self, kafka: str, samples: str, predictions: str) -> None:
        self.arrived: list[tuple[float, bytes]] = []
        """(time.perf_counter(), value), in the order of arrival."""
        self.sent: list[float] = []
        self._topic = samples
        self._producer = Producer(
            {
                "bootstrap.servers": kafka,
                "linger.ms": 0,
                "delivery.report.only.error": True,
                "queue.buffering.max.messages": 1_000_000,
                **QUIET,
            }
        )
        self._consumer = Consumer(
            {
                "bootstrap.servers": kafka,
                "group.id": predictions + ".probe",
                "fetch.wait.max.ms": 100,
                **QUIET,
            }
        )
        self._consumer.assign([TopicPartition(predictions, 0, 0)])
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Probe:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._consumer.close()
        self._producer.flush(10)

    def send(self, value: bytes) -> None:
        """One sample, now."""
        self.sent.append(time.perf_counter())
        self._producer.produce(self._topic, value, partition=0)
        self._producer.poll(0)

    def pace(self, values: Sequence[bytes], rate: float) -> None:
        """Samples at a steady rate."""
        begun = time.perf_counter()
        for i, value in enumerate(values):
            if (ahead := begun + i / rate - time.perf_counter()) > 0:
                time.sleep(ahead)
            self.send(value)

    def wait(self, count: int, seconds: float) -> bool:
        """Whether so many have arrived within the time."""
        until = time.perf_counter() + seconds
        while len(self.arrived) < count:
            if time.perf_counter() > until:
                return False
            time.sleep(0.01)
        return True

    def _listen(self) -> None:
        while not self._ended.is_set():
            message = self._consumer.poll(0.1)
            if message is not None and message.error() is None:
                self.arrived.append((time.perf_counter(), message.value() or b""))


def latencies(sent: Sequence[float], arrived: Sequence[tuple[float, bytes]], skipped: int) -> list[float]:
    """Milliseconds of each sample after the first `skipped`; of its first prediction where it has several.

    A prediction names its sample by `offset`; an echo of a sample does not, and counts. Raises BenchmarkError
    where one has none.
    """
    first: dict[int, float] = {}
    for i, (at, value) in enumerate(arrived):
        found = msgspec.json.decode(value)
        first.setdefault(found.get("offset", i), at)
    missing = [i for i in range(skipped, len(sent)) if i not in first]
    if missing:
        raise BenchmarkError(
            f"{len(missing)} of {len(sent)} samples have no prediction, the first: {missing[0]}"
        )
    return [1e3 * (first[i] - sent[i]) for i in range(skipped, len(sent))]


@dataclass(frozen=True)
class Paced:
    """A part of the suite. rate: samples a second; seconds: at full effort; warm: before them."""

    name: str
    title: str
    text: str
    rate: float
    seconds: float
    warm: float
    table: Mapping[str, Any]
    entered: tuple[Contestant, ...]
    compared: tuple[str, ...] = ("p99", "cpu")

    @property
    def contestants(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(one.name for one in self.entered)

    def measure(self, place: Place, effort: Effort) -> tuple[Rows, dict[str, object]]:
        """See Part."""
        rows: Rows = defaultdict(lambda: defaultdict(list))
        warm, counted = round(self.rate * self.warm), effort.samples(round(self.rate * self.seconds))
        values = list(encoded_samples(1 + warm + counted))
        for one in self.entered:
            if effort.chosen(one.name):  # the broker has to get used to small requests
                self._run(place, one, values[: 1 + warm], 1)
        for repeat in range(1, effort.repeats + 1):
            for one in self.entered:
                if effort.chosen(one.name):
                    cpu, found = self._run(place, one, values, 1 + warm)
                    p50, p99 = np.percentile(found, [50, 99]).tolist()
                    click.echo(
                        f"{self.name} {repeat}/{effort.repeats} {one.name}: {p50:.2f}, {p99:.2f} ms", err=True
                    )
                    row = rows[one.name]
                    row["p50"].append(p50)
                    row["p99"].append(p99)
                    row["cpu"].append(1e6 * cpu / counted)
        return rows, {"rate": self.rate, "samples": counted, "repeats": effort.repeats}

    def _run(
        self, place: Place, one: Contestant, values: Sequence[bytes], warm: int
    ) -> tuple[float, list[float]]:
        """CPU seconds of the process, and milliseconds of each sample after the first `warm`."""
        name = place.name(f"{self.name}-{one.name}")
        on, log = Filled(f"{name}.samples", len(values), 0.0), place.folder / f"{name}.log"
        create_topics(place.kafka, [on.topic])
        command = one.command(place, self.table, DENSE_10, on, name, len(values))
        if not isinstance(one, Loop):
            command.remove("--drain")
        with (
            Probe(place.kafka, on.topic, f"{name}.predictions") as probe,
            running(command, [place.core], log) as process,
        ):
            probe.send(values[0])
            while not probe.wait(1, 1.0):
                check(process, log)
                if time.perf_counter() - probe.sent[0] > READY_SECONDS:
                    raise BenchmarkError(f"{name}: no prediction within {READY_SECONDS:.0f} s")
            probe.pace(values[1:warm], self.rate)
            before = time.clock_gettime(cpu_clock(process.pid))
            probe.pace(values[warm:], self.rate)
            cpu = time.clock_gettime(cpu_clock(process.pid)) - before
            probe.wait(len(values), SILENCE_SECONDS)
        return cpu, latencies(probe.sent, probe.arrived, warm)
