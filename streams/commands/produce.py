"""gradstream produce: a file's samples, or labels, to a topic."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

if TYPE_CHECKING:
    from streams.commands._columns import Format


@click.command()
@click.argument("topic")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True))
@click.option("--key", metavar="COLUMN", help="Column with the record's key.  [default: the id]")
@click.option("--id", "id_", metavar="COLUMN", help="Column with the sample's id.")
@click.option("--label", metavar="COLUMN", help="Column with the label.")
@click.option("--timestamp", metavar="COLUMN", help="Column with the event time (RFC 3339 or milliseconds).")
@click.option("--labels", is_flag=True, help="The lines are labels of samples that were sent without.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["jsonl", "csv"]),
    help="What the file is.  [default: by its ending; jsonl for -]",
)
def command(
    topic: str,
    file: Path,
    key: str | None,
    id_: str | None,
    label: str | None,
    timestamp: str | None,
    labels: bool,
    form: Format | None,
) -> None:
    """Send each line of FILE to TOPIC as a sample. FILE is JSON Lines or CSV, `-` is standard input.

    All columns that no option names become features. A JSON object that has `features` already is sent as
    it is. With --labels a line has `id` and `label`, and maybe `weight`, `timestamp` and `correction`.
    """
    from infra.kafka_admin import KafkaAdmin
    from infra.settings import load_connections
    from streams.commands._columns import Columns, format_of
    from streams.commands._common import invocation
    from streams.commands._messages import MessageReader
    from streams.commands._sending import Sending

    form = format_of(file, form)
    kafka = load_connections(invocation().config, invocation().overrides).kafka
    name = "standard input" if str(file) == "-" else str(file)
    columns = Columns(key, id_, label, timestamp)
    if labels:
        columns = Columns(key, id_ or "id", label or "label", timestamp)
    reader = MessageReader(columns, name, labels)
    with ExitStack() as stack:
        source: BinaryIO = sys.stdin.buffer if str(file) == "-" else stack.enter_context(file.open("rb"))
        with KafkaAdmin(kafka) as admin:
            admin.require(topic)
        sending = stack.enter_context(Sending(kafka, topic))
        tell = stack.enter_context(_progress(None if str(file) == "-" else file.stat().st_size))
        sending.run(reader, source, form, tell)
    for column in sorted(reader.unnamed):
        option = f"name it with --{column} {column}" if column != "weight" else "it is no sample weight there"
        click.echo(f"note: column '{column}' was sent as a feature; {option} if that is not meant", err=True)


@contextmanager
def _progress(size: int | None) -> Iterator[Callable[[int], None]]:
    """A progress bar on a terminal: bytes of the file, time left, rate. Yields what takes a line's size."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    from streams.commands._common import console

    columns = (
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TextColumn("{task.fields[lines]:,} lines"),
    )
    with Progress(*columns, TimeRemainingColumn(), console=console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=size, lines=0)
        lines, read, shown = 0, 0, time.monotonic()

        def tell(length: int) -> None:
            nonlocal lines, read, shown
            lines, read = lines + 1, read + length
            if time.monotonic() - shown > 0.1:
                shown = time.monotonic()
                progress.update(task, completed=read, lines=lines)

        yield tell
