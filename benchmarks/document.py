"""docs/results.md: one file, a section for each measuring program, which alone rewrites it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from benchmarks.machine import cpu_name
from infra.local.jars import KAFKA_VERSION

RESULTS = Path(__file__).parents[1] / "docs" / "results.md"
HEADING = """\
# Measured results

Each section is written by the program that it names, on one machine, as it came. Load average: what else the
machine did when the program began and when it ended; with much of it, speeds are lower bounds.
"""


def write_json(path: Path, what: object, indent: int = 2) -> Path:
    """Keep figures for machines, in a folder that is made if need be; returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(what), indent=indent))
    return path


def write_section(name: str, title: str, text: str, path: Path = RESULTS) -> None:
    """Replace the section between the markers of `name`, or add it at the end; the rest stays."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    found = path.read_text("utf-8") if path.exists() else HEADING
    section = f"{begin}\n## {title}\n\n{text.strip()}\n{end}"
    before, marker, rest = found.partition(begin)
    if marker:
        _, closing, after = rest.partition(end)
        if not closing:
            raise ValueError(f"{path}: {begin} without {end}; restore the marker or delete the section")
        made = before + section + after
    else:
        made = f"{found.rstrip()}\n\n{section}\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(made, "utf-8")


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose first column is left-aligned, the others right."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (header, rule, *rows))


def conditions(load_before: float) -> str:
    """The machine in one line, and its load average from the beginning until now."""
    day = datetime.now(UTC).strftime("%Y-%m-%d")
    load = f"load average {load_before:.1f} to {os.getloadavg()[0]:.1f}"
    return f"{cpu_name()}, {os.cpu_count()} cores, Apache Kafka {KAFKA_VERSION}, {day}, {load}."
