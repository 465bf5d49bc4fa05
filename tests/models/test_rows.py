"""Rows can be cut, picked from and joined without a change to any of them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.rows import Rows
from tests.rows import assert_same_rows


def rows(n: int, seed: int) -> Rows:
    generator = np.random.default_rng(seed)
    lengths = generator.integers(0, 4, n)
    total = int(lengths.sum())
    return Rows(
        numeric=generator.normal(size=(n, 2)),
        indptr=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        indices=generator.integers(0, 2**32, total, dtype=np.uint32),
        values=generator.normal(size=total),
        scaled_by=generator.integers(-1, 2, total).astype(np.int16),
        labels=generator.normal(size=n),
        weights=generator.random(n),
        timestamps=np.arange(n, dtype=np.int64),
        offsets=np.arange(n, dtype=np.int64) * 2,
        names={seed: f"name {seed}"},
    )


@given(n=st.integers(0, 20), cuts=st.lists(st.integers(0, 20), max_size=4), seed=st.integers(0, 99))
def test_slices_joined_again_are_the_rows(n: int, cuts: list[int], seed: int) -> None:
    whole = rows(n, seed)
    edges = [0, *sorted(min(cut, n) for cut in cuts), n]
    assert_same_rows(Rows.concatenate([whole.slice(a, b) for a, b in pairwise(edges)]), whole)


@given(n=st.integers(0, 20), seed=st.integers(0, 99), data=st.data())
def test_selected_rows_are_those_of_single_slices(n: int, seed: int, data: st.DataObject) -> None:
    whole = rows(n, seed)
    keep = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)), dtype=bool)
    chosen = [whole.slice(i, i + 1) for i in np.flatnonzero(keep)]
    assert_same_rows(whole.select(keep), Rows.concatenate([whole.slice(0, 0), *chosen]))


def test_joined_rows_have_the_names_of_all() -> None:
    joined = Rows.concatenate([rows(1, 1), rows(1, 2)])
    assert joined.names == {1: "name 1", 2: "name 2"}
