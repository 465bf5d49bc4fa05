"""Folding a learning log again, apart from the worker that runs, to compare what comes out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from models.model import Model
from models.spec import ModelSpec
from streams.fold import Fold
from streams.learning_log import LogError, LogGone, LogReader
from streams.log_format import DataCodec
from streams.view import View

COUNTS = ("samples_learned", "dead_letters", "refused", "skipped", "ignored", "undecodable")
SILENCE = 30  # runs of a second in which no record comes

Tell = Callable[[int, int], None]
"""Told of the log offset reached, and of the one to reach."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing in which two folds at the same log offset are not equal."""

    what: str
    expected: str
    found: str


def new_view(spec: ModelSpec) -> View:
    """The view of a model that has read nothing, of a worker that appends nothing."""
    return View(Fold(Model(spec), DataCodec(spec)), worker="")


async def fold_to(view: View, reader: LogReader, until: int, tell: Tell | None = None) -> None:
    """Fold the log from where `view` stands to `until`; the reader is started.

    Raises LogGone where the log does not reach from one to the other, LogError when nothing comes.
    """
    fold, silent = view.fold, 0
    start, end = await reader.bounds()
    if not start <= fold.log_offset <= until <= end:
        raise LogGone(
            f"{reader.topic}: has records [{start}, {end}), expected those of [{fold.log_offset}, {until})"
        )
    reader.stand(fold.log_offset)
    while fold.log_offset < until:
        run = await reader.run()
        silent = 0 if run else silent + 1
        if silent >= SILENCE:
            raise LogError(f"{reader.topic}: no record arrived within {SILENCE} s; is a broker down?")
        for record in run:
            if record.offset < until:
                view.fold_run([record])
            await asyncio.sleep(0)
        if tell is not None:
            tell(fold.log_offset, until)


def differences(expected: Fold, found: Fold) -> list[Difference]:
    """What of two folds is not equal to the bit; the tensors first."""
    unequal = []
    theirs = found.model.tensors()
    for name, mine in expected.model.tensors().items():
        other = theirs[name]
        if mine.shape != other.shape:
            unequal.append(Difference(f"tensor {name}", f"shape {mine.shape}", f"shape {other.shape}"))
        elif mine.tobytes() != other.tobytes():
            where = np.flatnonzero(mine.ravel() != other.ravel())
            at = int(where[0]) if len(where) else 0
            values = (repr(float(array.ravel()[at])) for array in (mine, other))
            unequal.append(Difference(f"tensor {name}, {len(where)} numbers, first at {at}", *values))
    for name in COUNTS:
        one, two = getattr(expected, name), getattr(found, name)
        if one != two:
            unequal.append(Difference(name, str(one), str(two)))
    for partition in sorted(expected.next.keys() | found.next.keys(), key=str):
        ours, other_next = expected.next.get(partition), found.next.get(partition)
        if ours != other_next:
            unequal.append(Difference(f"next offset of {partition}", str(ours), str(other_next)))
    return unequal
