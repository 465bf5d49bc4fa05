"""What a second worker brings: CPU time of a sample with one and with two, foreign folds and rebases in it.

The workers of a model share its partitions, and all of this machine's cores with the servers: so CPU time is
compared, not time. They have joined before the first sample comes.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import click

from benchmarks.fleet import Fleet, redone_share, seconds, wait_learned
from benchmarks.samples import create_topics
from benchmarks.stream import Stream as Sending
from benchmarks.suite.measured import Effort, Rows
from benchmarks.suite.place import Place
from benchmarks.suite.streams import DENSE_10
from benchmarks.watch import cpu_clock

PARTITIONS = 2
TIMEOUT = 300.0
NUMBERS = {"one": 1, "two": 2}


@dataclass(frozen=True)
class TwoWorkers:
    """A part of the suite. samples: at full effort."""

    samples: int
    table: Mapping[str, Any]
    name: str = "two-workers"
    title: str = "Two workers"
    text: str = (
        "dense-10 on two partitions, sent when the workers have joined. CPU time of a worker for each sample "
        "that it processed itself; of two it is the mean, and each of them learns the other's samples too."
    )
    compared: tuple[str, ...] = ("cpu",)
    contestants: tuple[str, ...] = ("one", "two")

    def measure(self, place: Place, effort: Effort) -> tuple[Rows, dict[str, object]]:
        """See Part."""
        rows: Rows = defaultdict(lambda: defaultdict(list))
        samples = effort.samples(self.samples)
        values = [value for _, _, value in islice(DENSE_10.records(samples), samples)]
        for repeat in range(1, effort.repeats + 1):
            for one, count in NUMBERS.items():
                cpu, rate, redone = asyncio.run(self._run(place, values, count))
                row = rows[one]
                row["rate"].append(rate)
                row["cpu"].append(cpu)
                row["redone"].append(redone)
                click.echo(
                    f"{self.name} {repeat}/{effort.repeats} {one}: {cpu:.2f} µs, {redone:.2f} redone",
                    err=True,
                )
        return rows, {"samples": samples, "repeats": effort.repeats}

    async def _run(self, place: Place, values: list[bytes], workers: int) -> tuple[float, float, float]:
        """CPU µs for each sample that one worker processes, samples a second, share redone."""
        name = place.name(f"{self.name}-{workers}")
        topic = f"{name}.samples"
        create_topics(place.kafka, [topic], PARTITIONS)
        config = place.model(name, topic, {**self.table, "save_every": "1s"}, PARTITIONS)
        stream = Sending(place.kafka, topic, PARTITIONS, rate=None)
        await stream.build(values)
        with Fleet(config, name, workers, place.cores) as fleet:
            fleet.wait_assigned(PARTITIONS)
            before = [time.clock_gettime(cpu_clock(one.pid)) for one in fleet.processes]
            await stream.send()
            wait_learned(fleet, place.redis, len(values), TIMEOUT)
            used = [time.clock_gettime(cpu_clock(one.pid)) for one in fleet.processes]
            reports = fleet.stop()
        place.leave(name)
        each = [
            1e6 * (after - begun) / max(1, report.samples)
            for begun, after, report in zip(before, used, reports, strict=True)
        ]
        return sum(each) / workers, len(values) / seconds(reports), redone_share(reports)
