"""gradstream worker: one stream processor; start more to scale out."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option("--config", type=click.Path(path_type=Path), default=None, help="Settings (./gradstream.toml).")
@click.option("--model", default=None, metavar="NAME", help="Run this model alone, in a group of its own.")
@click.option("--drain", is_flag=True, help="Process what is in the topics now, save, exit 0.")
@click.pass_context
def command(context: click.Context, config: Path | None, model: str | None, drain: bool) -> None:
    """Predict and learn from the samples topics of gradstream.toml, until it is stopped."""
    from infra import logs
    from infra.settings import SettingsError, load_settings
    from streams.commands._common import config_path, debug_wanted

    settings = load_settings(config_path(context, config))
    if model is not None and model not in settings.models:
        raise SettingsError(f"no model {model!r}; the settings have: {', '.join(settings.models)}")
    logs.configure(debug_wanted(context))

    import uvloop

    from streams.app import Worker

    async def work() -> None:
        names = list(settings.models) if model is None else [model]
        group = settings.group_id if model is None else f"{settings.group_id}.{model}"
        await Worker(settings, names, group, drain=drain).run()

    uvloop.run(work())
