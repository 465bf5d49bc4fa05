"""python -m benchmarks.suite -h; `make bench` runs it."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console

from benchmarks.machine import describe
from benchmarks.suite.measured import Effort, Measured, Part, keep
from benchmarks.suite.parts import PARTS
from benchmarks.suite.place import Place
from benchmarks.suite.report import cells, document, goals_table, header, terminal
from benchmarks.watch import BenchmarkError, cores
from infra.local import LocalStack
from models.errors import GradstreamError

KEPT = Path(__file__).parents[1] / "results" / "suite.json"
QUICK = 0.05
WIDTH = 180
"""Of a table that goes to a file."""
NAMES = tuple(part.name for part in PARTS)
CONTESTANTS = tuple(dict.fromkeys(name for part in PARTS for name in part.contestants))

console = Console(stderr=True)


def _names(value: str, known: Sequence[str], what: str) -> list[str]:
    """Names separated by commas; raises BadParameter."""
    names = [name.strip() for name in value.split(",") if name.strip()]
    for name in names:
        if name not in known:
            raise click.BadParameter(f"{name!r} is no {what}, expected some of {', '.join(known)}")
    if not names or len(set(names)) < len(names):
        raise click.BadParameter(f"{value!r}: expected at least one {what}, each once")
    return names


def parse_workloads(_context: click.Context, _parameter: click.Parameter, value: str) -> list[Part]:
    """The parts that are named, in the order of the suite."""
    names = _names(value, NAMES, "workload")
    return [part for part in PARTS if part.name in names]


def parse_peers(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> frozenset[str] | None:
    """None: all of them."""
    return None if value is None else frozenset(_names(value, CONTESTANTS, "peer"))


def measure(parts: Sequence[Part], effort: Effort) -> dict[str, Measured]:
    """Start the stack on the first core, measure on the second; a table for each part as it is done."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the worker of the moment ends too
    server_core, worker_core = cores()
    both = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {server_core})  # the servers inherit it
    measured: dict[str, Measured] = {}
    out = Console(width=None if sys.stdout.isatty() else WIDTH)
    with tempfile.TemporaryDirectory(prefix="gradstream-bench-") as folder, LocalStack(Path(folder)) as stack:
        status = stack.status()
        if status.kafka is None or status.redis is None:
            raise BenchmarkError(f"the local stack in {folder} does not answer")
        machine = describe(status.redis)
        place = Place(status.kafka, status.redis, Path(folder), worker_core, both)
        for part in parts:
            at, before = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), os.getloadavg()[0]
            rows, settings = part.measure(place, effort)
            if not rows:
                continue  # none of the chosen peers is in it
            load = (before, os.getloadavg()[0])
            found = Measured(part.name, at, load, settings, machine, {k: dict(v) for k, v in rows.items()})
            measured[part.name] = found
            out.print(terminal(part.title, header(found, part.compared), cells(found, part.compared)))
    return measured


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option(
    "--workloads", "parts", callback=parse_workloads, default=",".join(NAMES), help="What is measured."
)
@click.option("--peers", callback=parse_peers, help="These alone, where they take part; nothing is kept.")
@click.option("--repeats", type=click.IntRange(min=1), default=5, help="Measured runs of each.")
@click.option("--scale", type=click.FloatRange(min=0, min_open=True), default=1.0, help="Of the samples.")
@click.option("--quick", is_flag=True, help=f"{QUICK:.0%} of the samples, once: a look; nothing is kept.")
@click.option(
    "--document/--no-document", "write", default=True, help="Keep the figures, and write docs/results.md."
)
def main(
    parts: list[Part], peers: frozenset[str] | None, repeats: int, scale: float, quick: bool, write: bool
) -> None:
    """gradstream beside its peers on every kind of stream, and whether the goals of speed are met."""
    effort = Effort(1, QUICK, peers) if quick else Effort(repeats, scale, peers)
    try:
        measured = measure(parts, effort)
    except GradstreamError as error:
        console.print(f"error: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(1)
    whole = write and not quick and peers is None and scale == 1.0
    if whole:
        document(PARTS, keep(KEPT, measured))
        console.print(f"all of it: {KEPT}", soft_wrap=True)
    Console(width=None if sys.stdout.isatty() else WIDTH).print(goals_table(measured))


if __name__ == "__main__":
    main()
