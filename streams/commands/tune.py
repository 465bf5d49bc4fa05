"""gradstream tune: race settings of a model on recorded samples; the best as TOML."""

from __future__ import annotations

from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any

import click

from models.errors import GradstreamError
from streams.commands._recording import Asked, recording_options

if TYPE_CHECKING:
    from infra.settings import ModelSettings, Settings
    from models.spec import ModelSpec
    from streams.commands._ranking import Ranking
    from streams.evaluation.recording import Counts
    from streams.tuning.held import Held


class NotTunable(GradstreamError):
    """A recording, or a model, on which no settings can be compared."""


@click.command()
@click.argument("model")
@recording_options
@click.option(
    "--candidates",
    "count",
    type=click.IntRange(2, 10_000),
    default=32,
    show_default=True,
    metavar="N",
    help="How many settings are raced; the current ones are among them.",
)
@click.option(
    "--budget",
    type=click.FloatRange(0, min_open=True),
    metavar="PASSES",
    help="How often the recording may be learned in all.  [default: until two settings have seen all of it]",
)
@click.option("--metric", metavar="NAME", help="What is compared.  [default: by the loss: log_loss, rmse, …]")
@click.option("--seed", type=int, default=0, show_default=True, help="Which settings are drawn.")
@click.option("--json", "as_json", is_flag=True, help="All settings that were raced, for machines.")
def command(
    model: str,
    count: int,
    budget: float | None,
    metric: str | None,
    seed: int,
    as_json: bool,
    **given: Any,
) -> None:
    """Race settings of MODEL on recorded samples, and print the best as a table for gradstream.toml.

    Optimizer, learning rate, regularisation, update and the learner's sizes are drawn; what is predicted,
    and from which features, stays as it is. The ranked table is told on standard error.
    """
    from streams.commands._common import invocation, load, model_settings, print_json
    from streams.commands._ranking import Ranking
    from streams.commands._steps import progress
    from streams.tuning.candidates import candidates
    from streams.tuning.current import current_table
    from streams.tuning.race import plan, race

    settings, asked = load(), Asked(**given)
    current = model_settings(settings, model)
    metric = _metric(current.spec(), metric)
    table = current_table(invocation().config, invocation().overrides, current)
    raced = candidates(model, table, count, seed)
    held, counts, source = _hold(settings, current, asked)
    rounds = plan(len(raced), held.samples, budget)
    with progress("racing") as tell:
        ranked = race(raced, held, metric, rounds, tell)
    ranking = Ranking(model, source, metric, raced[0], ranked)
    _warn(ranking, held, counts, count)
    if as_json:
        print_json(ranking.document())
    else:
        ranking.show()
        click.echo(ranking.toml(), nl=False)


def _metric(spec: ModelSpec, wanted: str | None) -> str:
    """The metric that is compared; raises click.UsageError for one that the model does not have."""
    from infra.settings_errors import did_you_mean
    from streams.tuning.criterion import criteria

    names = criteria(spec)
    if wanted is not None and wanted not in names:
        raise click.UsageError(
            f"--metric {wanted}: this model has {', '.join(names)}{did_you_mean(wanted, names)}",
            click.get_current_context(),
        )
    return wanted or names[0]


def _hold(settings: Settings, model: ModelSettings, asked: Asked) -> tuple[Held, Counts, str]:
    """The recording in memory; raises NotTunable where no sample has a label."""
    from models.self_test import warm_up
    from streams.commands._recording import note_untimed, opened
    from streams.commands._steps import progress
    from streams.evaluation.recording import Counts, decode
    from streams.ingest import Ingest
    from streams.tuning.held import Held

    spec, held, counts = model.spec(), Held(), Counts()
    warm_up(spec)
    ingest = Ingest(model.name, spec)
    with ExitStack() as stack:
        recording = stack.enter_context(opened(asked, settings, ingest))
        tell = stack.enter_context(progress("reading"))
        chunks = stack.enter_context(closing(decode(recording, ingest, counts, asked.limit)))
        for _ in held.fill(chunks):
            tell(recording.share(), f"{held.samples:,} samples")
    note_untimed(spec, counts)
    if not held.samples:
        letters = "".join(f"; {at}: {reason}" for at, reason in counts.first_letters[:1])
        late = "" if model.labels is None else f"; those on {model.labels} are not joined here"
        raise NotTunable(
            f"{recording.name}: none of its {counts.records:,} records is a sample with a label"
            f"{late}{letters}"
        )
    return held, counts, recording.name


def _warn(ranking: Ranking, held: Held, counts: Counts, count: int) -> None:
    if held.is_cut:
        click.echo(
            f"note: the first {held.samples:,} labelled samples of {ranking.source} were raced, which take "
            f"{held.nbytes / 2**20:,.0f} MiB in memory; the rest was left out",
            err=True,
        )
    if counts.dead_letters:
        click.echo(
            f"note: {counts.dead_letters:,} of {counts.records:,} records would be dead letters and were "
            "left out; gradstream evaluate tells why",
            err=True,
        )
    if len(ranking.ranked) < count:
        click.echo(f"note: there are only {len(ranking.ranked)} different settings to race", err=True)
