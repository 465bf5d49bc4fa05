"""A step takes about a quarter of a second at most, whatever a sample costs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.stride import CHUNK, FIRST, STEP_SECONDS, Stride


def run(stride: Stride, cost: float, fixed: float = 0.0, steps: int = 20) -> list[float]:
    """Seconds of full steps of records that cost so much each."""
    taken = []
    for _ in range(steps):
        taken.append(fixed + stride.most * cost)
        stride.took(stride.most, taken[-1])
    return taken


@pytest.mark.parametrize("cost", [1e-7, 1e-6, 1e-5])
def test_steps_of_cheap_samples_get_as_large_as_they_may(cost: float) -> None:
    stride = Stride()
    run(stride, cost)
    assert stride.most == CHUNK


@pytest.mark.parametrize("cost", [1e-4, 1e-3, 1e-2, 0.2])
def test_steps_of_dear_samples_are_as_long_as_they_may(cost: float) -> None:
    first, *others = run(Stride(), cost)
    assert first == FIRST * cost
    assert all(seconds <= STEP_SECONDS * 1.001 for seconds in others)
    assert others[-1] > STEP_SECONDS / 2 - cost


def test_a_sample_that_takes_longer_than_a_step_is_a_step() -> None:
    stride = Stride()
    run(stride, 2.0)
    assert stride.most == 1


def test_single_records_that_cost_their_overhead_leave_room_for_what_comes_at_once() -> None:
    stride = Stride()
    for _ in range(100):
        stride.took(1, 4e-4)
    assert stride.most >= FIRST


@given(st.lists(st.tuples(st.integers(0, CHUNK), st.floats(0, 100)), max_size=50))
def test_there_is_always_room_for_a_record(steps: list[tuple[int, float]]) -> None:
    stride = Stride()
    for records, seconds in steps:
        stride.took(records, seconds)
        assert 1 <= stride.most <= CHUNK


def test_a_step_without_records_says_nothing() -> None:
    stride = Stride()
    stride.took(0, 1.0)
    assert stride.most == FIRST
