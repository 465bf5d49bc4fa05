"""Cycles of the event time, against Python's calendar."""

from __future__ import annotations

import calendar
import math
from datetime import UTC, datetime, timedelta, timezone
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.encoding_time import turns
from models.errors import SpecError
from models.features import Encoder
from models.spec import FeatureSpec, NumericFeature, TimeCycle
from tests.models.encoding import encode

CYCLES = get_args(TimeCycle)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST, LAST = (
    round((t - EPOCH).total_seconds() * 1000)
    for t in (datetime(1, 1, 3, tzinfo=UTC), datetime(9999, 12, 29, tzinfo=UTC))
)


def expected(cycle: str, at: datetime) -> float:
    """The share of the cycle that has passed."""
    day = timedelta(
        hours=at.hour, minutes=at.minute, seconds=at.second, microseconds=at.microsecond
    ) / timedelta(days=1)
    in_month = (at.day - 1 + day) / calendar.monthrange(at.year, at.month)[1]
    return {
        "minute-of-hour": (day * 24) % 1,
        "hour-of-day": day,
        "day-of-week": (at.weekday() + day) / 7,
        "day-of-month": in_month,
        "month-of-year": (at.month - 1 + in_month) / 12,
    }[cycle]


@pytest.mark.parametrize("cycle", CYCLES)
@given(time=st.integers(FIRST, LAST), minutes=st.integers(-1439, 1439))
@settings(max_examples=200, deadline=None)
def test_a_cycle_is_where_pythons_calendar_has_it(cycle: TimeCycle, time: int, minutes: int) -> None:
    at = (EPOCH + timedelta(milliseconds=time)).astimezone(timezone(timedelta(minutes=minutes)))
    spec = FeatureSpec(time=(cycle,), utc_offset=minutes)
    sine, cosine = encode(spec, [{}], [time]).numeric[0].tolist()
    turn = expected(cycle, at)
    # turns of neighbouring ends are far apart as numbers, and near as angles
    assert sine == pytest.approx(math.sin(2 * math.pi * turn), abs=1e-10)
    assert cosine == pytest.approx(math.cos(2 * math.pi * turn), abs=1e-10)


def test_columns_stand_behind_the_declared_numbers_and_are_not_scaled() -> None:
    spec = FeatureSpec(numeric=(NumericFeature("a"),), time=("hour-of-day", "day-of-week"))
    six_on_a_monday = round(datetime(2024, 1, 1, 6, tzinfo=UTC).timestamp() * 1000)
    assert spec.numeric_columns() == [
        "a", "time.hour-of-day.sin", "time.hour-of-day.cos", "time.day-of-week.sin", "time.day-of-week.cos",
    ]  # fmt: skip
    assert spec.scalings() == ["standard", "none", "none", "none", "none"]
    row = encode(spec, [{"a": 3}], [six_on_a_monday]).numeric[0].tolist()
    turn = 2 * math.pi / 28
    assert row == pytest.approx([3, 1, 0, math.sin(turn), math.cos(turn)], abs=1e-15)
    assert row[1:3] == [1.0, 0.0], "quarters of the day are exact"


@pytest.mark.parametrize("cycle", CYCLES)
def test_a_cycle_closes_without_a_jump(cycle: TimeCycle) -> None:
    midnight = round(datetime(2024, 1, 1, tzinfo=UTC).timestamp() * 1000)  # a Monday: all cycles begin
    first, last = encode(FeatureSpec(time=(cycle,)), [{}, {}], [midnight, midnight - 1]).numeric
    np.testing.assert_allclose(first, [0.0, 1.0], atol=1e-15)
    np.testing.assert_allclose(last, first, atol=2e-6)


@pytest.mark.parametrize("cycle", CYCLES)
def test_any_64_bit_timestamp_has_a_turn(cycle: TimeCycle) -> None:
    times = np.array([-(2**63), -(2**63) + 1, -1, 0, 2**63 - 1])
    for offset in (-1439, 0, 1439):
        found = turns(cycle, times, offset)
        assert ((found >= 0) & (found < 1)).all()


def test_an_offset_of_a_day_is_refused() -> None:
    with pytest.raises(SpecError, match="utc_offset: expected less than 24 hours, found 1440 minutes"):
        Encoder(FeatureSpec(time=("hour-of-day",), utc_offset=1440))
