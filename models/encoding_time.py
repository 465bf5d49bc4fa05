"""The event time as cycles: where in the hour, day, week, month or year a sample happened.

A cycle's turn t in [0, 1) is the share of it that has passed, to the millisecond; its columns are sin 2πt and
cos 2πt, so that 23:59 and 00:00 are neighbours. Weeks begin on Monday; in a month of any length the turn goes
once around, and each month is a twelfth of the year.
"""

from __future__ import annotations

import numpy as np

from models.errors import SpecError
from models.kernels.transforms import write_waves
from models.rows import Float64, Int64
from models.spec import TimeCycle

_MINUTE = 60_000
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR
_MONDAY = 4  # 1970-01-05, in days since 1970

LARGEST_OFFSET = 24 * 60 - 1
"""Minutes that a clock may differ from UTC."""


def write_time(
    cycles: tuple[TimeCycle, ...], utc_offset: int, timestamps: Int64, numeric: Float64, column: int
) -> None:
    """Write sin and cos of each cycle to numeric[:, column], numeric[:, column + 1] …

    timestamps: (n,) ms since 1970, UTC; utc_offset: minutes by which the clock is ahead of UTC.
    """
    for i, cycle in enumerate(cycles):
        write_waves(turns(cycle, timestamps, utc_offset), numeric, column + 2 * i)


def check_offset(utc_offset: int) -> None:
    """Raise SpecError for an offset that no clock has."""
    if abs(utc_offset) > LARGEST_OFFSET:
        raise SpecError(f"features.utc_offset: expected less than 24 hours, found {utc_offset} minutes")


def turns(cycle: TimeCycle, timestamps: Int64, utc_offset: int = 0) -> Float64:
    """The share of the cycle that has passed, in [0, 1): (n,)."""
    # Added to the time of day, not to the timestamp, which may be any 64-bit number in a broken record.
    carried, times = np.divmod(timestamps % _DAY + utc_offset * _MINUTE, _DAY)
    days = timestamps // _DAY + carried
    if cycle == "minute-of-hour":
        return np.asarray(times % _HOUR / _HOUR)
    if cycle == "hour-of-day":
        return np.asarray(times / _DAY)
    if cycle == "day-of-week":
        return np.asarray(((days - _MONDAY) % 7 * _DAY + times) / (7 * _DAY))
    months = days.astype("datetime64[D]").astype("datetime64[M]")
    first = months.astype("datetime64[D]").astype(np.int64)
    length = (months + 1).astype("datetime64[D]").astype(np.int64) - first
    passed = ((days - first) * _DAY + times) / (length * _DAY)
    return passed if cycle == "day-of-month" else (months.astype(np.int64) % 12 + passed) / 12.0
