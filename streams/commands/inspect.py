"""gradstream inspect: one model's parameters, metrics, offsets and lag."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

    from infra.settings import Settings
    from streams.commands._live import LiveModel
    from streams.ingest_report import Report

SHOWN_WEIGHTS = 30
SHOWN_REFUSED = 5


@click.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for machines.")
def command(name: str, as_json: bool) -> None:
    """Show the model NAME as its last checkpoint in Redis has it, and how far it is behind the stream."""
    from models.errors import GradstreamError
    from streams.commands._common import console, load, print_json
    from streams.commands._live import find_live, report_document

    settings = load()
    live = find_live(settings, name)
    lags: dict[str, int] | None = None
    report: Report | None = None
    failure: GradstreamError | None = None
    try:
        if name in settings.models:
            lags, report = _look(settings, live)
    except GradstreamError as error:  # what Redis knows is shown all the same
        failure = error
    document = live.document(None if lags is None else sum(lags.values()))
    if as_json:
        print_json({**document, "fields": None if report is None else report_document(report)})
    else:
        _show(console(), document, lags, report)
    if failure is not None:
        raise failure


def _look(settings: Settings, live: LiveModel) -> tuple[dict[str, int], Report]:
    from infra.kafka_admin import KafkaAdmin
    from streams.commands._live import lag_by_partition, report_on

    model = settings.models[live.name]
    with KafkaAdmin(settings.kafka) as admin:
        lags = lag_by_partition(admin, model.samples, live.offsets)
        return lags, report_on(settings.kafka, admin, model, shown=0)


def _show(
    console: Console, document: dict[str, Any], lags: dict[str, int] | None, report: Report | None
) -> None:
    from rich.table import Table

    from streams.commands._common import metrics_table, plain_table
    from streams.commands._live import COUNTERS

    console.print(document["model"], style="bold", end="")
    console.print(
        f"  {document['task']}, version {document['version']}, saved at {document['saved_at']}, "
        f"learning log at {document['log_offset']:,}\n"
    )
    _alarms(console, document)
    counts = Table.grid(padding=(0, 2))
    lag = "?" if document["lag"] is None else f"{document['lag']:,}"
    for label in COUNTERS:
        counts.add_row(label.replace("_", " "), f"{document[label]:,}")
    counts.add_row("lag", lag)
    console.print(counts)

    metrics = metrics_table(document["metrics"])
    offsets = plain_table("partition", "next offset", "lag", right=["next offset", "lag"])
    for name in sorted({**document["offsets"], **(lags or {})}):
        behind = None if lags is None else lags.get(name)
        at = document["offsets"].get(name)
        offsets.add_row(name, "-" if at is None else f"{at:,}", "?" if behind is None else f"{behind:,}")
    memory = [_memory(document["memory"])] if document["memory"] else []
    for table in (metrics, offsets, *memory, _weights(document)):
        console.print()
        console.print(table)
    _notes(console, document, report)


def _alarms(console: Console, document: dict[str, Any]) -> None:
    """What somebody has to look after, before everything else."""
    if document["halted"]:
        console.print(
            f"✘ learning has halted: too many updates in a row were refused, {document['skipped']:,} samples "
            f"were predicted only; mend what is sent, then: gradstream resume {document['model']}\n",
            style="bold red",
        )
    if (found := document["unequal"]) is not None:
        wrong = ", ".join(found.get("differing") or ())
        who = f"worker {wrong} had a wrong state" if found.get("right") else "and nobody knows who is right"
        console.print(
            f"✘ workers differed at learning log offset {found.get('log_offset')}, {who} (found at "
            f"{found.get('found_at')}); is it well now? gradstream verify {document['model']}\n",
            style="bold red",
        )


def _weights(document: dict[str, Any]) -> Any:
    from streams.commands._common import number_text, plain_table

    shown = list(document["weights"].items())[:SHOWN_WEIGHTS]
    scaling = document["scaling"]
    used = {part for name, _ in shown for part in scaling.get(name) or {}}
    parts = [part for part in ("mean", "std", "min", "max") if part in used]
    table = plain_table("feature", "weight", *parts, right=["weight", *parts])
    for name, weight in shown:
        scale = scaling.get(name) or {}
        table.add_row(name, number_text(weight), *(number_text(scale.get(part), "") for part in parts))
    return table


def _memory(memory: dict[str, dict[str, int]]) -> Any:
    """What features with a memory hold."""
    from streams.commands._common import plain_table

    table = plain_table("memory of", "holds", "slots", right=["slots"])
    for name, counts in memory.items():
        holds = ", ".join(f"{count:,} {what}" for what, count in counts.items() if what != "slots")
        table.add_row(name, holds, f"{counts['slots']:,}")
    return table


def _notes(console: Console, document: dict[str, Any], report: Report | None) -> None:
    more = len(document["weights"]) - SHOWN_WEIGHTS
    if more > 0:
        console.print(f"and {more:,} lighter ones: --json has them", style="dim")
    for topic, partition, offset, why in document["last_refused"][-SHOWN_REFUSED:]:
        console.print(f"! refused {topic}-{partition} @{offset}: {why}", style="yellow")
    if report is not None:
        share = f"{report.labelled_share:.1%}" if report.valid else "none"
        console.print(f"\nlast {report.records:,} samples: {report.valid:,} valid, with a label {share}")
        for line in report.lines():
            console.print(f"! {line}", style="yellow")
