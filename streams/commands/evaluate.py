"""gradstream evaluate: a model over recorded samples, test-then-train, without touching live state."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from streams.commands._recording import Asked, recording_options

if TYPE_CHECKING:
    from rich.console import Console

    from models.spec import ModelSpec
    from streams.commands._steps import Tell
    from streams.evaluation.prequential import Evaluation
    from streams.evaluation.recording import Counts, Recording
    from streams.ingest import Ingest


@click.command()
@click.argument("model")
@recording_options
@click.option(
    "--plot",
    type=click.Path(path_type=Path),
    metavar="FILE.png",
    help="Write the learning curve as a picture.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for machines.")
def command(model: str, plot: Path | None, as_json: bool, **given: Any) -> None:
    """Run MODEL of the settings over recorded samples: each is predicted, then learned from.

    The metrics are those that a worker on one partition would show. Nothing live is read or changed: no
    Redis, and Kafka only to read a topic.
    """
    from streams.commands._common import load, model_settings, print_json
    from streams.commands._recording import note_untimed, opened
    from streams.commands._steps import progress
    from streams.evaluation.plot import check_plot, write_plot
    from streams.ingest import Ingest

    settings, asked = load(), Asked(**given)
    spec = model_settings(settings, model).spec()
    if plot is not None:
        check_plot(plot)
    ingest = Ingest(model, spec)
    with opened(asked, settings, ingest) as recording, progress("evaluating") as tell:
        found = _run(recording, ingest, spec, asked.limit, tell)
    note_untimed(spec, found["counts"])
    curve = found["evaluation"].curve()
    document = {"model": model, "source": recording.name, **_document(spec, **found)}
    if plot is not None:
        write_plot(plot, f"{model} over {recording.name}", curve)
    if as_json:
        print_json({**document, "curve": [point.document() for point in curve]})
    else:
        _show(document, model_settings(settings, model).labels)


def _run(
    recording: Recording, ingest: Ingest, spec: ModelSpec, limit: int | None, tell: Tell
) -> dict[str, Any]:
    """Evaluate all of the recording: the evaluation, counts, and seconds of reading and learning."""
    import time

    from models.self_test import warm_up
    from streams.evaluation.prequential import Evaluation
    from streams.evaluation.recording import Counts, decode

    warm_up(spec)
    evaluation, counts = Evaluation(spec), Counts()
    begun = time.perf_counter()
    for rows in decode(recording, ingest, counts, limit):
        evaluation.run(rows)
        tell(_share(recording, counts, limit), _beside(evaluation))
    return {"evaluation": evaluation, "counts": counts, "seconds": time.perf_counter() - begun}


def _share(recording: Recording, counts: Counts, limit: int | None) -> float | None:
    shares = [] if limit is None else [counts.records / limit]
    return max([*shares, *(share for share in [recording.share()] if share is not None)], default=None)


def _beside(evaluation: Evaluation) -> str:
    recent = evaluation.metrics()["recent"]
    name, value = next(iter(recent.items())) if isinstance(recent, dict) else ("", None)
    return f"{evaluation.samples:,} samples" + ("" if value is None else f"  recent {name} {value:.4f}")


def _document(spec: ModelSpec, evaluation: Evaluation, counts: Counts, seconds: float) -> dict[str, Any]:
    model = evaluation.model
    return {
        "task": spec.task,
        "metrics": evaluation.metrics(),
        "records": counts.records,
        "samples": counts.samples,
        "labelled": counts.labelled,
        "samples_learned": model.samples_learned,
        "dead_letters": counts.dead_letters,
        "refused": model.refused,
        "skipped": evaluation.skipped,
        "halted": model.halted(),
        "digest": model.digest(),
        "seconds": seconds,
        "first_dead_letters": [{"at": at, "reason": reason} for at, reason in counts.first_letters],
    }


COUNTS = ("samples", "labelled", "samples_learned", "dead_letters", "refused", "skipped")


def _show(document: dict[str, Any], labels: str | None) -> None:
    from rich.table import Table

    from streams.commands._common import console, metrics_table

    out = console()
    out.print(document["model"], style="bold", end="")
    out.print(f"  {document['task']}, over {document['source']}\n")
    counts = Table.grid(padding=(0, 2))
    for name in COUNTS:
        counts.add_row(name.replace("_", " "), f"{document[name]:,}")
    out.print(counts)
    out.print()
    out.print(metrics_table(document["metrics"]))
    rate = document["records"] / max(document["seconds"], 1e-9)
    out.print(f"\n{document['records']:,} records in {document['seconds']:,.1f} s ({rate:,.0f} records/s)")
    _warnings(out, document, labels)


def _warnings(out: Console, document: dict[str, Any], labels: str | None) -> None:
    if not document["labelled"] and document["samples"]:
        why = f"; the labels on {labels} are not joined here: give samples that have them" if labels else ""
        out.print(f"! no sample has a label: nothing was learned{why}", style="yellow")
    if document["halted"]:
        out.print(
            "! learning has halted: too many updates in a row were refused (not finite, or exploding); "
            "a smaller learning rate may help",
            style="yellow",
        )
    for letter in document["first_dead_letters"]:
        out.print(f"! {letter['at']}: {letter['reason']}", style="yellow")
    more = document["dead_letters"] - len(document["first_dead_letters"])
    if more:
        out.print(f"! and {more:,} more dead letters", style="yellow")
