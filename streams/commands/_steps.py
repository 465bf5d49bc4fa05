"""The progress of a command that goes through a recording: a bar on a terminal, else a line now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

Tell = Callable[[float | None, str], None]
"""Takes how much is done, from 0 to 1 (None: not known), and what to say beside it."""

EVERY = 0.1
SELDOM = 10.0
"""Seconds between two changes of the bar, and between two lines."""


@contextmanager
def progress(what: str) -> Iterator[Tell]:
    """A bar on standard error while the block runs; for those who read a log, lines about what takes long."""
    if not sys.stderr.isatty():
        yield _Lines(what).tell
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    from streams.commands._common import console

    columns = (TextColumn(what), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    beside = TextColumn("{task.fields[text]}")
    with Progress(*columns, beside, console=console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None, text="")
        shown = 0.0

        def tell(share: float | None, text: str) -> None:
            nonlocal shown
            if time.monotonic() - shown > EVERY:
                shown = time.monotonic()
                total = None if share is None else 1.0
                bar.update(task, total=total, completed=share or 0.0, text=text)

        yield tell


class _Lines:
    def __init__(self, what: str) -> None:
        self._what = what
        self._told = time.monotonic()

    def tell(self, share: float | None, text: str) -> None:
        if time.monotonic() - self._told > SELDOM:
            self._told = time.monotonic()
            click.echo(f"{self._what}: {'' if share is None else f'{share:.0%}, '}{text}", err=True)
