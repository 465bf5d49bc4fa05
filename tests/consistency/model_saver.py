"""One worker of the checkpoint model: how it saves, and what the save script does (rule 16).

A record of the log changes one block. A block's value is the number of the last record that changed it, so
what a checkpoint at a log offset must hold is known from the log alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tests.consistency.model_contract import Broken
from tests.consistency.model_worker import put

UNCHANGED = -1
BLOCKS = (0, 1)


class Checkpoint(NamedTuple):
    """What is stored."""

    offset: int
    values: tuple[int, ...]


class Request(NamedTuple):
    """A save on its way. `since` is -1 for a full one, whose blocks wait under a staging key."""

    offset: int
    since: int
    values: tuple[int, ...]
    dirty: tuple[int, ...]
    staged: bool = True


class Saver(NamedTuple):
    """A worker: its fold at `offset`, and what it knows of the store."""

    offset: int = 0
    values: tuple[int, ...] = (0, 0)
    dirty: tuple[int, ...] = ()
    since: int = -1
    request: tuple[Request, ...] = ()  # at most one


def contract(log: Sequence[int]) -> tuple[int, ...]:
    """The blocks' values after `log`."""
    values = [0 for _ in BLOCKS]
    for number, block in enumerate(log, 1):
        values[block] = number
    return tuple(values)


def execute(store: tuple[Checkpoint, ...], request: Request, broken: Broken) -> tuple[str, Checkpoint | None]:
    """The save script: its answer, and what is stored from now on where it is "saved"."""
    stored = store[-1] if store else None
    if stored and stored.offset >= request.offset and not broken.lower_save:
        return "stale", None
    if request.since < 0:
        return ("saved", Checkpoint(request.offset, request.values)) if request.staged else ("full", None)
    if stored is None or (stored.offset < request.since and not broken.no_since):
        return "full", None
    values = tuple(
        old if new == UNCHANGED else new for old, new in zip(stored.values, request.values, strict=True)
    )
    return "saved", Checkpoint(request.offset, values)


def read(saver: Saver, log: Sequence[int]) -> Saver:
    """Fold the next record, and mark the block that it changed."""
    block, number = log[saver.offset], saver.offset + 1
    dirty = tuple(sorted({*saver.dirty, block}))
    return saver._replace(offset=number, values=put(saver.values, block, number), dirty=dirty)


def ask(saver: Saver, since: int) -> Saver:
    """Dirty marks go with the request; what is read meanwhile makes new ones."""
    values = tuple(v if since < 0 or b in saver.dirty else UNCHANGED for b, v in enumerate(saver.values))
    return saver._replace(dirty=(), request=(Request(saver.offset, since, values, saver.dirty),))


def answered(saver: Saver, request: Request, answer: str) -> Saver:
    """The store's answer is here (rule 16): marks come back after "full", and all is saved."""
    saver = saver._replace(request=())
    if answer != "full":
        return saver._replace(since=request.offset)
    saver = restored(saver, request)
    return saver if request.since < 0 else ask(saver, -1)


def restored(saver: Saver, request: Request) -> Saver:
    """The marks of a save that may not have happened."""
    return saver._replace(dirty=tuple(sorted({*saver.dirty, *request.dirty})))


def name(request: Request) -> str:
    """A save, for people."""
    if request.since < 0:
        return f"full save at {request.offset}"
    blocks = [b for b, value in enumerate(request.values) if value != UNCHANGED]
    return f"save at {request.offset} of blocks {blocks} since {request.since}"
