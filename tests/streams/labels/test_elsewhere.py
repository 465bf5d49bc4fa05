"""Ids that wait in the store alone: as a plain dict of ids and event times would have them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.labels import elsewhere
from streams.labels.elsewhere import MOST_RUNS, Elsewhere

some_ids = st.lists(st.sampled_from(["", *(f"i{i}" for i in range(20)), "ä", "日本", "a\nb"]), max_size=8)
moves = st.lists(
    st.tuples(st.sampled_from(["add", "add", "discard", "clear"]), some_ids, st.integers(-20, 20)),
    max_size=60,
)


def add(away: Elsewhere, plain: dict[str, int], ids: list[str], time: int) -> None:
    new = [one for one in dict.fromkeys(ids) if one not in plain]
    times = [time + i % 3 for i in range(len(new))]
    away.add(new, np.array(times, dtype=np.int64))
    plain.update(zip(new, times, strict=True))


def compare(away: Elsewhere, plain: dict[str, int], ids: list[str], time: int) -> None:
    assert len(away) == len(plain)
    assert sorted(away.find(ids)) == sorted(one for one in ids if one in plain)
    oldest = away.oldest()
    assert (oldest is None) == (not plain)
    assert oldest is None or oldest <= min(plain.values())
    due = {one for one, at in plain.items() if at < time}
    assert set(away.older(time, 1000)) == due
    assert len(away.older(time, 2)) == min(2, len(due))
    assert set(away.older(time, 2)) <= due
    assert sorted(away.first(1000)) == sorted(plain)
    assert away.first(3) == away.first(1000)[:3]


@given(steps=moves)
@settings(max_examples=300)
def test_it_is_a_dict_of_ids_and_times(steps: list[tuple[str, list[str], int]]) -> None:
    away, plain = Elsewhere(), dict[str, int]()
    for what, ids, time in steps:
        if what == "add":
            add(away, plain, ids, time)
        elif what == "discard":
            away.discard(ids)
            for one in ids:
                plain.pop(one, None)
        else:
            away.clear()
            plain.clear()
        compare(away, plain, ids, time)


@given(steps=moves)
@settings(max_examples=100)
def test_ids_of_one_hash_are_told_apart(steps: list[tuple[str, list[str], int]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(elsewhere, "_hashes", lambda ids: np.array([len(one) for one in ids], dtype=np.int64))
        test_it_is_a_dict_of_ids_and_times.hypothesis.inner_test(steps)  # type: ignore[attr-defined]


def test_they_come_in_the_order_in_which_they_were_let_go() -> None:
    away = Elsewhere()
    order = [f"{group}-{i}" for group in range(3 * MOST_RUNS) for i in range(5)]
    for start in range(0, len(order), 5):
        away.add(order[start : start + 5], np.full(5, start))
    assert away.first(1000) == order
    away.discard(order[7:20])
    assert away.first(1000) == order[:7] + order[20:]
    assert away.older(100, 1000) == order[:7] + order[20:100]


def test_an_id_takes_a_few_dozen_bytes() -> None:
    away = Elsewhere()
    for start in range(0, 100_000, 1000):
        away.add([f"order-{i:08d}" for i in range(start, start + 1000)], np.arange(start, start + 1000))
    assert away.nbytes / len(away) < 60
    away.discard([f"order-{i:08d}" for i in range(100_000)])
    assert (len(away), away.nbytes, away.oldest()) == (0, 0, None)
