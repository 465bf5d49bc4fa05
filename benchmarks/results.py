"""From runs to numbers: medians, ratios of interleaved runs, the table and the file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import msgspec
from rich.table import Table

from benchmarks.document import write_json
from benchmarks.peers import Run

TARGETS = {"naive": 30.0, "expert": 0.5}
"""At least so many times as fast as each peer gradstream has to be."""
CEILINGS = {"late": 2.0}
"""At most so many times as fast may it be with labels in the samples as with labels that come late."""


class Spread(msgspec.Struct, frozen=True):
    """Median, smallest and largest of the repeats."""

    median: float
    min: float
    max: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of at least one value."""
        return cls(median(values), min(values), max(values))

    def text(self, digits: int) -> str:
        """`median (min – max)`; min and max only where they are not the same."""
        middle, low, high = (f"{value:,.{digits}f}" for value in (self.median, self.min, self.max))
        return middle if low == high else f"{middle} ({low} – {high})"


class Summary(msgspec.Struct):
    """One peer's row of the table."""

    peer: str
    samples: int
    rate: Spread
    """Samples per second."""
    cpu_microseconds: Spread
    """Per sample."""
    peak_megabytes: Spread
    ratio: Spread | None = None
    """Rate of ours ÷ rate of this peer, repeat by repeat; None without ours and for ours."""
    target: float | None = None
    ceiling: float | None = None


def summarise(runs: Sequence[Run]) -> list[Summary]:
    """A row for each peer, in the order of their first runs; the i-th runs of two peers make a ratio."""
    by_peer: dict[str, list[Run]] = {}
    for run in runs:
        by_peer.setdefault(run.peer, []).append(run)
    ours = by_peer.get("ours", [])

    def spread(peer: str, value: Callable[[Run], float]) -> Spread:
        return Spread.of([value(run) for run in by_peer[peer]])

    rows = []
    for peer, own in by_peer.items():
        row = Summary(
            peer,
            own[0].samples,
            rate=spread(peer, lambda run: run.rate),
            cpu_microseconds=spread(peer, lambda run: run.cpu_microseconds),
            peak_megabytes=spread(peer, lambda run: run.peak_bytes / 1e6),
        )
        if ours and peer != "ours":
            row.ratio = Spread.of([a.rate / b.rate for a, b in zip(ours, own, strict=True)])
            row.target, row.ceiling = TARGETS.get(peer), CEILINGS.get(peer)
        rows.append(row)
    return rows


def table(rows: Sequence[Summary], title: str) -> Table:
    """The rows for a terminal: median (min – max)."""
    made = Table(title=title, caption="median (min – max) of the repeats; one worker process on one core")
    made.add_column("peer")
    for name in ("samples", "samples/s", "CPU µs/sample", "peak MB", "ours ÷ peer", "target"):
        made.add_column(name, justify="right")
    for row in rows:
        made.add_row(
            row.peer,
            f"{row.samples:,}",
            row.rate.text(0),
            row.cpu_microseconds.text(2),
            row.peak_megabytes.text(0),
            row.ratio.text(2) if row.ratio else "",
            f"≥ {row.target:g}" if row.target else f"≤ {row.ceiling:g}" if row.ceiling else "",
        )
    return made


class Results(msgspec.Struct):
    """What a file under benchmarks/results holds."""

    at: str
    """When it was measured, UTC."""
    settings: dict[str, object]
    machine: dict[str, object]
    summary: list[Summary]
    runs: list[Run]

    def write(self, directory: Path) -> Path:
        """Write it as indented JSON under a name made of its time; returns the path."""
        return write_json(directory / f"{self.at.replace(':', '')}.json", self)
