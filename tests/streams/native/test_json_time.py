"""What is surely a time is the one that msgspec reads; of everything else nothing is claimed."""

from __future__ import annotations

import calendar
import random
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from models.kernels.jit import entry_point
from streams.ingest_validator import _from_text
from streams.native.json_time import days_since_1970, moment


@entry_point()
def moment_at(data, at, end):
    return moment(data, at, end)


@entry_point()
def days_of(dates, out):
    for i in range(len(dates)):
        out[i] = days_since_1970(dates[i, 0], dates[i, 1], dates[i, 2])


def read(text: bytes) -> int | None:
    """Milliseconds; None where it is not sure. Around the text stands what is not part of it."""
    data = np.frombuffer(b'"Z' + text + b"0Z+00:00", np.uint8)
    milliseconds, sure = moment_at(data, 2, 2 + len(text))
    alone = moment_at(np.frombuffer(text + b"Z", np.uint8)[: len(text)], 0, len(text))
    assert alone == (milliseconds, sure)
    return milliseconds if sure else None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2013-01-01T05:15:00Z", 1357017300000),
        ("2013-01-01T05:15:00.25Z", 1357017300250),
        ("2013-01-01T06:15:00+01:00", 1357017300000),
        ("2012-12-31T22:45:00.250-06:30", 1357017300250),
        ("1969-12-31T23:59:59.999999Z", -1),
        ("2000-02-29T12:00:00-00:00", 951825600000),
    ],
)
def test_a_time_is_counted_in_milliseconds_from_1970_and_rounded_down(text: str, expected: int) -> None:
    assert read(text.encode()) == expected == _from_text(text)


def test_every_day_of_every_year_is_counted_as_the_calendar_has_it() -> None:
    first = datetime(1, 1, 1).toordinal()
    dates = [datetime.fromordinal(n) for n in range(first, datetime(9999, 12, 31).toordinal(), 13)]
    dates += [datetime(year, month, day) for year in range(1, 10_000) for month, day in ((2, 28), (3, 1))]
    out = np.empty(len(dates), np.int64)
    days_of(np.array([(date.year, date.month, date.day) for date in dates]), out)
    assert out.tolist() == [date.toordinal() - datetime(1970, 1, 1).toordinal() for date in dates]


@pytest.mark.parametrize("year", [2, 4, 100, 400, 1900, 1969, 1970, 2000, 2023, 2024, 2100, 9998])
def test_a_month_has_as_many_days_as_it_has(year: int) -> None:
    for month in range(1, 13):
        days = calendar.monthrange(year, month)[1]
        for day in (0, 1, days - 1, days, days + 1, 32):
            text = f"{year:04}-{month:02}-{day:02}T00:00:00Z"
            assert read(text.encode()) == _from_text(text)
            assert (read(text.encode()) is not None) == (1 <= day <= days)


ZONES = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@st.composite
def texts(draw: st.DrawFn) -> str:
    """RFC 3339 as people write it."""
    time = draw(st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=st.just(UTC) | ZONES))
    whole, zone = time.strftime("%H:%M:%S"), time.strftime("%z")
    fraction = draw(st.none() | st.text("0123456789", min_size=1, max_size=6))
    point = "" if fraction is None else f".{fraction}"
    end = draw(st.sampled_from(["Z", "-00:00"])) if zone == "+0000" else f"{zone[:3]}:{zone[3:5]}"
    return f"{time.year:04}-{time.month:02}-{time.day:02}T{whole}{point}{end}"


@settings(max_examples=500)
@given(texts())
def test_a_time_with_a_zone_is_sure_and_the_one_that_msgspec_reads(text: str) -> None:
    assert read(text.encode()) == _from_text(text) is not None


@settings(max_examples=500)
@given(texts(), st.data())
def test_nothing_is_sure_that_msgspec_refuses_or_reads_in_another_way(text: str, data: st.DataObject) -> None:
    spoilt = list(text)
    for _ in range(data.draw(st.integers(1, 2))):
        at = data.draw(st.integers(0, len(spoilt) - 1))
        spoilt[at] = data.draw(st.sampled_from([*"0123456789-+:.TtZz ", "", "00", "９"]))
    text = "".join(spoilt) or "Z"
    found = read(text.encode())
    assert found is None or found == _from_text(text)


def test_no_cut_or_lengthened_text_is_sure_unless_msgspec_reads_it() -> None:
    for whole in ("2013-01-01T05:15:00.250Z", "2013-01-01T05:15:00.250+01:00", "2013-01-01T05:15:00-01:00"):
        for size in range(1, len(whole) + 1):
            for more in ("", "Z", "0", " ", "+01:00", ".", ".5Z"):
                text = whole[:size] + more
                found = read(text.encode())
                assert found is None or found == _from_text(text)


@pytest.mark.parametrize(
    "text",
    ["2013-01-01T05:15:00", "2013-01-01T24:00:00Z", "2013-01-01T05:60:00Z", "2013-01-01T05:15:60Z",
     "2013-13-01T05:15:00Z", "2013-00-01T05:15:00Z", "2013-01-01T05:15:00+24:00", "2013-01-01T05:15:00+01:60",
     "2013-01-01T05:15:00.Z", "2013-01-01T05:15:00.1234567Z", "2013-01-01t05:15:00z", "2013-01-01 05:15:00Z",
     "2013-01-01T05:15:00+0100", "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00",
     "-013-01-01T05:15:00Z"],
)  # fmt: skip
def test_what_is_no_time_or_is_written_in_another_way_is_not_sure(text: str) -> None:
    assert read(text.encode()) is None


@given(st.binary(max_size=32))
@example(b"\xb9" * 20)
def test_of_no_bytes_whatever_more_is_claimed_than_msgspec_reads(data: bytes) -> None:
    assert read(data) is None or read(data) == _from_text(data.decode())


def test_every_hour_minute_and_second_is_read() -> None:
    rng = random.Random(3)
    for hour in range(25):
        for minute in range(61):
            second = rng.randrange(61)
            text = f"2024-02-29T{hour:02}:{minute:02}:{second:02}Z"
            assert read(text.encode()) == _from_text(text)
