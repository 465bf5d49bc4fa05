"""gradstream demo: the whole system on real flights, on the local stack."""

from __future__ import annotations

from pathlib import Path

import click

ALL_FLIGHTS = 336_776
FEWEST_FLIGHTS = 1_000


@click.command()
@click.option("--keep", is_flag=True, help="Leave Kafka and Redis up, to look around in.")
@click.option(
    "--flights",
    "limit",
    type=click.IntRange(FEWEST_FLIGHTS, ALL_FLIGHTS),
    default=ALL_FLIGHTS,
    show_default=True,
    metavar="N",
    help="Only the first N flights of the year.",
)
@click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder of the servers.  [default: a temporary one; with --keep ./.gradstream/local]",
)
def command(keep: bool, limit: int, directory: Path | None) -> None:
    """Predict at departure whether flights arrive late, learn when they land, on a real Kafka and Redis."""
    from streams.demo.run import demo

    demo(directory, keep, limit)
