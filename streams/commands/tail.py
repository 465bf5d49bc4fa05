"""gradstream tail: the records of a topic as they come."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from infra.kafka_admin import KafkaAdmin
    from infra.settings import KafkaSettings

QUIET_SECONDS = 10.0
"""After so much silence it is asked whether the topic is still there: the client waits for ever."""


@click.command()
@click.argument("topic")
@click.option("--from-beginning", is_flag=True, help="Begin with the oldest record, not with the next one.")
@click.option("--max-messages", type=click.IntRange(0), metavar="N", help="End after N records.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for machines.")
def command(topic: str, from_beginning: bool, max_messages: int | None, as_json: bool) -> None:
    """Show the records of TOPIC as they come: predictions, dead letters, samples, labels. Ctrl-C ends it."""
    from infra.kafka_admin import KafkaAdmin
    from infra.settings import load_connections
    from streams.commands._common import console, invocation

    kafka = load_connections(invocation().config, invocation().overrides).kafka
    show = _as_json if as_json else _as_line(console())
    with KafkaAdmin(kafka) as admin:
        starts = admin.start_offsets(topic) if from_beginning else admin.end_offsets(topic)
        records = _records(kafka, admin, topic, starts)
        left = max_messages
        try:
            while left is None or left > 0:
                show(next(records))
                left = None if left is None else left - 1
        except KeyboardInterrupt:
            pass
        finally:
            records.close()


def _as_json(record: Any) -> None:
    click.echo(_shown(record).as_json())


def _as_line(console: Any) -> Callable[[Any], None]:
    return lambda record: console.print(_shown(record).as_line())


def _shown(record: Any) -> Any:
    from streams.commands._shown import Shown

    return Shown(
        record.topic,
        record.partition,
        record.offset,
        record.timestamp,
        record.key,
        record.value,
        record.headers,
    )


def _records(
    kafka: KafkaSettings, admin: KafkaAdmin, topic: str, starts: dict[int, int]
) -> Generator[Any, None, None]:
    """The topic's records from these offsets on, without end; raises KafkaUnavailable."""
    from streams.commands._reading import consumer_at

    with consumer_at(kafka, topic, starts) as consumer:
        heard = time.monotonic()
        while True:
            for batch in consumer.poll(timeout_ms=500).values():
                yield from batch
                heard = time.monotonic()
            if time.monotonic() - heard > QUIET_SECONDS:
                admin.require(topic)
                heard = time.monotonic()
