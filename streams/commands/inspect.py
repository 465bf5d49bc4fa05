"""gradstream inspect: one model's parameters, metrics, offsets and lag; or one sample that waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from infra.settings import Settings
    from streams.commands._inspect_shown import Seen
    from streams.commands._live import LiveModel


@click.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for machines.")
@click.option("--waiting", metavar="ID", help="Only the sample ID that waits for its late label.")
def command(name: str, as_json: bool, waiting: str | None) -> None:
    """Show the model NAME as its last checkpoint in Redis has it, and how far it is behind the stream."""
    from models.errors import GradstreamError
    from streams.commands._common import console, load, print_json
    from streams.commands._inspect_shown import show
    from streams.commands._live import find_live, report_document

    settings = load()
    live = find_live(settings, name)
    if waiting is not None:
        _waiting_sample(settings, live, waiting, as_json)
        return
    seen: Seen | None = None
    failure: GradstreamError | None = None
    try:
        if name in settings.models:
            seen = _look(settings, live)
    except GradstreamError as error:  # what Redis knows is shown all the same
        failure = error
    document = live.document(None if seen is None else sum(seen.lags.values()))
    document["labels"] = _labels(settings, live, None if seen is None else seen.label_lags)
    if as_json:
        print_json({**document, "fields": None if seen is None else report_document(seen.report)})
    else:
        show(console(), live.label_counts(), document, seen)
    if failure is not None:
        raise failure


def _look(settings: Settings, live: LiveModel) -> Seen:
    from infra.kafka_admin import KafkaAdmin
    from streams.commands._inspect_shown import Seen
    from streams.commands._live import lag_by_partition, report_on

    model, counts = settings.models[live.name], live.label_counts()
    with KafkaAdmin(settings.kafka) as admin:
        lags = lag_by_partition(admin, model.samples, live.offsets)
        labels = {}
        if model.labels is not None and counts is not None:
            labels = lag_by_partition(admin, model.labels, counts.offsets)
        return Seen(lags, labels, report_on(settings.kafka, admin, model, shown=0))


def _labels(settings: Settings, live: LiveModel, lags: dict[str, int] | None) -> dict[str, Any] | None:
    """The key `labels`; lags None: not known."""
    from streams.commands._common import with_store
    from streams.commands._waiting import bytes_taken

    labels, model = live.json("labels"), settings.models.get(live.name)
    if labels is None:
        return None
    return {
        **labels,
        "lag": sum(lags.values()) if lags else None,
        "redis": {
            "waiting_bytes": with_store(settings.redis, lambda store: bytes_taken(store, live)),
            "limit": None if model is None else model.waiting_limit,
        },
    }


def _waiting_sample(settings: Settings, live: LiveModel, id_: str, as_json: bool) -> None:
    from streams.commands._common import console, print_json, with_store
    from streams.commands._waiting import NothingWaits, find
    from streams.commands._waiting_sample import Window, sample_document, show_sample

    if live.label_counts() is None:
        raise NothingWaits(f"model '{live.name}': its labels stand in its samples, so no sample waits")
    model = settings.models.get(live.name)
    found = with_store(settings.redis, lambda store: find(store, live, id_))
    document = sample_document(live, id_, found, None if model is None else Window.of(model))
    if as_json:
        print_json(document)
    else:
        show_sample(console(), document)
