"""gradstream models: the live models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from infra.redis_store import RedisStore
    from infra.settings import Settings
    from streams.commands._live import LiveModel

MAIN_METRIC = {"regression": "rmse", "binary": "log_loss", "multiclass": "log_loss"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON array, for machines.")
def command(as_json: bool) -> None:
    """List the models that Redis knows, and those of gradstream.toml that have not begun."""
    from infra.kafka_errors import KafkaUnavailable
    from streams.commands._common import console, load, plain_table, print_json, with_store

    settings = load()
    live = with_store(settings.redis, _read_all)
    names = sorted(live.keys() | settings.models.keys())
    failure = None
    try:
        lags = _lags(settings, live)
    except KafkaUnavailable as error:  # what Redis knows is shown all the same
        lags, failure = {}, error
    rows = [_row(name, live.get(name), settings, lags.get(name)) for name in names]
    if as_json:
        print_json(rows)
    else:
        late = any(row["waiting"] is not None for row in rows)
        right = ["version", "samples learned", *(["waiting"] if late else []), "dead letters", "lag"]
        table = plain_table("model", "task", *right, "metric", "saved", "alarm", right=right)
        for row in rows:
            table.add_row(*_cells(row, late))
        console().print(table)
    if failure is not None:
        raise failure


async def _read_all(store: RedisStore) -> dict[str, LiveModel]:
    from streams.commands._live import read_live

    found = {name: await read_live(store, name) for name in await store.models()}
    return {name: live for name, live in found.items() if live is not None}


def _lags(settings: Settings, live: dict[str, LiveModel]) -> dict[str, int]:
    from infra.kafka_admin import KafkaAdmin
    from streams.commands._live import lag_by_partition

    with KafkaAdmin(settings.kafka) as admin:
        there = admin.describe(model.samples for model in settings.models.values())
        return {
            name: sum(
                lag_by_partition(admin, model.samples, live[name].offsets if name in live else {}).values()
            )
            for name, model in settings.models.items()
            if model.samples in there
        }


def _row(name: str, live: LiveModel | None, settings: Settings, lag: int | None) -> dict[str, Any]:
    if live is None:
        task = settings.models[name].task
        return {
            "model": name,
            "task": task,
            "version": None,
            "samples_learned": 0,
            "waiting": None,
            "dead_letters": 0,
            "lag": lag,
        }
    document, labels = live.document(lag), live.label_counts()
    document["waiting"] = None if labels is None else labels.waiting
    keys = (
        "model",
        "task",
        "version",
        "samples_learned",
        "waiting",
        "dead_letters",
        "lag",
        "metrics",
        "saved_at",
    )
    alarms = {"halted": live.halted, "unequal": live.unequal is not None}
    return {**{key: document[key] for key in keys}, **alarms}


def _cells(row: dict[str, Any], late: bool) -> list[str]:
    """Of the table; late: whether it has a column of samples that wait."""
    metric = MAIN_METRIC.get(row["task"], "log_loss")
    value = (row.get("metrics") or {}).get(metric)
    return [
        row["model"],
        row["task"],
        "not begun" if row["version"] is None else str(row["version"]),
        f"{row['samples_learned']:,}",
        *(["" if row["waiting"] is None else f"{row['waiting']:,}"] if late else []),
        f"{row['dead_letters']:,}",
        "?" if row["lag"] is None else f"{row['lag']:,}",
        "" if value is None else f"{metric} {value:.4f}",
        row.get("saved_at") or "",
        ", ".join(alarm for alarm in ("halted", "unequal") if row.get(alarm)),
    ]
