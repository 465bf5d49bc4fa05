"""LEARNING-LOG.md, rules 2 and 3, once more and on their own: what the records of a log mean.

Everything that the model checker's workers do is held against `contract_fold`. A sample is (partition,
offset). What learning makes of the parameters depends on the order of samples, so the list of samples
learned, in order, stands for the parameters' bytes: equal lists, equal bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

NOT_OPEN = -1
Effect = tuple[int, int] | tuple[int, int, str]
"""A sample that was learned, or an offset that a `hole` record skipped: (partition, offset, "skipped")."""


class Record(NamedTuple):
    """A log record. `worker` is -1 when nobody alive would know it as its own."""

    kind: str  # open, data, hole
    partition: int
    start: int  # `from`, or `next` of an open
    stop: int
    worker: int = -1
    seq: int = -1
    acknowledged: bool = True  # its predictions were, when it was sent

    def __str__(self) -> str:
        where = f"p{self.partition}"
        return (
            f"open {where} at {self.start}" if self.kind == "open" else f"{where}[{self.start},{self.stop})"
        )


@dataclass(frozen=True)
class Broken:
    """Rules that are left out, one at a time, to see that the check would notice."""

    any_from: bool = False  # rule 3: a data record counts whatever its `from`
    append_early: bool = False  # rule 9: append before the predictions are acknowledged
    stale_fetch: bool = False  # rule 9: no seek number
    no_rebase: bool = False  # rule 10: a foreign record is learned on top of what is pending
    no_drop: bool = False  # rule 10: pending that starts elsewhere than the fold is kept
    idle_stands: bool = False  # rule 10: a partition with nothing pending is not sought again
    no_wait: bool = False  # rule 11: a partition stands again before its echoes are read
    no_open: bool = False  # rule 2: the first data record opens its partition
    silent_reset: bool = False  # rule 13: a position before the input's start moves there
    lower_save: bool = False  # rule 16: a save may take the store back
    no_since: bool = False  # rule 16: changed blocks are taken whatever is stored
    marks_cleared_early: bool = False  # rule 16: dirty marks are cleared before the answer

    @classmethod
    def names(cls) -> list[str]:
        """The names of all variants."""
        return [field.name for field in fields(cls)]


def effects(record: Record) -> tuple[Effect, ...]:
    """What a record does where it counts."""
    offsets = range(record.start, record.stop)
    if record.kind == "hole":
        return tuple((record.partition, offset, "skipped") for offset in offsets)
    return tuple((record.partition, offset) for offset in offsets)


def contract_fold(
    next_: Sequence[int], records: Sequence[Record], no_open: bool = False
) -> tuple[tuple[int, ...], tuple[Effect, ...], list[Record]]:
    """Next offsets, effects in order, and the records that counted, of `records` read from `next_` on."""
    offsets = list(next_)
    learned: tuple[Effect, ...] = ()
    counted = []
    for record in records:
        expected = offsets[record.partition]
        if record.kind == "open":
            if expected == NOT_OPEN:
                offsets[record.partition] = record.start
        elif (expected == record.start or (no_open and expected == NOT_OPEN)) and record.stop > record.start:
            offsets[record.partition] = record.stop
            learned += effects(record)
            counted.append(record)
    return tuple(offsets), learned, counted


def not_exactly_once(next_: Sequence[int], learned: Sequence[Effect]) -> str:
    """Where effects do not tile each partition from `next_` on; the input begins at offset 0."""
    offsets = [max(offset, 0) for offset in next_]
    for effect in learned:
        partition, offset = effect[:2]
        if offset < offsets[partition]:
            return f"sample {offset} of p{partition} is learned twice"
        if offset > offsets[partition]:
            return f"sample {offsets[partition]} of p{partition} is lost"
        offsets[partition] += 1
    return ""
