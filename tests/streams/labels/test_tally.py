"""How long labels took: counted in classes of an eighth of an octave, the same for every reader."""

from __future__ import annotations

import math
from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.labels.tally import Tally, class_start, delay_class

delays = st.integers(0, 2**52) | st.integers(0, 100)


@given(delay=delays)
@settings(max_examples=500)
def test_a_delay_lies_in_its_class_and_the_class_is_an_eighth_wide(delay: int) -> None:
    (one,) = delay_class(np.array([delay])).tolist()
    start, stop = class_start(one), class_start(one + 1)
    assert start <= delay < stop
    assert stop - start <= max(1, start // 8)


def test_classes_go_up_with_the_delay_and_leave_none_out() -> None:
    classes = delay_class(np.arange(5000)).tolist()
    assert classes == sorted(classes)
    assert set(classes) == set(range(max(classes) + 1))
    starts = [class_start(one) for one in range(400)]
    assert starts == sorted(set(starts))


@given(found=st.lists(st.integers(-1000, 10**9), min_size=1, max_size=60))
@settings(max_examples=300)
def test_quantiles_are_those_of_the_sorted_list_to_within_an_eighth(found: list[int]) -> None:
    tally = Tally()
    tally.take_delays(np.array(found, dtype=np.int64))
    ordered = sorted(max(0, one) for one in found)
    summary = tally.summary()
    assert summary["count"] == len(found)
    assert summary["mean_seconds"] == pytest.approx(sum(ordered) / len(ordered) / 1000)
    for percent in (50, 90, 99):
        exact = ordered[math.ceil(percent / 100 * len(ordered)) - 1] / 1000
        assert exact <= summary[f"p{percent}_seconds"] <= exact * 1.125 + 0.001


@given(found=st.lists(delays, max_size=40), cuts=st.lists(st.integers(0, 40), max_size=4))
def test_however_it_is_cut_the_tally_is_the_same(found: list[int], cuts: list[int]) -> None:
    whole, pieces = Tally(), Tally()
    whole.take_delays(np.array(found, dtype=np.int64))
    bounds = [0, *sorted(cuts), len(found)]
    for start, stop in pairwise(bounds):
        pieces.take_delays(np.array(found[start:stop], dtype=np.int64))
    json = msgspec.json.Encoder(order="sorted").encode
    assert json(pieces) == json(whole)


def test_without_labels_there_is_nothing_to_tell() -> None:
    assert Tally().summary() == {
        "count": 0, "mean_seconds": None, "p50_seconds": None, "p90_seconds": None, "p99_seconds": None,
    }  # fmt: skip


def test_labels_that_came_before_their_samples_took_no_time() -> None:
    tally = Tally()
    tally.take_delays(np.array([-5000, -1], dtype=np.int64))
    assert tally.summary()["mean_seconds"] == 0.0
    assert tally.delays == {"0": 2}


def test_a_tally_is_read_back_as_it_was_stored() -> None:
    tally = Tally(joined=3, expired=1, dropped=2, early=4, repeated=5, unmatched=6, corrections=7)
    tally.take_delays(np.array([1, 70, 80_000_000]))
    assert msgspec.json.decode(msgspec.json.encode(tally), type=Tally) == tally


def test_two_tallies_share_nothing() -> None:
    one, other = Tally(), Tally()
    one.take_delays(np.array([1]))
    assert other.delays == {}
