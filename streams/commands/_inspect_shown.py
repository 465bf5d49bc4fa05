"""What `gradstream inspect` shows to people: alarms, counts, metrics, offsets, weights, notes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from streams.commands._labels_shown import LabelCounts
    from streams.ingest_report import Report

SHOWN_WEIGHTS = 30
SHOWN_REFUSED = 5


@dataclass(frozen=True, slots=True)
class Seen:
    """What Kafka says: lag by partition of samples and of late labels, and about the last samples."""

    lags: dict[str, int]
    label_lags: dict[str, int]
    report: Report


def show(console: Console, labels: LabelCounts | None, document: dict[str, Any], seen: Seen | None) -> None:
    """The document of `inspect --json`; seen: None where Kafka was not asked."""
    from rich.table import Table

    from streams.commands._common import metrics_table
    from streams.commands._labels_shown import counts_table, partitions_table
    from streams.commands._live import COUNTERS

    console.print(document["model"], style="bold", end="")
    console.print(
        f"  {document['task']}, version {document['version']}, saved at {document['saved_at']}, "
        f"learning log at {document['log_offset']:,}\n"
    )
    _alarms(console, document)
    _label_alarms(console, labels, document, seen)
    counts = Table.grid(padding=(0, 2))
    for label in COUNTERS:
        counts.add_row(label.replace("_", " "), f"{document[label]:,}")
    counts.add_row("lag", "?" if document["lag"] is None else f"{document['lag']:,}")
    console.print(counts)

    tables = [metrics_table(document["metrics"]), _offsets(labels, document, seen)]
    if labels is not None:
        tables = [counts_table(document["labels"]), *tables, partitions_table(labels)]
    tables += [_memory(document["memory"])] if document["memory"] else []
    for table in (*tables, _weights(document)):
        console.print()
        console.print(table)
    _notes(console, document, None if seen is None else seen.report)


def _offsets(labels: LabelCounts | None, document: dict[str, Any], seen: Seen | None) -> Any:
    """Where each partition stands and how far it is behind; those of late labels beside it."""
    from streams.commands._common import plain_table

    lags, numbers = {} if seen is None else seen.lags, ["next offset", "lag"]
    beside = [] if labels is None else ["labels", *numbers]
    table = plain_table("partition", *numbers, *beside, right=numbers)
    for name in sorted({**document["offsets"], **lags}):
        cells = _position(name, document["offsets"], lags)
        if labels is not None:
            other = labels.of(name)
            behind = {} if seen is None else seen.label_lags
            cells += ["-", "-", "-"] if other is None else [other, *_position(other, labels.offsets, behind)]
        table.add_row(name, *cells)
    return table


def _position(name: str, offsets: Mapping[str, int], lags: Mapping[str, int]) -> list[str]:
    at, behind = offsets.get(name), lags.get(name)
    return ["-" if at is None else f"{at:,}", "?" if behind is None else f"{behind:,}"]


def _label_alarms(
    console: Console, labels: LabelCounts | None, document: dict[str, Any], seen: Seen | None
) -> None:
    from streams.commands._labels_shown import label_alarms

    if labels is None:
        return
    limit = document["labels"]["redis"]["limit"]
    for line in label_alarms(labels, limit, 0 if seen is None else len(seen.lags)):
        console.print(f"! {line}\n", style="bold yellow")


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
        own = "a label of their own" if report.late else "a label"
        console.print(f"\nlast {report.records:,} samples: {report.valid:,} valid, with {own} {share}")
        for line in report.lines():
            console.print(f"! {line}", style="yellow")
