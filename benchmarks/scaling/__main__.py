"""python -m benchmarks.scaling -h; it takes less than five minutes."""

from __future__ import annotations

import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console

from benchmarks.document import write_json
from benchmarks.machine import describe_alone
from benchmarks.scaling import report, tables
from benchmarks.scaling.study import FULL, QUICK, Study, study
from models.errors import GradstreamError

KEPT = Path(__file__).parents[1] / "results" / "scaling.json"
WIDTH = 180
"""Of a table that goes to a file."""


class Kept(msgspec.Struct):
    """What the file holds."""

    at: str
    load: tuple[float, float]
    machine: dict[str, Any]
    study: Study


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--quick", is_flag=True, help="Fewer samples, less simulated: a look; nothing is kept.")
@click.option(
    "--document/--no-document", "write", default=True, help="Keep the figures, and write docs/scaling.md."
)
@click.option("--again", is_flag=True, help="Write docs/scaling.md from the figures that are kept.")
def main(quick: bool, write: bool, again: bool) -> None:
    """Where the limits of one model's log lie: costs, real workers, formulas and simulation."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that workers and servers end too
    err, out = Console(stderr=True), Console(width=None if sys.stdout.isatty() else WIDTH)
    load = os.getloadavg()[0]
    if again:
        kept = msgspec.json.decode(KEPT.read_bytes(), type=Kept)
        report.document(kept.study, _told(kept))
        return
    try:
        with err.status("measuring") as status:

            def tell(text: str) -> None:
                status.update(text)
                if not err.is_terminal:
                    err.print(text, highlight=False)

            found = study(QUICK if quick else FULL, tell)
    except GradstreamError as error:
        err.print(f"error: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(1)
    for part in tables.parts(found):
        out.print(part.terminal())
    out.print(tables.far(found))
    if write and not quick:
        at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        kept = Kept(at, (load, os.getloadavg()[0]), describe_alone(), found)
        write_json(KEPT, kept)
        report.document(found, _told(kept))
        err.print(f"all of it: {KEPT}", soft_wrap=True)


def _told(kept: Kept) -> str:
    """The machine in one line, and its load average then."""
    machine, (before, after) = kept.machine, kept.load
    return (
        f"{machine['cpu']}, {machine['cores']} cores, {kept.at[:10]}, "
        f"load average {before:.1f} to {after:.1f}."
    )


if __name__ == "__main__":
    main()
