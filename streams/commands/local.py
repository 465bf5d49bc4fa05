"""gradstream local: a real Kafka and a real Redis on this machine, without Docker."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from infra.local import Status

_directory = click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".gradstream") / "local",
    show_default=True,
    help="Folder for ports, data and logs of the servers.",
)
_as_json = click.option("--json", "as_json", is_flag=True, help="One JSON object, for machines.")


@click.group()
def local() -> None:
    """A real Apache Kafka and a real Redis on this machine, from Python packages alone."""


@local.command()
@_directory
@_as_json
def start(directory: Path, as_json: bool) -> None:
    """Start what does not run, and return when both servers are ready."""
    from infra.local import LocalStack

    status = LocalStack(directory).start(progress=lambda line: click.echo(line, err=True))
    if as_json:
        click.echo(_json(status))
        return
    option = "" if directory == Path(".gradstream") / "local" else f" --dir {directory}"
    click.echo(_text(status))
    click.echo("\nFor commands and programs in this shell:\n")
    click.echo(f"  export GRADSTREAM_KAFKA__BOOTSTRAP_SERVERS={status.kafka}")
    click.echo(f"  export GRADSTREAM_REDIS__URL={status.redis}")
    click.echo(f"\nThe servers run until: gradstream local stop{option}")


@local.command()
@_directory
def stop(directory: Path) -> None:
    """Stop both servers cleanly; their data stays."""
    from infra.local import LocalStack

    stopped = LocalStack(directory).stop()
    click.echo(f"Stopped {' and '.join(stopped)}." if stopped else f"Nothing ran in {directory}.")


@local.command()
@_directory
@_as_json
def status(directory: Path, as_json: bool) -> None:
    """Show what runs and answers; the exit code is 0 only if both servers do."""
    from infra.local import LocalStack

    found = LocalStack(directory).status()
    click.echo(_json(found) if as_json else _text(found))
    raise SystemExit(0 if found.ready else 1)


def _json(status: Status) -> str:
    return json.dumps({"kafka": status.kafka, "redis": status.redis, "dir": str(status.dir)})


def _text(status: Status) -> str:
    rows = (("Kafka", status.kafka, status.kafka_pid), ("Redis", status.redis, status.redis_pid))
    lines = []
    for name, address, pid in rows:
        if address is not None:
            lines.append(f"{name}  {address}  (process {pid})")
        else:
            lines.append(f"{name}  {'does not run' if pid is None else f'process {pid} does not answer'}")
    return "\n".join([*lines, f"Data   {status.dir}"])
