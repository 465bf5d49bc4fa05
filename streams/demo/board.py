"""How things go, on standard error: bars on a terminal, a plain line every few seconds elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import click

from streams.demo.scores import Score

LIVE_SECONDS = 0.5
PLAIN_SECONDS = 3.0


class Board:
    """Shows how many flights were produced and predicted, and how well. A context manager."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._begun = self._shown = time.monotonic()
        self._predicted = 0
        self._live: Any = None
        self._every = PLAIN_SECONDS

    def __enter__(self) -> Board:
        if sys.stderr.isatty():
            self._live = _Bars(self._total)
            self._every = LIVE_SECONDS
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._live is not None:
            self._live.stop()

    @property
    def seconds(self) -> float:
        """Since the board was made."""
        return time.monotonic() - self._begun

    def update(self, produced: int, predicted: int, score: Callable[[], Score], last: bool = False) -> None:
        """Show these numbers when it is time to, or as the last ones; `score` is only then computed."""
        now = time.monotonic()
        if now - self._shown < self._every and not last:
            return
        rate = (predicted - self._predicted) / max(now - self._shown, 1e-3)
        self._shown, self._predicted = now, predicted
        quality = _quality(rate, score()) if predicted else "(the worker starts; the first time, it compiles)"
        if self._live is not None:
            self._live.show(produced, predicted, quality)
        else:
            click.echo(f"{produced:,} produced  {predicted:,} predicted  {quality}".rstrip(), err=True)


def _quality(rate: float, score: Score) -> str:
    """Predictions a second, and how good those so far are."""
    if score.log_loss is None:
        return ""
    auc = "" if score.roc_auc is None else f"  AUC {score.roc_auc:.4f}"
    return f"{rate:,.0f}/s  log loss {score.log_loss:.4f}{auc}"


class _Bars:
    """Two bars and a line of numbers, redrawn in place."""

    def __init__(self, total: int) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        from streams.commands._common import console

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        self._progress = Progress(
            *columns,
            TextColumn("{task.fields[quality]}"),
            console=console(stderr=True),
            auto_refresh=False,
            transient=True,
        )
        self._produced = self._progress.add_task("produced ", total=total, quality="")
        self._predicted = self._progress.add_task("predicted", total=total, quality="")
        self._progress.start()

    def show(self, produced: int, predicted: int, quality: str) -> None:
        self._progress.update(self._produced, completed=produced)
        self._progress.update(self._predicted, completed=predicted, quality=quality)
        self._progress.refresh()

    def stop(self) -> None:
        self._progress.stop()
