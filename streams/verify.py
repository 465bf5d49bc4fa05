"""Folding a learning log again, apart from the worker that runs, to compare what comes out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from infra.store import Checkpoint
from models.spec import ModelSpec
from streams.labels.view import new_fold, view_of
from streams.learning_log import LogGone, LogReader
from streams.log_contract import next_records
from streams.view import View

FIELDS = (
    "samples_learned", "dead_letters", "refused", "skipped", "halted", "ignored", "undecodable",
    "offsets", "partitions", "holes", "metrics", "scaling", "last_refused",
    "last_worker", "last_seq", "spec", "genesis", "digest",
)  # fmt: skip
"""Readable fields of a checkpoint that follow from the log, and so can be compared with it."""
NAMES = "names"
LONGEST_SHOWN = 200

Tell = Callable[[int, int], None]
"""Told of the log offset reached, and of the one to reach."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing in which a stored checkpoint is not what the log gives."""

    what: str
    expected: str
    found: str


def new_view(spec: ModelSpec) -> View:
    """The view of a model that has read nothing, of a worker that appends nothing."""
    return view_of(new_fold(spec), worker="")


async def fold_to(view: View, reader: LogReader, until: int, tell: Tell | None = None) -> None:
    """Fold the log from where `view` stands to `until`; the reader is started.

    Raises LogGone where the log does not reach from one to the other, LogError when nothing comes.
    """
    fold = view.fold
    start, end = await reader.bounds()
    if not start <= fold.log_offset <= until <= end:
        raise LogGone(
            f"{reader.topic}: has records [{start}, {end}), expected those of [{fold.log_offset}, {until})"
        )
    reader.stand(fold.log_offset)
    while fold.log_offset < until:
        for record in await next_records(reader):
            if record.offset < until:
                view.fold_run([record])
            await asyncio.sleep(0)
        if tell is not None:
            tell(fold.log_offset, until)


def differences(expected: Checkpoint, found: Checkpoint) -> list[Difference]:
    """What of a stored checkpoint is not as the log has it, to the bit; the tensors first."""
    unequal = []
    for name in sorted(expected.tensors.keys() | found.tensors.keys()):
        ours, theirs = expected.tensors.get(name), found.tensors.get(name)
        if ours != theirs:
            unequal += _tensors_differ(name, ours, theirs)
    late = ("standings", "tally") if "standings" in expected.text else ()
    for name in (*FIELDS, *late):
        one, two = expected.text[name], found.text.get(name)
        if one != two and _parsed(one) != _parsed(two):
            unequal.append(Difference(name, _short(one), _short(two)))
    for name in sorted(expected.weights.keys() | found.weights.keys()):
        one, two = expected.weights.get(name, "nothing"), found.weights.get(name)
        if one != two:
            unequal.append(Difference(f"weight {name}", one, _short(two)))
    return unequal


def _tensors_differ(name: str, ours: bytes | None, theirs: bytes | None) -> list[Difference]:
    """How two tensors whose stored bytes differ do so; not at all if that is the order of some names."""
    if ours is None or theirs is None:
        expected, found = ("nothing" if one is None else f"{len(one)} bytes" for one in (ours, theirs))
        return [Difference(f"tensor {name}", expected, found)]
    (mine,) = safetensors.numpy.load(ours).values()
    try:
        (other,) = safetensors.numpy.load(theirs).values()
    except (SafetensorError, ValueError) as error:
        return [Difference(f"tensor {name}", f"shape {mine.shape}", f"unreadable bytes: {error}")]
    if (mine.shape, mine.dtype) != (other.shape, other.dtype) and name != NAMES:
        shapes = (f"shape {array.shape} of {array.dtype}" for array in (mine, other))
        return [Difference(f"tensor {name}", *shapes)]
    if name == NAMES:
        one, two = (_parsed(bytes(array).decode("utf-8", "replace")) for array in (mine, other))
        return [] if one == two else [Difference(f"tensor {name}", *map(_short, (str(one), str(two))))]
    bits = [np.ascontiguousarray(array).reshape(-1).view(np.uint8) for array in (mine, other)]
    where = np.unique(np.flatnonzero(bits[0] != bits[1]) // mine.itemsize)
    if not len(where):
        return [Difference(f"tensor {name}", "its stored form", "another header of the same numbers")]
    values = (repr(array.reshape(-1)[where[0]].item()) for array in (mine, other))
    count = "1 number" if len(where) == 1 else f"{len(where)} numbers, the first"
    return [Difference(f"tensor {name}, {count} at {where[0]}", *values)]


def _parsed(text: str | None) -> Any:
    """JSON where it is JSON: another release may write the same in another form."""
    try:
        return msgspec.json.decode(text or "")
    except msgspec.MsgspecError:
        return text


def _short(text: str | None) -> str:
    if text is None:
        return "nothing"
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"
