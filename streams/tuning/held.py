"""A recording in memory, encoded once for all candidates."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator

import numpy as np

from models.rows import Rows

MOST_BYTES = 1024 * 1024 * 1024
"""What a recording may take in memory."""


class Held:
    """The labelled samples of a recording, in order: unlabelled ones change nothing."""

    def __init__(self) -> None:
        self._chunks: list[Rows] = []
        self._starts: list[int] = []
        self.samples = 0
        self.nbytes = 0
        self.is_cut = False
        """Whether it had no room for all of the recording."""

    def fill(self, chunks: Iterable[Rows], most_bytes: int | None = None) -> Iterator[None]:
        """Take in chunk after chunk, until one would not fit into MOST_BYTES; yields after each."""
        most_bytes = MOST_BYTES if most_bytes is None else most_bytes
        for rows in chunks:
            labelled = rows.select(~np.isnan(rows.labels))
            if self.nbytes + labelled.nbytes > most_bytes and self._chunks:
                self.is_cut = True
                return
            if len(labelled):
                self._starts.append(self.samples)
                self._chunks.append(labelled)
                self.samples += len(labelled)
                self.nbytes += labelled.nbytes
            yield

    def between(self, start: int, stop: int) -> Iterator[Rows]:
        """The samples start … stop - 1, in chunks."""
        at = bisect_right(self._starts, start) - 1
        while start < stop:
            chunk, first = self._chunks[at], self._starts[at]
            end = min(stop, first + len(chunk))
            yield chunk.slice(start - first, end - first)
            start, at = end, at + 1
