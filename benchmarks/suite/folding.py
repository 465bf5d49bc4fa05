"""How fast a learning log is folded from its start, by one process on one core.

`fold`: as `gradstream verify` does it. `start`: a worker that finds no checkpoint, by what it logs itself.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import msgspec
import redis

from benchmarks.report import Report
from benchmarks.suite.contestants import Ours
from benchmarks.suite.measured import Effort, Rows
from benchmarks.suite.place import Place, decoded, worker_command
from benchmarks.suite.streams import DENSE_10
from benchmarks.watch import BenchmarkError, Watched, run_pinned

TIMEOUT = 300.0


@dataclass(frozen=True)
class Folding:
    """A part of the suite. samples: in the log, at full effort."""

    samples: int
    table: Mapping[str, Any]
    name: str = "fold"
    title: str = "Folding a learning log"
    text: str = (
        "A worker's learning log of dense-10 is folded from its start. fold: as `gradstream verify` does it; "
        "start: by a worker that finds no checkpoint, between its reading the first record and the last."
    )
    compared: tuple[str, ...] = ()
    contestants: tuple[str, ...] = ("fold", "start")

    def measure(self, place: Place, effort: Effort) -> tuple[Rows, dict[str, object]]:
        """See Part."""
        rows: Rows = defaultdict(lambda: defaultdict(list))
        samples, name = effort.samples(self.samples), place.name(self.name)
        on = place.fill(DENSE_10, samples)
        command = Ours().command(place, self.table, DENSE_10, on, name, samples)
        report, log = place.folder / f"{name}.json", place.folder / f"{name}.log"
        run_pinned(command, place.core, report, log, TIMEOUT)
        config = place.folder / f"{name}.toml"
        for repeat in range(1, effort.repeats + 1):
            watched = run_pinned(_fold(config, name), place.core, report, log, TIMEOUT)
            found = msgspec.json.decode(report.read_bytes(), type=Report)
            if found.samples != samples:
                raise BenchmarkError(f"{name}: {found.samples} samples in the log, expected {samples}")
            rows["fold"]["rate"].append(samples / found.seconds)
            rows["fold"]["cpu"].append(1e6 * _cpu(watched, found) / samples)
            _forget(place.redis, name)
            run_pinned(worker_command(config, "--drain"), place.core, report, log, TIMEOUT)
            rows["start"]["rate"].append(samples / _folded_seconds(log))
            shown = ", ".join(f"{one} {row['rate'][-1]:,.0f} samples/s" for one, row in rows.items())
            click.echo(f"{self.name} {repeat}/{effort.repeats}: {shown}", err=True)
        return rows, {"samples": samples, "repeats": effort.repeats}


def _fold(config: Path, name: str) -> list[str]:
    return [sys.executable, "-m", "benchmarks.loops.fold_log", str(config), name]


def _cpu(watched: Watched, report: Report) -> float:
    return watched.cpu_seconds(report.first_record, report.end)


def _forget(url: str, name: str) -> None:
    """Take the checkpoint away, so that the next worker has to fold all."""
    with redis.Redis.from_url(url) as client:
        for key in client.scan_iter(match=f"gradstream:{{{name}}}*"):
            client.delete(key)


def _folded_seconds(log: Path) -> float:
    """What the worker said of its start."""
    for line in decoded(log):
        if line.get("event") == "folded":
            return max(float(line["seconds"]), 0.005)  # it tells hundredths
    raise BenchmarkError(f"{log}: the worker did not tell how long it folded")
