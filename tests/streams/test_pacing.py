"""The share of redone work is bounded, whatever the others do; a worker alone is never held back."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import pytest

from streams.pacing import LARGEST, SMALLEST, TARGET, Pacing
from streams.stride import CHUNK


@dataclass
class Pending:
    rows: range
    fresh: bool = True  # learned and not undone since


def shared() -> Pacing:
    pacing = Pacing()
    pacing.own(2, 8)
    return pacing


@dataclass
class Worker:
    """A worker with a pipeline: `delay` rounds from learning to reading back, in the view's way."""

    pacing: Pacing
    delay: int
    learned: int = 0
    redone: int = 0

    def __post_init__(self) -> None:
        self.pending: deque[tuple[int, Pending]] = deque()

    def run(self, rounds: int, foreign: bool, fetched: int = 100_000) -> None:
        """In each round it predicts what it may, and then another worker's record comes, if `foreign`."""
        for now in range(rounds):
            while self.pending and now - self.pending[0][0] >= self.delay:
                _, batch = self.pending.popleft()
                self.redone += 0 if batch.fresh else len(batch.rows)
            if room := self.pacing.room([batch for _, batch in self.pending], CHUNK):
                self._predict(now, min(room, fetched))
            for _, batch in self.pending:
                batch.fresh = batch.fresh and not foreign
        self.pending.clear()

    def _predict(self, now: int, size: int) -> None:
        for _, batch in self.pending:
            self.redone += 0 if batch.fresh else len(batch.rows)
            batch.fresh = True
        self.learned += size
        self.pending.append((now, Pending(range(size))))
        self.pacing.processed(size, [batch for _, batch in self.pending], self.redone)


def test_a_worker_that_owns_all_partitions_may_always_process_a_whole_chunk() -> None:
    pacing = Pacing()
    pacing.own(8, 8)
    full = [Pending(range(CHUNK))] * 63
    assert pacing.room(full, CHUNK) == CHUNK
    for round_ in range(100):  # whatever it had to redo
        pacing.processed(CHUNK, full, redone=round_ * 10 * CHUNK)
    assert pacing.room(full, CHUNK) == CHUNK


@pytest.mark.parametrize("delay", [1, 2, 5, 20])
@pytest.mark.parametrize("fetched", [3, 700, 100_000])
def test_with_foreign_records_in_every_round_at_most_the_target_is_redone(delay: int, fetched: int) -> None:
    worker = Worker(shared(), delay)
    worker.run(3_000, foreign=True)
    worker.learned = worker.redone = 0
    worker.pacing._redone_before = 0
    worker.run(20_000, foreign=True, fetched=fetched)
    assert worker.learned > 0
    assert worker.redone / worker.learned <= 1.25 * TARGET


def test_without_a_limit_the_same_worker_would_redo_many_times_as_much() -> None:
    alone = Pacing()
    worker = Worker(alone, delay=20)
    worker.run(3_000, foreign=True)
    assert worker.redone / worker.learned > 5 * TARGET


def test_where_no_foreign_record_comes_the_limit_soon_holds_nobody_back() -> None:
    worker = Worker(shared(), delay=5)
    worker.run(1_000, foreign=False)
    learned = worker.learned
    worker.run(1_000, foreign=False)
    assert worker.redone == 0
    assert worker.learned == learned + 1_000 * CHUNK


def test_a_limit_that_holds_nobody_back_does_not_grow() -> None:
    worker = Worker(shared(), delay=2)
    worker.run(10_000, foreign=False, fetched=10)
    assert worker.pacing.limit <= 2 * CHUNK


def test_the_limit_does_not_grow_without_end() -> None:
    worker = Worker(shared(), delay=100)
    worker.run(5_000, foreign=False)
    assert worker.pacing.limit == LARGEST


def test_the_limit_is_never_below_one_small_batch_so_that_work_always_goes_on() -> None:
    pacing = shared()
    for round_ in range(100):
        pacing.processed(CHUNK, [], redone=round_ * 10 * CHUNK)
    assert pacing.limit == SMALLEST
    assert pacing.room([], CHUNK) == SMALLEST
    assert pacing.room([Pending(range(1))], CHUNK) == 0


def test_when_others_join_a_worker_begins_with_little_and_when_they_leave_it_has_no_limit() -> None:
    pacing = shared()
    assert pacing.room([], CHUNK) == SMALLEST
    pacing.own(8, 8)
    assert pacing.room([Pending(range(CHUNK))], CHUNK) == CHUNK
    pacing.limit = 50_000
    pacing.own(3, 8)
    assert pacing.room([], CHUNK) == SMALLEST


def test_the_typical_pending_is_the_median_of_what_was_seen() -> None:
    pacing = Pacing()
    assert pacing.typical == 0
    for samples in (10, 500, 20):
        pacing.processed(samples, [Pending(range(samples))], 0)
    assert pacing.typical == 20
