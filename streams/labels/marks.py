"""Ids of samples that were joined, the last ones: they tell a second label from one that comes early."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence


class Marks:
    """Ids in groups, one of each batch; the oldest groups go as a whole, so about `most` are kept.

    The newest groups may belong to batches that are pending, and be taken back.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._groups: deque[Sequence[str]] = deque()
        self._known: set[str] = set()
        self._count = 0
        self._pending = 0

    def __contains__(self, id_: str) -> bool:
        return id_ in self._known

    def add(self, ids: Sequence[str]) -> None:
        """The ids of one more batch, which is pending; there may be none."""
        self._groups.append(ids)
        self._known.update(ids)
        self._count += len(ids)
        self._pending += 1
        while len(self._groups) > self._pending and self._count - len(self._groups[0]) >= self._most:
            gone = self._groups.popleft()
            self._count -= len(gone)
            self._known.difference_update(gone)

    def confirm(self) -> None:
        """The oldest pending batch is pending no longer."""
        self._pending -= 1

    def revert(self) -> None:
        """Take back all that is pending."""
        while self._pending:
            gone = self._groups.pop()
            self._count -= len(gone)
            self._known.difference_update(gone)
            self._pending -= 1

    def counted(self) -> Iterable[str]:
        """The ids without those of pending batches, the oldest first."""
        for i in range(len(self._groups) - self._pending):
            yield from self._groups[i]
