"""python -m benchmarks.kernels -h; `make bench` runs it after the stream's benchmarks."""

from __future__ import annotations

import os
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console

from benchmarks.kernels.contest import pinned, race
from benchmarks.kernels.contests import contests
from benchmarks.kernels.report import Kernels, document, table
from benchmarks.kernels.torch_network import installed
from benchmarks.machine import describe_alone
from models.errors import GradstreamError

RESULTS = Path(__file__).parents[1] / "results"
ROWS = 200_000
WITHOUT_TORCH = (
    "PyTorch is not installed and was left out: name a source of its CPU build, "
    "make bench TORCH_INDEX_URL=…, or pip install 'gradstream[peers]'."
)

console = Console(stderr=True)


def measure(rows: int, repeats: int, core: int) -> Kernels:
    """All contests on one core; progress goes to standard error."""
    with tempfile.TemporaryDirectory(prefix="gradstream-kernels-") as folder, pinned(core):
        results = [race(one, repeats, console.print) for one in contests(Path(folder), rows)]
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Kernels(at, describe_alone(), results)


def run(rows: int, repeats: int, core: int, write: bool) -> None:
    """Measure, print the ratios, and keep them if `write`."""
    load = os.getloadavg()[0]
    found = measure(rows, repeats, core)
    Console(width=None if sys.stdout.isatty() else 140).print(table(found.results))
    left_out = "" if installed() else WITHOUT_TORCH
    if left_out:
        console.print(left_out, soft_wrap=True)
    if write:
        document(found.results, repeats, load, left_out)
        console.print(f"all of it: {found.write(RESULTS)}", soft_wrap=True)


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--rows", type=click.IntRange(min=1_000), default=ROWS, help="Rows of the linear contests.")
@click.option("--repeats", type=click.IntRange(min=1), default=7, help="Measured passes of each contender.")
@click.option("--quick", is_flag=True, help="A tenth of the rows, two passes, nothing written.")
def main(rows: int, repeats: int, quick: bool) -> None:
    """Microseconds of CPU that a learner takes for a row, next to VW, River and PyTorch."""
    if quick:
        rows, repeats = max(1_000, rows // 10), min(2, repeats)
    try:
        run(rows, repeats, max(os.sched_getaffinity(0)), write=not quick)
    except GradstreamError as error:
        console.print(f"error: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
