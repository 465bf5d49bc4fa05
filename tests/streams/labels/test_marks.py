"""Ids of joined samples are remembered, the last ones; what is pending is taken back without a trace."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.labels.marks import Marks

groups = st.lists(st.sampled_from("abcdefgh"), max_size=4, unique=True)
moves = st.lists(st.tuples(st.sampled_from(["add", "add", "confirm", "revert"]), groups), max_size=40)


@given(steps=moves, most=st.sampled_from([1, 5, 1000]))
@settings(max_examples=300)
def test_it_knows_at_least_the_last_ids_and_never_one_that_was_taken_back(
    steps: list[tuple[str, list[str]]], most: int
) -> None:
    marks = Marks(most)
    counted: list[str] = []
    pending: list[list[str]] = []
    for what, ids in steps:
        if what == "add":
            marks.add(ids)
            pending.append(ids)
        elif what == "confirm" and pending:
            marks.confirm()
            counted += pending.pop(0)
        elif what == "revert":
            marks.revert()
            pending.clear()
        ever = [*counted, *(one for group in pending for one in group)]
        assert all(one in marks for one in ever[-most:])
        assert all(one in ever for one in "abcdefgh" if one in marks)
        kept = list(marks.counted())
        assert kept == counted[len(counted) - len(kept) :]


@pytest.mark.parametrize("size", [1, 10, 300])
def test_about_as_many_are_kept_as_were_asked_for(size: int) -> None:
    marks = Marks(100)
    for start in range(0, 3000, size):
        marks.add([str(i) for i in range(start, start + size)])
        marks.confirm()
        assert len(list(marks.counted())) <= 100 + size


def test_an_id_that_was_joined_again_is_known_as_long_as_its_newer_self() -> None:
    marks = Marks(3)
    marks.add(["a", "b"])
    marks.confirm()
    marks.add(["a"])
    marks.revert()
    assert "a" in marks
    marks.add(["a", "c", "d"])
    marks.confirm()
    marks.add(["e"])
    marks.confirm()
    assert "a" in marks
    assert "b" not in marks


def test_batches_without_joins_take_no_memory() -> None:
    marks = Marks(100)
    for _ in range(10_000):
        marks.add([])
        marks.add(["a"] if not len(list(marks.counted())) else [])
        marks.confirm()
        marks.confirm()
    assert list(marks.counted()) == ["a"]
    assert len(marks._groups) == 1
