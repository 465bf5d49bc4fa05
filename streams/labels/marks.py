"""Ids of samples that were joined, the last ones: they tell a second label from one that comes early."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence


class Marks:
    """Ids in groups, one of each batch; the oldest groups go as a whole, so about `most` are kept.

    The newest groups may belong to batches that are pending, and be taken back; none goes for their sake.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._groups: deque[Sequence[str]] = deque()
        self._known: set[str] = set()
        self._count = 0
        self._pending = 0
        self._counted = 0

    def __contains__(self, id_: str) -> bool:
        return id_ in self._known

    def add(self, ids: Sequence[str]) -> None:
        """The ids of one more batch, which is pending; there may be none."""
        self._groups.append(ids)
        self._known.update(ids)
        self._count += len(ids)
        self._pending += 1

    def confirm(self) -> None:
        """The oldest pending batch is pending no longer."""
        self._pending -= 1
        at = len(self._groups) - 1 - self._pending
        self._counted += len(self._groups[at])
        if not self._groups[at]:
            del self._groups[at]
        while self._groups and self._counted - len(self._groups[0]) >= self._most:
            gone = self._groups.popleft()
            self._counted -= len(gone)
            self._forget(gone)

    def revert(self) -> None:
        """Take back all that is pending."""
        while self._pending:
            self._forget(self._groups.pop())
            self._pending -= 1

    def counted(self) -> Iterable[str]:
        """The ids without those of pending batches, the oldest first."""
        for i in range(len(self._groups) - self._pending):
            yield from self._groups[i]

    def _forget(self, gone: Sequence[str]) -> None:
        """A group was taken out."""
        once = self._count == len(self._known)
        self._count -= len(gone)
        if once:
            self._known.difference_update(gone)
        else:  # an id that was joined twice may stand in another group
            self._known = set().union(*self._groups)
