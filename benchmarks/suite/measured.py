"""What a part of the suite gives: for each contestant and measure one figure a repeat, in their order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec

from benchmarks.document import write_json
from benchmarks.results import Spread
from benchmarks.suite.place import Place

Rows = dict[str, dict[str, list[float]]]
"""Contestant → measure → figures. The i-th of two contestants stood beside each other."""


@dataclass(frozen=True)
class Measure:
    """Its heading with the unit, and decimals that say something."""

    heading: str
    digits: int


MEASURES = {
    "rate": Measure("samples/s", 0),
    "cpu": Measure("CPU µs/sample", 2),
    "peak": Measure("peak MB", 0),
    "p50": Measure("p50 ms", 2),
    "p99": Measure("p99 ms", 2),
    "milliseconds": Measure("ms", 1),
    "kilobytes": Measure("kB", 0),
    "start": Measure("start, s", 2),
    "memory": Measure("MB", 0),
    "redone": Measure("redone", 2),
}


@dataclass(frozen=True)
class Effort:
    """How much is measured. scale: of the samples and times; peers: those alone, None: all."""

    repeats: int = 5
    scale: float = 1.0
    peers: frozenset[str] | None = None

    def samples(self, count: int) -> int:
        """Of `count` at full effort."""
        return max(1, round(count * self.scale))

    def chosen(self, name: str) -> bool:
        """Whether a contestant takes part."""
        return self.peers is None or name in self.peers


class Part(Protocol):
    """One part of the suite. compared: measures whose ratios, first contestant ÷ others, are shown."""

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def contestants(self) -> tuple[str, ...]: ...
    @property
    def compared(self) -> tuple[str, ...]: ...

    def measure(self, place: Place, effort: Effort) -> tuple[Rows, dict[str, object]]:
        """The figures, and what was chosen: samples, bytes. Raises BenchmarkError."""


class Measured(msgspec.Struct):
    """A part that was measured, as a file keeps it."""

    name: str
    at: str
    """UTC."""
    load: tuple[float, float]
    """Load average when it began and when it ended."""
    settings: dict[str, object]
    machine: dict[str, object]
    rows: Rows

    def figures(self, row: str, measure: str) -> list[float] | None:
        """None: not measured."""
        return self.rows.get(row, {}).get(measure)

    def ratio(self, one: tuple[str, str], other: tuple[str, str], factor: float = 1.0) -> Spread | None:
        """factor × one ÷ other, repeat by repeat, because the machine changes meanwhile."""
        above, below = self.figures(*one), self.figures(*other)
        if above is None or below is None:
            return None
        return Spread.of([factor * a / b for a, b in zip(above, below, strict=True)])


def load(path: Path) -> dict[str, Measured]:
    """Parts as they were last kept; none without the file."""
    return msgspec.json.decode(path.read_bytes(), type=dict[str, Measured]) if path.exists() else {}


def keep(path: Path, parts: Mapping[str, Measured]) -> dict[str, Measured]:
    """Put newly measured parts in the place of earlier ones; all of them."""
    kept = load(path) | dict(parts)
    write_json(path, kept)
    return kept
