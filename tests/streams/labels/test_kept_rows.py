"""Rows that wait in memory: each under a number of its own, whatever is added, taken and let go around it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.rows import Rows
from streams.labels import kept_rows
from streams.labels.kept_rows import FREE, TAKEN, WAITS, KeptRows
from tests.rows import assert_same_rows
from tests.streams.test_log_format import DENSE, HASHED, random_rows


@dataclass
class Plain:
    """The same as a dict of what was added, by number."""

    kept: KeptRows
    rows: dict[int, tuple[str, Rows, np.ndarray]] = field(default_factory=dict)
    states: dict[int, int] = field(default_factory=dict)

    def add(self, n: int, seed: int) -> None:
        rows, served = random_rows(HASHED, n, seed)
        rows.timestamps[:] %= 50
        ids = [f"{seed}-{i}" for i in range(n)]
        numbers = self.kept.add(ids, rows, served).tolist()
        assert all(number not in self.states for number in numbers)
        for i, number in enumerate(numbers):
            self.rows[number] = ids[i], rows.slice(i, i + 1), served[i : i + 1]
            self.states[number] = WAITS

    def mark(self, numbers: list[int], state: int) -> None:
        self.kept.mark(np.array(numbers, dtype=np.int64), state)
        self.states.update(dict.fromkeys(numbers, state))

    def here(self, *states: int) -> list[int]:
        return [number for number, state in self.states.items() if state in states]

    def time(self, number: int) -> int:
        return int(self.rows[number][1].timestamps[0])

    def compare(self) -> None:
        kept, there = self.kept, self.here(WAITS, TAKEN)
        numbers = np.array(there, dtype=np.int64)
        found, served = kept.of(numbers)
        if there:
            assert_same_rows(found, Rows.concatenate([self.rows[number][1] for number in there]))
            np.testing.assert_array_equal(served, np.concatenate([self.rows[number][2] for number in there]))
        assert kept.ids_of(numbers) == [self.rows[number][0] for number in there]
        assert kept.times(numbers).tolist() == [self.time(number) for number in there]
        assert [kept.time_of(number) for number in there] == [self.time(number) for number in there]
        assert len(kept) == len(there)
        assert kept.oldest() == min(map(self.time, there), default=None)
        waits = self.here(WAITS)
        assert kept.older(25).tolist() == [number for number in waits if self.time(number) < 25]
        for count in (0, 1, 3, 10_000):
            assert kept.first(count).tolist() == waits[:count]
        without = set(there[::2])
        rest = {self.rows[number][0]: number for number in there if number not in without}
        assert kept.kept([range(number, number + 1) for number in without]) == rest


steps = st.lists(
    st.tuples(
        st.sampled_from(["add", "add", "take", "give back", "free"]), st.integers(0, 9), st.integers(0, 9)
    ),
    max_size=40,
)


@given(moves=steps)
@settings(max_examples=150)
def test_every_number_gives_its_row_back_to_the_bit_whatever_happens_to_the_others(
    moves: list[tuple[str, int, int]],
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kept_rows, "FIRST_ROOM", 4)  # so that it grows, and is made compact, all the time
        plain = Plain(KeptRows(random_rows(HASHED, 0, 0)[0], HASHED.outputs))
        for seed, (what, first, count) in enumerate(moves):
            if what == "add":
                plain.add(count, seed)
                continue
            of, to = {
                "take": ((WAITS,), TAKEN),
                "give back": ((TAKEN,), WAITS),
                "free": ((WAITS, TAKEN), FREE),
            }[what]
            plain.mark(plain.here(*of)[first : first + count], to)
            plain.compare()
        plain.compare()


def test_what_is_let_go_is_forgotten_so_that_memory_follows_what_waits() -> None:
    kept = KeptRows(random_rows(HASHED, 0, 0)[0], HASHED.outputs)
    rows, served = random_rows(HASHED, 1000, 1)
    ids = [str(i) for i in range(1000)]
    held = []
    for _ in range(60):
        numbers = kept.add(ids, rows, served)
        kept.mark(numbers[5:], FREE)
        held.append(kept.nbytes)
        assert len(kept.ids) <= 3 * kept_rows.FIRST_ROOM + 5 * 60
    assert len(kept) == 60 * 5
    assert max(held[30:]) < 1.5 * max(held[:30])


def test_rows_of_a_dense_model_have_no_entries() -> None:
    kept = KeptRows(random_rows(DENSE, 0, 0)[0], DENSE.outputs)
    rows, served = random_rows(DENSE, 7, 2)
    numbers = kept.add([str(i) for i in range(7)], rows, served)
    assert_same_rows(kept.of(numbers[::-1].copy())[0], rows.take(np.arange(7)[::-1]))
