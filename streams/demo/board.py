"""How things go, on standard error: bars on a terminal, a plain line every few seconds elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import click

from streams.demo.joins import Joins, utc
from streams.demo.scores import Score

LIVE_SECONDS = 0.5
PLAIN_SECONDS = 3.0
STARTS = "(the worker starts; it may compile)"


@dataclass(frozen=True, slots=True)
class Standing:
    """Where both streams are now.

    scores: of the stream's own predictions first, then of the baselines', over the flights that have landed.
    """

    samples_sent: int
    labels_sent: int
    predicted: int
    joins: Joins
    scores: Mapping[str, Score]


class Board:
    """Shows where both streams are, and how well things go. A context manager."""

    def __init__(self, samples: int, labels: int) -> None:
        self._totals = (samples, labels)
        self._begun = self._shown = time.monotonic()
        self._predicted = 0
        self._live: Any = None
        self._every = PLAIN_SECONDS

    def __enter__(self) -> Board:
        if sys.stderr.isatty():
            self._live = _Bars(*self._totals)
            self._every = LIVE_SECONDS
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._live is not None:
            self._live.stop()

    @property
    def seconds(self) -> float:
        """Since the board was made."""
        return time.monotonic() - self._begun

    def update(self, standing: Callable[[], Standing], last: bool = False) -> None:
        """Show how things stand when it is time to, or as the last; `standing` is only then called."""
        now = time.monotonic()
        if now - self._shown < self._every and not last:
            return
        at = standing()
        rate = (at.predicted - self._predicted) / max(now - self._shown, 1e-3)
        self._shown, self._predicted = now, at.predicted
        if self._live is not None:
            self._live.show(at, rate)
        else:
            click.echo(plain(at, rate), err=True)


def plain(at: Standing, rate: float) -> str:
    """One line: the event time, what has left, landed and is in the air by then, and how well it goes."""
    if not at.predicted:
        return f"{sent(at)} sent  {STARTS}"
    both = [f"{at.joins.seen:,} left", f"{at.joins.joined:,} landed"]
    time, *rest = where(at) or [f"{at.predicted:,} predicted"]
    parts = [time, *(both if rest else []), *rest, f"{rate:,.0f}/s", quality(at.scores), others(at.scores)]
    return "  ".join(filter(None, parts))


def sent(at: Standing) -> str:
    """What is on its way."""
    return f"{at.samples_sent:,} samples and {at.labels_sent:,} labels"


def where(at: Standing) -> list[str]:
    """The event time and who is in the air then; nothing before the first checkpoint."""
    return [] if at.joins.clock is None else [utc(at.joins.clock), in_the_air(at.joins)]


def in_the_air(joins: Joins) -> str:
    """Who waits for a label, and for whom that is over."""
    given_up = f", {joins.expired:,} given up" if joins.expired else ""
    return f"{joins.waiting:,} in the air{given_up}"


def quality(scores: Mapping[str, Score]) -> str:
    """How good the stream's predictions so far are."""
    live = next(iter(scores.values()), None)
    if live is None or live.log_loss is None:
        return ""
    auc = "" if live.roc_auc is None else f"  AUC {live.roc_auc:.4f}"
    return f"log loss {live.log_loss:.4f}{auc}"


def others(scores: Mapping[str, Score]) -> str:
    """The same of the baselines, on the same flights."""
    told = []
    for name, score in list(scores.items())[1:]:
        if score.log_loss is not None:
            auc = "" if score.roc_auc is None else f" {score.roc_auc:.4f}"
            told.append(f"{name} {score.log_loss:.4f}{auc}")
    return f"({', '.join(told)})" if told else ""


class _Bars:
    """A bar for each stream and two lines below them, redrawn in place."""

    def __init__(self, samples: int, labels: int) -> None:
        from rich.live import Live
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        from streams.commands._common import console

        screen = console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        self._bars = Progress(*columns, console=screen)
        self._left = self._bars.add_task("left  ", total=samples)
        self._landed = self._bars.add_task("landed", total=labels)
        self._live = Live(self._bars, console=screen, auto_refresh=False, transient=True)
        self._live.start()

    def show(self, at: Standing, rate: float) -> None:
        from rich.console import Group

        self._bars.update(self._left, completed=at.joins.seen)
        self._bars.update(self._landed, completed=at.joins.joined)
        moving = [*where(at), f"{rate:,.0f}/s"] if at.predicted else [f"{sent(at)} sent", STARTS]
        good = filter(None, [quality(at.scores), others(at.scores)])
        self._live.update(Group(self._bars, "  ".join(moving), "  ".join(good)), refresh=True)

    def stop(self) -> None:
        self._live.stop()
