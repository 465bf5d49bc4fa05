"""What the contests gave: a table, a section of docs/results.md, a file under benchmarks/results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich.table import Table

from benchmarks.document import conditions, markdown_table, write_json, write_section
from benchmarks.kernels.contest import OURS, Lap, Result
from benchmarks.machine import peer_versions

HEADER = ["contest", "peer", "ours µs/row", "peer µs/row", "ours is faster by", "target"]
TEXT = """\
`make bench` (or `python -m benchmarks.kernels`): each learner beside its peer, without Kafka, in turns on
one core; CPU time of a row, median (min – max) of {repeats} passes, and the ratio of passes that stood
beside each other. Ours predicts, learns and can undo, in float64, on batches of prebuilt rows; VW runs its
own driver on its own cache file; River takes dictionaries; PyTorch makes one step for each sample or batch,
and its forward pass is the prediction.

{table}

Prequential log loss of these passes, so that it is seen that all of them learn: {losses}.{left_out}

{conditions} {versions}.
"""


class Kernels(msgspec.Struct):
    """What a file under benchmarks/results holds."""

    at: str
    machine: dict[str, object]
    results: list[Result]

    def write(self, directory: Path) -> Path:
        """Write it as indented JSON; returns the path."""
        return write_json(directory / f"kernels-{self.at.replace(':', '')}.json", self)


def cells(results: Sequence[Result]) -> list[list[str]]:
    """A row for each peer of each contest, as HEADER names the columns."""
    return [
        [
            result.name,
            peer,
            result.microseconds(OURS).text(2),
            result.microseconds(peer).text(2),
            f"{result.ratio(peer).text(2)} ×",
            f"≥ {result.targets[peer]:g} ×" if peer in result.targets else "",
        ]
        for result in results
        for peer in result.laps
        if peer != OURS
    ]


def _loss(lap: Lap) -> str:
    return "diverged" if lap.log_loss is None else f"{lap.log_loss:.4f}"


def table(results: Sequence[Result]) -> Table:
    """For a terminal."""
    made = Table(title="Kernels without Kafka", caption="CPU time of a row, median (min – max); one core")
    for i, name in enumerate(HEADER):
        made.add_column(name, justify="left" if i < 2 else "right")
    for row in cells(results):
        made.add_row(*row)
    return made


def document(results: Sequence[Result], repeats: int, load: float, left_out: str) -> None:
    """Write the section; `left_out`: a sentence about a peer that is not there, or nothing."""
    losses = "; ".join(
        f"{result.name}: " + ", ".join(f"{name} {_loss(laps[-1])}" for name, laps in result.laps.items())
        for result in results
    )
    text = TEXT.format(
        repeats=repeats,
        table=markdown_table(HEADER, cells(results)),
        losses=losses,
        left_out=f" {left_out}" if left_out else "",
        conditions=conditions(load),
        versions=", ".join(" ".join(pair) for pair in peer_versions().items()),
    )
    write_section("kernels", "Speed of the learners", text)
