"""What the parts gave: tables on a terminal, and a section of docs/results.md with pictures and the goals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.table import Table

from benchmarks.bars import Bar, svg
from benchmarks.document import RESULTS, markdown_table, write_section
from benchmarks.results import Spread
from benchmarks.suite import goals
from benchmarks.suite.measured import MEASURES, Measured, Part

PICTURED = ("rate", "p99", "milliseconds")
"""The measures that a picture shows, of the first that a part has."""
TEXT = """\
`make bench` (or `python -m benchmarks.suite`): each system in a process of its own on one core, servers and
harness on another, all in turns; median (min – max) of the repeats, and ratios of runs that stood beside each
other. What each peer does and how it was tuned: benchmarks/README.md.

{parts}

### Goals

{goals}
"""


def header(measured: Measured, compared: Sequence[str]) -> list[str]:
    """The columns of a part's table: who, each measure, the ratios where there is somebody else."""
    first = next(iter(measured.rows), "")
    ratios = [f"{first} ÷ it, {MEASURES[name].heading}" for name in compared]
    columns = [MEASURES[name].heading for name in _measures(measured)]
    return ["", *columns, *(ratios if len(measured.rows) > 1 else [])]


def cells(measured: Measured, compared: Sequence[str]) -> list[list[str]]:
    """A row for each contestant."""
    first = next(iter(measured.rows), "")
    made = []
    for who, row in measured.rows.items():
        figures = (
            Spread.of(row[name]).text(MEASURES[name].digits) if name in row else ""
            for name in _measures(measured)
        )
        shown = [who, *figures]
        for name in compared if len(measured.rows) > 1 else ():
            ratio = measured.ratio((first, name), (who, name))
            shown.append(f"{ratio.text(2)} ×" if ratio is not None and who != first else "")
        made.append(shown)
    return made


def _measures(measured: Measured) -> list[str]:
    """Of all contestants, in the order of MEASURES."""
    return [name for name in MEASURES if any(name in row for row in measured.rows.values())]


def terminal(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """A table for a terminal."""
    made = Table(title=title)
    for i, column in enumerate(columns):
        made.add_column(column, justify="right" if i else "left")
    for row in rows:
        made.add_row(*row)
    return made


def goals_table(measured: Mapping[str, Measured]) -> Table:
    """The goals for a terminal, those alone that something was measured for."""
    found = [goal.row(measured) for goal in goals.GOALS if goal.found(measured) is not None]
    return terminal("goals", goals.HEADER, found)


def picture(part: Part, measured: Measured) -> str | None:
    """Bars of what the part is about; None where it has nothing to compare."""
    name = next((name for name in PICTURED if name in _measures(measured)), None)
    if name is None:
        return None
    bars = [Bar(who, Spread.of(row[name])) for who, row in measured.rows.items() if name in row]
    return svg(bars, MEASURES[name].heading, MEASURES[name].digits)


def document(parts: Sequence[Part], measured: Mapping[str, Measured], path: Path = RESULTS) -> None:
    """Write the section, and the pictures that it shows, into the folder `images` beside it."""
    images = path.parent / "images"
    made = [_section(part, measured[part.name], images) for part in parts if part.name in measured]
    table = markdown_table(goals.HEADER, goals.rows(measured))
    write_section("suite", "Speed", TEXT.format(parts="\n\n".join(made), goals=table), path)


def _section(part: Part, measured: Measured, images: Path) -> str:
    settings = ", ".join(
        f"{name.replace('_', ' ')} {_text(value)}" for name, value in measured.settings.items()
    )
    before, after = measured.load
    lines = [
        f"### {part.title}",
        f"`{part.name}`: {part.text}",
        markdown_table(header(measured, part.compared), cells(measured, part.compared)),
    ]
    if (drawn := picture(part, measured)) is not None:
        image = images / f"suite-{part.name}.svg"
        image.parent.mkdir(parents=True, exist_ok=True)
        image.write_text(drawn, "utf-8")
        lines.append(f"![{part.title}](images/{image.name})")
    machine = measured.machine
    lines.append(
        f"{settings[:1].upper()}{settings[1:]}; {machine['cpu']}, {machine['cores']} cores, Apache Kafka "
        f"{machine['kafka']}, {measured.at[:10]}, load average {before:.1f} to {after:.1f}."
    )
    return "\n\n".join(lines)


def _text(value: object) -> str:
    return f"{value:,}" if isinstance(value, int | float) else str(value)
