"""gradstream reset: forget a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from infra.redis_store import RedisStore
    from infra.settings import Settings
    from streams.commands._forget import Remains
    from streams.commands._live import LiveModel


@click.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--force", is_flag=True, help="Also while workers of the model run: they will stop with an error."
)
def command(name: str, yes: bool, force: bool) -> None:
    """Forget the model NAME: its Redis keys, its learning log, its consumer groups' offsets.

    Samples, predictions and dead letters stay. The next worker begins the model anew.
    """
    from infra.kafka_admin import KafkaAdmin
    from streams.commands._common import load, with_store
    from streams.commands._forget import delete_checkpoint, delete_from_kafka, look

    settings = load()
    live, known = _read(settings, name)
    with KafkaAdmin(settings.kafka) as admin:
        remains = look(settings, admin, name, live, name in known)
        _check_known(settings, remains, known)
        if remains.nothing:
            click.echo(f"There is nothing of model {name}.")
            return
        _check_stopped(remains, force)
        click.echo(f"Of model {name} this will be deleted for ever:")
        for line in remains.lines():
            click.echo(f"  {line}")
        if not yes and not _confirmed():
            click.echo("Nothing was deleted; --yes deletes without asking.", err=True)
            click.get_current_context().exit(1)
        with_store(settings.redis, lambda store: delete_checkpoint(store, remains))
        click.echo("Redis keys: deleted")
        delete_from_kafka(settings, admin, remains, click.echo)
    click.echo(_left_alone(settings, name))


def _read(settings: Settings, name: str) -> tuple[LiveModel | None, list[str]]:
    """The checkpoint, and all names that Redis knows."""
    from streams.commands._common import with_store
    from streams.commands._live import NotReadable, read_live

    async def read(store: RedisStore) -> tuple[LiveModel | None, list[str]]:
        known = await store.models()
        try:
            return await read_live(store, name), known
        except NotReadable:  # whatever it is, it stands under the model's key
            return None, [*known, name]

    return with_store(settings.redis, read)


def _check_known(settings: Settings, remains: Remains, known: list[str]) -> None:
    from streams.commands._common import invocation, unknown_model

    if remains.name not in settings.models and remains.nothing:
        raise unknown_model(remains.name, {*known, *settings.models}, f"in Redis or in {invocation().config}")


def _check_stopped(remains: Remains, force: bool) -> None:
    from streams.commands._forget import StillRunning

    if remains.members and not force:
        count = "1 worker runs" if len(remains.members) == 1 else f"{len(remains.members)} workers run"
        raise StillRunning(
            f"model {remains.name}: {count} ({', '.join(remains.members)}); stop the workers first; one that "
            "was killed counts until its session ends (session_timeout)"
        )


def _confirmed() -> bool:
    try:
        return click.confirm("Delete?")
    except click.Abort:
        click.echo()
        return False


def _left_alone(settings: Settings, name: str) -> str:
    model = settings.models.get(name)
    topics = (
        f"{name}.predictions and {name}.dead-letters"
        if model is None
        else f"{model.samples}, {model.predictions} and {model.dead_letters}"
    )
    return f"Left alone, with all that is in them: {topics}."
