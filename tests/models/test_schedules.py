"""Each schedule gives the rate that its formula does, with and without warm-up."""

from __future__ import annotations

from math import cos, floor, pi
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import schedules
from models.schedules import make_schedule
from models.spec import ScheduleName, ScheduleSpec
from tests.models.compiled import compiled

rate_at = compiled(schedules.rate_at)
FORMULAS = {
    "constant": lambda s, t: 1.0,
    "inverse-scaling": lambda s, t: (t + 1.0) ** -s.power,
    "exponential": lambda s, t: s.factor ** (t / s.every),
    "step": lambda s, t: s.factor ** floor(t / s.every),
    "cosine": lambda s, t: s.floor + (1 - s.floor) * 0.5 * (1 + cos(pi * min(1.0, t / s.horizon))),
}

specs = st.builds(
    ScheduleSpec,
    st.sampled_from(get_args(ScheduleName)),
    power=st.sampled_from([0.25, 0.5, 1.0]),
    factor=st.sampled_from([0.1, 0.5, 0.999, 1.0]),
    every=st.sampled_from([1, 10, 1_000]),
    horizon=st.sampled_from([1, 50, 100_000]),
    floor=st.sampled_from([0.0, 0.1, 1.0]),
    warmup=st.sampled_from([0, 1, 5, 2_000]),
)


@settings(max_examples=300, deadline=None)  # the first one compiles
@given(spec=specs, rate=st.sampled_from([1e-4, 0.1, 2.0]), t=st.integers(0, 10_000))
def test_the_rate_is_that_of_the_formula(spec, rate, t):
    expected = rate * FORMULAS[spec.name](spec, t)
    if t < spec.warmup:
        expected *= (t + 1) / spec.warmup
    found = rate_at(make_schedule(spec, rate), float(t))
    assert found == pytest.approx(expected, rel=1e-12, abs=1e-16 * rate)


@pytest.mark.parametrize("name", get_args(ScheduleName))
def test_a_warm_up_grows_in_equal_steps_and_then_hands_over(name):
    plain = ScheduleSpec(name, every=10, horizon=100)
    warm = ScheduleSpec(name, every=10, horizon=100, warmup=4)
    shares = [
        rate_at(make_schedule(warm, 0.3), float(t)) / rate_at(make_schedule(plain, 0.3), float(t))
        for t in range(6)
    ]
    assert shares == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0, 1.0])


def test_a_cosine_stays_at_its_floor_after_the_horizon():
    schedule = make_schedule(ScheduleSpec("cosine", horizon=100, floor=0.1), 2.0)
    assert [rate_at(schedule, t) for t in (0.0, 50.0, 100.0, 1e6, 1e15)] == pytest.approx(
        [2.0, 1.1, 0.2, 0.2, 0.2]
    )


def test_a_step_falls_exactly_where_it_should():
    schedule = make_schedule(ScheduleSpec("step", factor=0.5, every=100), 1.0)
    assert [rate_at(schedule, t) for t in (99.0, 100.0, 199.0, 200.0)] == pytest.approx([1.0, 0.5, 0.5, 0.25])
