"""A worker's start to its first prediction, and its memory when it has processed a backlog."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click

from benchmarks.samples import create_topics, encoded_samples
from benchmarks.suite.measured import Effort, Rows
from benchmarks.suite.paced import Probe
from benchmarks.suite.place import Place, check, running, worker_command
from benchmarks.watch import BenchmarkError

SECONDS = 60.0
IMPORTS = """
import time; begun = time.perf_counter()
import uvloop, streams.app, streams.commands.worker
print(time.perf_counter() - begun, open("/proc/self/statm").read().split()[1])
"""


@dataclass(frozen=True)
class Footprint:
    """A part of the suite. samples: that each worker processes, at full effort."""

    samples: int
    table: Mapping[str, Any]
    name: str = "footprint"
    title: str = "Start and memory"
    text: str = (
        "start: from the start of the process, of a model that is known, to the arrival of the prediction of "
        "a sample that waits, compiled kernels in their cache. MB: resident when it has processed what "
        "comes then; peak MB: at most until then. imports: Python with the worker's modules alone."
    )
    compared: tuple[str, ...] = ()
    contestants: tuple[str, ...] = ("ours", "imports")

    def measure(self, place: Place, effort: Effort) -> tuple[Rows, dict[str, object]]:
        """See Part."""
        rows: Rows = defaultdict(lambda: defaultdict(list))
        name, samples = place.name(self.name), effort.samples(self.samples)
        create_topics(place.kafka, [f"{name}.samples"])
        config = place.model(name, f"{name}.samples", dict(self.table))
        values = list(encoded_samples(samples))
        with Probe(place.kafka, f"{name}.samples", f"{name}.predictions") as probe:
            self._run(place, config, probe, values)  # warms up
            for repeat in range(1, effort.repeats + 1):
                start, memory, peak = self._run(place, config, probe, values)
                row = rows["ours"]
                row["start"].append(start)
                row["memory"].append(memory)
                row["peak"].append(peak)
                seconds, alone = _imports(place.core)
                rows["imports"]["start"].append(seconds)
                rows["imports"]["memory"].append(alone)
                shown = f"{start:.2f} s, {memory:.0f} MB; imports {seconds:.2f} s, {alone:.0f} MB"
                click.echo(f"{self.name} {repeat}/{effort.repeats}: {shown}", err=True)
        return rows, {"samples": samples, "repeats": effort.repeats}

    def _run(
        self, place: Place, config: Path, probe: Probe, values: list[bytes]
    ) -> tuple[float, float, float]:
        """Seconds to the first prediction; MB resident after all, and at most."""
        before, log = len(probe.arrived), config.with_suffix(".log")
        probe.send(values[0])
        time.sleep(0.2)  # it is there, and waits
        begun = time.perf_counter()
        with running(worker_command(config), [place.core], log) as process:
            self._wait(probe, before + 1, process, log)
            start = probe.arrived[before][0] - begun
            for value in values:
                probe.send(value)
            self._wait(probe, before + 1 + len(values), process, log)
            time.sleep(0.5)
            status = Path(f"/proc/{process.pid}/status").read_text()
        return start, _megabytes(status, "VmRSS:"), _megabytes(status, "VmHWM:")

    @staticmethod
    def _wait(probe: Probe, count: int, process: subprocess.Popen[bytes], log: Path) -> None:
        until = time.perf_counter() + SECONDS
        while not probe.wait(count, 1.0):
            check(process, log)
            if time.perf_counter() > until:
                raise BenchmarkError(
                    f"{len(probe.arrived)} predictions within {SECONDS:.0f} s, expected {count}"
                )


def _megabytes(status: str, field: str) -> float:
    return int(status.partition(field)[2].split()[0]) * 1024 / 1e6


def _imports(core: int) -> tuple[float, float]:
    """Seconds and MB of the imports of a worker."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS],
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=partial(os.sched_setaffinity, 0, {core}),
    )
    seconds, pages = done.stdout.split()
    return float(seconds), int(pages) * 4096 / 1e6
