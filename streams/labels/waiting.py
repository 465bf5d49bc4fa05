"""What waits in one partition, for the worker that owns it: samples, early labels, ids that were joined.

It stands on two levels, as the view does: what follows from the records that counted, and pending batches on
top of it. A batch's `Change` takes rows without letting them go; `confirm` makes it part of what counted,
`revert` takes all pending ones back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from models.rows import Float64, Int64, Rows
from streams.labels.codec import AT_ONCE, EXPIRED, JOINED, NEVER, OWN, WAITS, EarlyLabel, LateRows
from streams.labels.elsewhere import Elsewhere
from streams.labels.kept_rows import FREE, TAKEN, KeptRows
from streams.labels.kept_rows import WAITS as FREE_TO_TAKE
from streams.labels.marks import Marks

_NONE = np.zeros(0, dtype=np.int64)


@dataclass(slots=True)
class Change:
    """What one batch does to what waits; ids in order."""

    added: dict[str, int] = field(default_factory=dict)  # id → number of its row
    taken: dict[str, int] = field(default_factory=dict)
    gone: dict[str, int] = field(default_factory=dict)  # let go by the store alone: id → event time
    early: dict[str, EarlyLabel] = field(default_factory=dict)
    early_gone: list[str] = field(default_factory=list)
    joined: list[str] = field(default_factory=list)
    clocks: tuple[int, int] = (NEVER, NEVER)


class Waiting:
    """See the module. `removed`, then `changed`, are what the store does not have yet."""

    def __init__(self, empty: Rows, outputs: int, remembered: int) -> None:
        """`remembered`: so many ids of joined samples are known, to tell a second label of theirs."""
        self.rows = KeptRows(empty, outputs)
        self.index: dict[str, int] = {}
        self.elsewhere = Elsewhere()
        self.early: dict[str, EarlyLabel] = {}
        self.joined = Marks(remembered)
        self.clocks: tuple[int, int] = (NEVER, NEVER)
        self.changed: dict[str, int] = {}
        self.removed: set[str] = set()
        self.touched = True
        self.stored: int | None = None
        """Log offset of the save that `removed` and `changed` go beyond; None: all is to be saved."""
        self._early: dict[str, EarlyLabel] = {}  # as of what counted
        self._clocks: tuple[int, int] = (NEVER, NEVER)
        self._oldest: int | None = None  # no row in memory is older
        self._unconfirmed: deque[range] = deque()  # rows that pending batches added

    @property
    def count(self) -> int:
        """Samples that wait, pending batches included."""
        return len(self.index) + len(self.elsewhere)

    @property
    def row_bytes(self) -> int:
        """About what a sample takes in the log."""
        return self.rows.row_bytes

    @property
    def nbytes(self) -> int:
        """About what it holds in memory."""
        return self.rows.nbytes + self.elsewhere.nbytes

    @property
    def counted(self) -> tuple[dict[str, EarlyLabel], list[str], tuple[int, int]]:
        """Early labels, joined ids and clocks without what is pending."""
        return self._early, list(self.joined.counted()), self._clocks

    @property
    def oldest(self) -> int | None:
        """No sample that waits is of an earlier event time; None: nothing waits."""
        if self._oldest is None:
            self._oldest = self.rows.oldest()
        found = [one for one in (self._oldest, self.elsewhere.oldest()) if one is not None]
        return min(found, default=None)

    def older(self, time: int) -> Int64:
        """Numbers of the rows in memory of an event time before `time`."""
        if self._oldest is None:
            self._oldest = self.rows.oldest()
        if self._oldest is None or self._oldest >= time:
            return _NONE
        found = self.rows.older(time)
        if not len(found):
            self._oldest = self.rows.oldest()
        return found

    # Pending batches

    def keep(self, ids: Sequence[str], rows: Rows, served: Float64) -> dict[str, int]:
        """Rows of samples that wait from now on: id → number."""
        numbers = self.rows.add(ids, rows, served)
        if self._oldest is not None and len(rows):
            self._oldest = min(self._oldest, int(rows.timestamps.min()))
        added = dict(zip(ids, numbers.tolist(), strict=True))
        self.index.update(added)
        self._unconfirmed.append(range(int(numbers[0]), int(numbers[-1]) + 1) if len(numbers) else range(0))
        return added

    def take(self, taken: dict[str, int]) -> None:
        """These rows wait no longer, if the batch counts."""
        self.rows_taken(_numbers(taken))

    def rows_taken(self, numbers: Int64) -> None:
        """As `take`, by their numbers."""
        self.rows.mark(numbers, TAKEN)

    def time_of(self, number: int) -> int:
        """Event time of a row in memory."""
        return self.rows.time_of(number)

    def revert(self, changes: Iterable[Change]) -> None:
        """Take back all pending changes, given in order."""
        for change in reversed(list(changes)):
            for id_ in change.added:
                self.index.pop(id_, None)
            self.rows.mark(_numbers(change.added), FREE)
            self._unconfirmed.pop()
            self.index.update(change.taken)
            self.rows.mark(_numbers(change.taken), FREE_TO_TAKE)
            self.elsewhere.add(list(change.gone), _numbers(change.gone))
        self.joined.revert()
        self.early, self.clocks = dict(self._early), self._clocks
        self._oldest = None

    def confirm(self, change: Change) -> None:
        """A batch has counted: its change is now part of what the log says."""
        self.rows.mark(_numbers(change.taken), FREE)
        # One that was never saved need not be removed; of what is saved, an older one of its id would be.
        changed = self.changed
        unsaved = changed.keys() & change.taken.keys()
        self.removed.update(change.taken.keys() - unsaved if unsaved else change.taken)
        deque(map(changed.pop, unsaved), maxlen=0)
        self.removed.update(change.gone)
        changed.update(change.added)
        self._unconfirmed.popleft()
        for id_ in change.early_gone:
            self._early.pop(id_, None)
        self._early.update(change.early)
        self.joined.confirm()
        self._clocks = change.clocks
        self.touched = True

    # What the store does not have yet

    def begin_save(self, whole: bool) -> tuple[dict[str, int], set[str]]:
        """Rows to be saved and ids to be removed, as of what counted; they are noted as saved."""
        changed, removed = self.changed, self.removed
        if whole:  # rows that a pending batch took are still there, as far as the log tells
            changed, removed = self.rows.kept(without=self._unconfirmed), set()
        self.changed, self.removed, self.touched = {}, set(), False
        return changed, removed

    def save_failed(self, changed: dict[str, int], removed: set[str]) -> None:
        """What `begin_save` gave is to be saved after all, unless it has changed since."""
        later = self.changed.keys() | self.removed
        self.changed |= {id_: number for id_, number in changed.items() if id_ not in later}
        self.removed |= removed - later
        self.touched = True

    # Records that others wrote, and what the store had

    def apply(self, late: LateRows, clocks: tuple[int, int]) -> None:
        """What a record that counted says; nothing is pending. Rows that it removes need not be here."""
        for part, rows in late.split():
            change = Change(clocks=clocks)
            ids, events = late.ids[rows], late.events[rows]
            for event, id_ in zip(events.tolist(), ids, strict=True):
                if event in (JOINED, EXPIRED):
                    self._drop(id_, change)
                if event in (JOINED, AT_ONCE, OWN):
                    change.joined.append(id_)
                    change.early_gone.append(id_)
            for id_ in part.gone:
                self._drop(id_, change)
            waits = np.flatnonzero(events == WAITS) + rows.start
            new = [late.ids[at] for at in waits.tolist()]
            change.added = self.keep(new, late.rows.take(waits), late.served[waits])
            change.early_gone += part.given_up
            change.early = {one.id: one for one in part.early}
            self.joined.add(change.joined)
            self.confirm(change)
        self.early, self.clocks = dict(self._early), clocks
        self._clocks = clocks

    def restore(self, early: Iterable[EarlyLabel], joined: Iterable[str], clocks: tuple[int, int]) -> None:
        """Begin with what the store had; the ids that wait there are added to `elsewhere`."""
        self._early = {one.id: one for one in early}
        self.early = dict(self._early)
        self.joined.add(list(joined))
        self.joined.confirm()
        self.clocks = self._clocks = clocks

    def recall(self, ids: Sequence[str], rows: Rows, served: Float64) -> None:
        """Rows that waited in the store alone are in memory again, and still there."""
        self.elsewhere.discard(ids)
        self.keep(ids, rows, served)
        self._unconfirmed.pop()

    def let_go(self, count: int) -> int:
        """Forget up to `count` rows that the store has, the first ones; returns how many."""
        numbers = self.rows.first(count)
        ids = self.rows.ids_of(numbers)
        stored = [
            i
            for i, (one, number) in enumerate(zip(ids, numbers.tolist(), strict=True))
            if one not in self.changed and not any(number in rows for rows in self._unconfirmed)
        ]
        if stored:
            numbers = numbers[stored]
            ids = [ids[i] for i in stored]
            self.elsewhere.add(ids, self.rows.times(numbers))
            self.rows.mark(numbers, FREE)
            for one in ids:
                del self.index[one]
            self._oldest = None
        return len(stored)

    def _drop(self, id_: str, change: Change) -> None:
        number = self.index.pop(id_, None)
        if number is not None:
            change.taken[id_] = number
        else:
            self.elsewhere.discard([id_])
            change.gone[id_] = NEVER


def _numbers(ids: dict[str, int]) -> Int64:
    return np.fromiter(ids.values(), np.int64, len(ids))
