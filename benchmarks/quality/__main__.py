"""python -m benchmarks.quality: all systems, families and streams, a quarter of an hour on one core."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from benchmarks.quality import settings
from benchmarks.quality.ours import Ours
from benchmarks.quality.race import Outcome, run
from benchmarks.quality.report import document, read, table, write
from benchmarks.quality.river_peer import River
from benchmarks.quality.streams import SOURCES, Source
from benchmarks.quality.vw_peer import VW

RESULTS = Path(__file__).parents[1] / "results" / "quality.json"
SYSTEMS: dict[str, tuple[Any, dict[str, list[Any]]]] = {
    "gradstream": (Ours, settings.OURS),
    "River": (River, settings.RIVER),
    "VW": (VW, settings.VW),
}

console = Console(stderr=True)


def some_of(allowed: Sequence[str]) -> Callable[[click.Context, click.Parameter, str | None], list[str]]:
    """A callback that reads names separated by commas; all of them if there are none."""

    def parse(_context: click.Context, _parameter: click.Parameter, value: str | None) -> list[str]:
        names = [name.strip() for name in value.split(",")] if value else list(allowed)
        for name in names:
            if name not in allowed:
                raise click.BadParameter(f"found {name!r}, expected some of {', '.join(allowed)}")
        return names

    return parse


def measure(sources: list[Source], systems: list[str], families: list[str]) -> Iterator[Outcome]:
    """Everything that was asked for; a line of progress for each outcome."""
    begun = time.monotonic()
    for source in sources:
        streams = [source.load(seed) for seed in source.seeds]
        for name in systems:
            kind, table_of = SYSTEMS[name]
            taken = [kind(stream) for stream in streams]
            for family in settings.FAMILIES:
                if family.name in families and family.name in table_of and family.takes(source.name):
                    tried = table_of[family.name]
                    outcome = run(source, streams, taken, family, tried, (name, kind.version))
                    console.print(_progress(outcome, time.monotonic() - begun), soft_wrap=True)
                    yield outcome


def _progress(one: Outcome, seconds: float) -> str:
    untuned, best = one.untuned.loss(one.loss), one.best.loss(one.loss)
    told = f"{one.loss} {untuned:.4f} untuned, {best:.4f} with {one.best.text}"
    return f"{seconds:5.0f} s  {one.source}, {one.family}, {one.system}: {told}  ({one.seconds:.0f} s)"


def merged(old: Sequence[Outcome], new: Sequence[Outcome]) -> list[Outcome]:
    """The new ones, and the old ones of systems, families and streams that were left out, in order.

    An old one of another version of its system is dropped.
    """
    versions = {name: kind.version for name, (kind, _) in SYSTEMS.items()}
    found = {_key(one): one for one in old if versions.get(one.system) == one.version}
    found |= {_key(one): one for one in new}
    ordered = [source.name for source in SOURCES]
    return sorted(
        found.values(), key=lambda one: (ordered.index(one.source), list(SYSTEMS).index(one.system))
    )


def _key(one: Outcome) -> tuple[str, str, str]:
    return one.source, one.family, one.system


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--systems", callback=some_of(list(SYSTEMS)), help="Which ones run; the others' last results stay."
)
@click.option("--families", callback=some_of([one.name for one in settings.FAMILIES]), help="Which ones run.")
@click.option("--streams", callback=some_of([one.name for one in SOURCES]), help="Which ones are learned.")
@click.option(
    "--document/--no-document", "writes", default=True, help="Write docs/results.md and the JSON file."
)
def main(systems: list[str], families: list[str], streams: list[str], writes: bool) -> None:
    """Prequential losses of gradstream, River and Vowpal Wabbit: untuned, and at the best of a grid."""
    load = os.getloadavg()[0]
    outcomes = read(RESULTS)
    for found in measure([one for one in SOURCES if one.name in streams], systems, families):
        outcomes = merged(outcomes, [found])
        if writes:  # at once, so that a run that is ended has not been for nothing
            write(RESULTS, outcomes)
    for family in settings.FAMILIES:
        click.echo(f"\n{family.name}\n{table(outcomes, family.name)}")
    if writes:
        document(outcomes, load)


if __name__ == "__main__":
    main()
