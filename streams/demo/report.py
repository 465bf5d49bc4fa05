"""What the demo says at its end, on standard output: how good, what was learned, what to type next."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import click
import numpy as np

from infra.local import Status
from models.rows import Float64
from streams.commands._common import console, plain_table
from streams.demo.config import HORIZON_HOURS, LABELS, MODEL, PREDICTIONS, SAMPLES
from streams.demo.errors import DemoError
from streams.demo.flights import LATE_MINUTES
from streams.demo.joins import Joins, utc
from streams.demo.scores import Score, score
from streams.demo.traffic import TAXIING_MINUTES, Traffic

Fate = Literal["stay", "stop", "go"]
"""Of the servers, when the demo ends: they stay up, stop, or stop and their data goes away."""
HEAVIEST = 10
LIVE = "learning from every flight"
FROZEN = "same learner, frozen after January"
BASE_RATE = "running base rate"
SHORT = {FROZEN: "frozen", BASE_RATE: "base rate"}


@dataclass(frozen=True, slots=True)
class Comparison:
    """One row: its scores over all flights with a known outcome, and over those from February on."""

    name: str
    all: Score
    after_january: Score


def compare(traffic: Traffic, predictions: Mapping[str, Float64]) -> list[Comparison]:
    """Name → probabilities (n,), scored on exactly the same flights."""
    later = traffic.after_january
    return [
        Comparison(name, score(traffic.labels, p), score(traffic.labels[later], p[later]))
        for name, p in predictions.items()
    ]


def require_better(comparisons: list[Comparison]) -> None:
    """Raises DemoError unless the first has a lower log loss than each other, on all flights and the later.

    Without a flight after January there is nothing to compare the frozen model on: it is the live one.
    """
    live, *others = comparisons
    for other in others:
        pairs = [("from February on", live.after_january.log_loss, other.after_january.log_loss)]
        if other.name != FROZEN or pairs[0][1] is not None:
            pairs.append(("over all flights", live.all.log_loss, other.all.log_loss))
        for where, ours, theirs in pairs:
            if ours is not None and theirs is not None and not ours < theirs:
                raise DemoError(
                    f"log loss {ours:.4f} {where} does not beat {theirs:.4f} ({other.name}); "
                    "expected it to be lower: please report this"
                )


def show_stream(traffic: Traffic, shown: bytes, seconds: float, joins: Joins) -> None:
    """What went in and out, and what the scores are of; shown: the prediction of the last one to land."""
    n, last = len(traffic), traffic.last_landing
    never_left, never_landed = traffic.scheduled - n, joins.expired + joins.waiting
    end = "" if joins.clock is None else f", at {utc(joins.clock)}"
    for line in (
        "",
        f"{traffic.scheduled:,} flights were scheduled; {never_left:,} never left and have no sample.",
        f"{n:,} left, and each was predicted when it did.",
        f"{joins.joined:,} landed: the label came then, and was learned from{_delays(joins)}.",
        f"{never_landed:,} never landed (diverted, mostly) and are not learned: {joins.expired:,} given up",
        f"{HORIZON_HOURS} hours after they left, {joins.waiting:,} in the air when the stream ends{end}.",
        f"It took {seconds:.1f} s from the first record sent to the last label saved, worker start included.",
        "",
        f"{SAMPLES:20} {traffic.samples[last].decode()}",
        f"{PREDICTIONS:20} {shown.decode()}",
        f"{LABELS:20} {(traffic.outcomes[last] or b'').decode()}",
        "",
        f"Does it arrive more than {LATE_MINUTES} minutes late? Asked when the plane leaves its gate, known",
        f"after its time in the air and {TAXIING_MINUTES} minutes of taxiing: nobody below got a label",
        f"earlier. All scores are of the {traffic.labelled:,} flights that landed.",
        "",
    ):
        click.echo(line)


def _delays(joins: Joins) -> str:
    """How long labels took."""
    half, most = joins.delays.p50_seconds, joins.delays.p90_seconds
    if half is None or most is None:
        return ""
    return f" (half within {half / 3600:.1f} hours, nine of ten within {most / 3600:.1f})"


def show_scores(comparisons: list[Comparison]) -> None:
    """The table of scores."""
    columns = ["log loss", "ROC AUC", "accuracy", "log loss from February on"]
    table = plain_table("", *columns, right=columns)
    for row in comparisons:
        table.add_row(row.name, *(_number(value) for value in (*row.all, row.after_january.log_loss)))
    console().print(table)


def show_weights(weights: Mapping[str, str]) -> None:
    """The heaviest of the weights (name → text) that stand in Redis."""
    heaviest = sorted(weights, key=lambda name: -abs(float(weights[name])))[:HEAVIEST]
    table = plain_table("heaviest weights in Redis", "weight", right=["weight"])
    for name in heaviest:
        table.add_row(name, f"{float(weights[name]):+.4f}")
    console().print(table)


def show_next(config: Path, servers: Status, fate: Fate) -> None:
    """What becomes of the servers, and the lines to type next."""
    command, folder = program("gradstream"), _path(servers.dir)
    click.echo()
    if fate == "stay":
        click.echo("The servers stay up. Look around:")
    elif fate == "stop":
        click.echo("The servers stop now, their data stays. Start them again, and look around:")
        click.echo(f"  {command} local start --dir {folder}")
    else:
        click.echo(f"The servers stop now. To have them stay up for lines like these: {command} demo --keep")
    key = f"gradstream:{{{MODEL}}}"
    redis = f"{program('redis-cli')} -p {urlsplit(servers.redis or '').port}"
    gradstream = f"{command} --config {_path(config)}"
    lines = [
        f'{redis} HGETALL "{key}:weights"',
        f'{redis} HGET "{key}:weights" dep_delay',
        f'{redis} HGET "{key}" metrics',
        f'{redis} HGET "{key}" labels',
        f'{redis} HLEN "{key}:waiting:0"',
        f"{gradstream} tail {MODEL}.predictions --from-beginning --max-messages 5",
        f"{gradstream} inspect {MODEL}",
    ]
    if fate != "go":
        lines.append(f"{command} local stop --dir {folder}")
    for line in lines:
        click.echo(f"  {line}")


def _number(value: float | None) -> str:
    return "-" if value is None or not np.isfinite(value) else f"{value:.4f}"


def program(name: str) -> str:
    """How to call a program of this installation here: by its name if that finds it, else by its path."""
    own, found = Path(sys.executable).parent / name, shutil.which(name)
    if not own.exists() or (found is not None and Path(found).samefile(own)):
        return name
    return _path(own)


def _path(path: Path) -> str:
    """A path for the shell, relative to the working directory if it is inside."""
    relative = os.path.relpath(path)
    return shlex.quote(str(path) if relative.startswith("..") else relative)
