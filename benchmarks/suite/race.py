"""A race: everybody drains the same topic in turn, on the same core, as often as the repeats say."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import click
import msgspec

from benchmarks.peers import Run
from benchmarks.report import Report
from benchmarks.suite.contestants import Contestant
from benchmarks.suite.measured import Effort, Rows
from benchmarks.suite.place import Place
from benchmarks.suite.streams import Stream
from benchmarks.watch import BenchmarkError, last_line, run_pinned

WARM_UP = 2_000
"""Samples of the run before, which does not count: it compiles kernels and fills the page cache."""
TIMEOUT = 300.0


@dataclass(frozen=True)
class Race:
    """A part of the suite. samples: at full effort; table: settings of our model."""

    name: str
    title: str
    text: str
    stream: Stream
    samples: int
    table: Mapping[str, Any]
    entered: tuple[Contestant, ...]
    compared: tuple[str, ...] = ("rate", "cpu")

    @property
    def contestants(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(one.name for one in self.entered)

    def measure(self, place: Place, effort: Effort) -> tuple[Rows, dict[str, object]]:
        """See Part."""
        entered = [one for one in self.entered if effort.chosen(one.name)]
        samples = effort.samples(self.samples)
        for one in entered:
            self.run(place, one, WARM_UP, effort.scale)
        rows: Rows = defaultdict(lambda: defaultdict(list))
        for repeat in range(1, effort.repeats + 1):
            for one in entered:
                run = self.run(place, one, samples, effort.scale)
                shown = f"{run.rate:,.0f} samples/s, {run.cpu_microseconds:.2f} µs of CPU each"
                click.echo(f"{self.name} {repeat}/{effort.repeats} {one.name}: {shown}", err=True)
                row = rows[one.name]
                row["rate"].append(run.rate)
                row["cpu"].append(run.cpu_microseconds)
                row["peak"].append(run.peak_bytes / 1e6)
        size = place.fill(self.stream, samples).bytes_per_sample
        return rows, {"samples": samples, "bytes_per_sample": round(size, 1), "repeats": effort.repeats}

    def run(self, place: Place, one: Contestant, samples: int, scale: float = 1.0) -> Run:
        """One contestant once; raises BenchmarkError unless each sample has exactly one prediction."""
        stream = one.stream or self.stream
        on, name = place.fill(stream, samples), place.name(f"{self.name}-{one.name}")
        count = min(on.samples, max(1, round(one.most * scale))) if one.most else on.samples
        report, log = place.folder / f"{name}.json", place.folder / f"{name}.log"
        command = one.command(place, self.table, stream, on, name, count)
        watched = run_pinned(command, place.core, report, log, TIMEOUT)
        found = msgspec.json.decode(report.read_bytes(), type=Report)
        written = place.records(f"{name}.predictions", stream.partitions) if one.writes else count
        if not count == found.samples == written:
            raise BenchmarkError(
                f"{name}: reports {found.samples} samples and wrote {written} predictions, expected {count}"
                f" of each; its last words: {last_line(log)}"
            )
        place.leave(name)
        cpu = watched.cpu_seconds(found.first_record, found.end)
        return Run(one.name, count, found.seconds, cpu, watched.peak_bytes)
