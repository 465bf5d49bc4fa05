"""gradstream check: what is wrong with settings, servers, topics and samples, and how to mend it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console

    from infra.redis_store import RedisStore
    from infra.settings import Settings
    from streams.commands._findings import Finding, Findings
    from streams.commands._live import LiveModel


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for machines.")
def command(as_json: bool) -> None:
    """Look at everything a worker depends on: ✔ is well, ! is probably not meant, ✘ has to be mended.

    Shows also how the last samples of each topic would be encoded. The exit code is 1 if there is a ✘.
    """
    from streams.commands._check_redis import check_redis
    from streams.commands._common import console, invocation, load, print_json
    from streams.commands._findings import Findings

    settings = load()
    findings = Findings()
    count = "1 model" if len(settings.models) == 1 else f"{len(settings.models)} models"
    findings.ok(f"settings: {invocation().config}, {count}")
    live = _live_models(settings, findings) if check_redis(settings.redis, findings) else {}
    with findings.guarded():
        _check_kafka(settings, live, findings)
    if as_json:
        print_json(findings.document())
    else:
        _show(console(), findings)
    click.get_current_context().exit(0 if findings.good else 1)


def _live_models(settings: Settings, findings: Findings) -> dict[str, LiveModel]:
    from streams.commands._common import with_store
    from streams.commands._live import read_live

    found: dict[str, LiveModel] = {}

    async def read(store: RedisStore) -> None:
        for name in settings.models:
            with findings.guarded(name):
                live = await read_live(store, name)
                if live is not None:
                    found[name] = live

    with_store(settings.redis, read)
    return found


def _check_kafka(settings: Settings, live: dict[str, LiveModel], findings: Findings) -> None:
    from infra.kafka_admin import KafkaAdmin
    from streams.commands._check_model import check_model

    with KafkaAdmin(settings.kafka) as admin:
        count = admin.brokers()
        brokers = "1 broker" if count == 1 else f"{count} brokers"
        findings.ok(f"Kafka {admin.version()} at {admin.address}: answers, {brokers}")
        for name, model in settings.models.items():
            with findings.guarded(name):
                check_model(settings.kafka, admin, model, live.get(name), findings)


def _show(console: Console, findings: Findings) -> None:
    for finding in findings.found:
        if finding.model is None:
            _print(console, finding)
    for name in dict.fromkeys(finding.model for finding in findings.found if finding.model is not None):
        console.print(f"\n{name}", style="bold")
        for finding in findings.found:
            if finding.model == name:
                _print(console, finding)
        samples = findings.samples.get(name)
        if samples:
            console.print("The last samples as they are encoded, before scaling:")
            for pairs in samples:
                console.print(
                    "  " + "  ".join(_pair(feature, value) for feature, value in pairs), style="dim"
                )


def _pair(feature: str, value: float) -> str:
    if value != value:
        return f"{feature}: missing"
    return feature if value == 1 and "=" in feature else f"{feature}: {value:g}"


def _print(console: Console, finding: Finding) -> None:
    from streams.commands._findings import MARKS

    mark, colour = MARKS[finding.level]
    console.print(mark, style=colour, end=" ")
    console.print(finding.message)
