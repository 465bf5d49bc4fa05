"""gradstream resume: let a model learn again that has halted after refused updates."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from infra.redis_store import RedisStore
    from infra.settings import KafkaSettings, Settings
    from streams.commands._live import LiveModel


@click.command()
@click.argument("name")
def command(name: str) -> None:
    """Let the model NAME learn again, which has halted because update after update was refused.

    Appends a record of kind `resume` to its learning log: every worker goes on learning from there. A model
    that has not halted takes no notice of it.
    """
    import asyncio

    from streams.commands._common import load

    settings = load()
    live = _live(settings, name)
    topic, end = _log(settings, name)
    if live is not None and not live.halted and int(live.text["log_offset"]) >= end:
        click.echo(f"Model {name} has not halted: nothing to resume, nothing was written.")
        return
    offset = asyncio.run(_append(settings.kafka, topic))
    click.echo(f"Appended to {topic} at offset {offset}: {_meaning(name, live, end)}")


def _meaning(name: str, live: LiveModel | None, end: int) -> str:
    if live is None:
        return f"model {name} has no checkpoint in Redis; if it has halted, it learns again from here."
    if not live.halted:
        behind = end - int(live.text["log_offset"])
        return (
            f"model {name} had not halted by its last checkpoint, {behind:,} log records before; if it has "
            "since, it learns again from here."
        )
    skipped = int(live.text.get("skipped", 0))
    return f"model {name} had halted, with {skipped:,} samples not learned; it learns again from here."


def _live(settings: Settings, name: str) -> LiveModel | None:
    """The checkpoint, None where there is none yet; raises UnknownModel."""
    from streams.commands._common import invocation, unknown_model, with_store
    from streams.commands._live import read_live

    async def read(store: RedisStore) -> tuple[LiveModel | None, list[str]]:
        return await read_live(store, name), await store.models()

    live, known = with_store(settings.redis, read)
    if live is None and name not in {*known, *settings.models}:
        raise unknown_model(name, {*known, *settings.models}, f"in Redis or in {invocation().config}")
    return live


def _log(settings: Settings, name: str) -> tuple[str, int]:
    """The learning log's topic and end; raises GradstreamError where nothing was begun."""
    from infra.kafka_admin import KafkaAdmin
    from models.errors import GradstreamError
    from streams.commands._live import log_topic

    topic = log_topic(settings, name)
    with KafkaAdmin(settings.kafka) as admin:
        there = admin.describe([topic])
        end = admin.end_offsets(topic)[0] if topic in there else 0
    if not end:
        state = "is empty" if topic in there else "is not there"
        raise GradstreamError(
            f"model {name}: its learning log {topic} {state}, so there is nothing to resume; "
            "a worker begins it (gradstream worker)"
        )
    return topic, end


async def _append(kafka: KafkaSettings, topic: str) -> int:
    """Append the record and wait for the acknowledgement; raises LogError."""
    from infra.kafka_clients import aiokafka_config
    from streams.learning_log import LogWriter

    writer = LogWriter(topic, aiokafka_config(kafka))
    await writer.start()
    try:
        return await writer.append("resume", str(uuid.uuid4()), 0, None)
    finally:
        await writer.stop()
