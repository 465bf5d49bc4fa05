"""How much a worker may have pending, so that other workers' records make it redo a bounded share.

Foreign records that come first take pending back, and before the next prediction it is learned again. The
more batches are pending, the more often each is redone, and the staler is what others predict with. So the
limit of what may be pending is adapted, as TCP adapts its window: with r the samples redone for each that
was learned of late, after every WINDOW samples

    limit ← limit / 2      if r > TARGET
    limit ← 2 · limit      if r < TARGET / 2, and the limit held the worker back meanwhile
    limit ← 1.25 · limit   otherwise, if it did

With one batch pending a sample is redone at most once, so r ≤ 1 = TARGET / 2 however many workers there are:
batches get large first, and only then do several wait. (Learning a sample again costs a tenth of all that is
done for it; small batches cost several times as much.) A worker that owns all partitions has no limit. No
result on one partition depends on any of this: how a stream is cut into batches changes no byte.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sized
from statistics import median
from typing import Protocol

TARGET = 2.0
SMALLEST = 100
"""Samples; a smaller batch weighs as much, since it costs as much to take back and to learn again."""
LARGEST = 400_000
WINDOW = 2_000
KEPT = 0.5
"""Of the counts, from one window to the next: a batch is redone after the window in which it was learned."""


class Pending(Protocol):
    """A batch that has been learned and not read back."""

    @property
    def rows(self) -> Sized:
        """Its samples."""


class Pacing:
    """The limit of one worker's pending samples of one model; it starts low, and knows no clock."""

    def __init__(self) -> None:
        self.alone = True
        """Whether this worker owns all partitions."""
        self.limit = SMALLEST
        self._learned = 0.0
        self._redone = 0.0
        self._redone_before = 0
        self._weight = 0
        self._held = False
        self._seen: deque[int] = deque(maxlen=1_000)

    @property
    def typical(self) -> float:
        """Median of the samples that were pending when the last batches were processed."""
        return float(median(self._seen)) if self._seen else 0.0

    def own(self, owned: int, partitions: int) -> None:
        """The worker owns so many of all partitions now; the limit starts low when others join."""
        alone = owned >= partitions
        if self.alone and not alone:
            self.limit = SMALLEST
        self.alone = alone

    def room(self, pending: Collection[Pending], most: int) -> int:
        """How many samples, `most` at most, may be processed now in one batch; 0: wait."""
        if self.alone:
            return most
        left = self.limit - sum(max(SMALLEST, len(batch.rows)) for batch in pending)
        batch = min(self.limit, most)  # a whole one: pieces of what is left would stay small for ever
        if left < batch:
            self._held = True
            return 0
        return batch

    def processed(self, samples: int, pending: Collection[Pending], redone: int) -> None:
        """A batch was learned, and is in `pending`; `redone`: all samples redone since the start."""
        self._held |= samples >= self.limit
        self._seen.append(sum(len(batch.rows) for batch in pending))
        self._learned += samples
        self._redone += redone - self._redone_before
        self._redone_before = redone
        self._weight += max(SMALLEST, samples)
        if self._weight >= WINDOW:
            self._weight = 0
            if not self.alone:
                self._adapt(self._redone / max(1.0, self._learned))
            self._learned *= KEPT
            self._redone *= KEPT

    def _adapt(self, share: float) -> None:
        if share > TARGET:
            limit = self.limit // 2
        elif not self._held:
            return
        elif share < TARGET / 2:
            limit = self.limit * 2
        else:
            limit = self.limit + self.limit // 4
        self._held = False
        self.limit = min(max(limit, SMALLEST), LARGEST)
