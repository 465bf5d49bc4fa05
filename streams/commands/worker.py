"""gradstream worker: one stream processor; start more to scale out."""

from __future__ import annotations

import click

from streams.commands._common import invocation, load, model_settings
from streams.commands._leave import and_leave


@click.command()
@click.option("--model", default=None, metavar="NAME", help="Run this model alone, in a group of its own.")
@click.option("--drain", is_flag=True, help="Process what is in the topics now, save, exit 0.")
def command(model: str | None, drain: bool) -> None:
    """Predict and learn from the samples topics of gradstream.toml, until it is stopped."""
    settings = load()
    if model is not None:
        model_settings(settings, model)

    import uvloop

    from infra import logs
    from streams.app import run_worker

    logs.configure(invocation().debug)
    uvloop.run(and_leave(run_worker(settings, model, drain), invocation().debug))
