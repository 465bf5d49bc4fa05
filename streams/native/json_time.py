"""RFC 3339 in bytes to milliseconds since 1970."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from models.kernels.jit import helper, part, unsigned
from models.kernels.plan import UInt8
from streams.native.powers import signed

_DAYS = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], dtype=np.int64)
NOT_SURE = -1


class Moment(NamedTuple):
    """Milliseconds since 1970, and whether the text is surely one."""

    milliseconds: int
    sure: bool


@helper
def _digits(data: UInt8, at: int, count: int) -> int:
    """A number of so many digits, NOT_SURE if there is anything else."""
    value = 0
    for i in range(count):
        digit = signed(data[unsigned(at + i)]) - 48
        if digit < 0 or digit > 9:
            return NOT_SURE
        value = 10 * value + digit
    return value


@helper
def days_since_1970(year: int, month: int, day: int) -> int:
    """Of a date of the Gregorian calendar.

    Source: H. Hinnant, "chrono-compatible low-level date algorithms", days_from_civil.
    """
    year -= month <= 2
    era = year // 400
    of_era = year - 400 * era
    of_year = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5 + day - 1
    return 146_097 * era + 365 * of_era + of_era // 4 - of_era // 100 + of_year - 719_468


@part
def moment(data: UInt8, at: int, end: int) -> Moment:
    """Of `2013-01-01T05:15:00.250Z` or `…+01:00` in [at, end), rounded down; sure only of that very form."""
    no = Moment(0, False)
    if end - at < 20 or data[at + 4] != 45 or data[at + 7] != 45 or data[at + 10] != 84:
        return no
    if data[at + 13] != 58 or data[at + 16] != 58:
        return no
    year, month, day = _digits(data, at, 4), _digits(data, at + 5, 2), _digits(data, at + 8, 2)
    hour, minute = _digits(data, at + 11, 2), _digits(data, at + 14, 2)
    second = _digits(data, at + 17, 2)
    if year < 2 or year > 9998 or month < 1 or month > 12 or not 0 <= hour <= 23:
        return no  # the first and the last year may be others where there is an offset
    leap = month == 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if day < 1 or day > _DAYS[month - 1] + leap or not 0 <= minute <= 59 or not 0 <= second <= 59:
        return no
    at += 19
    fraction, scale = 0, 1000
    if data[at] == 46:
        start = at + 1
        at = start
        while at < end and 48 <= data[at] <= 57:
            if at < start + 3:
                scale //= 10
                fraction += scale * (signed(data[at]) - 48)
            at += 1
        if at == start or at - start > 6:
            return no
    offset = 0
    if at + 1 == end and data[at] == 90:
        offset = 0
    elif at + 6 == end and data[at + 3] == 58 and (data[at] == 43 or data[at] == 45):
        hours, minutes = _digits(data, at + 1, 2), _digits(data, at + 4, 2)
        if not 0 <= hours <= 23 or not 0 <= minutes <= 59:
            return no
        offset = (60 * hours + minutes) * (1 if data[at] == 43 else -1)
    else:
        return no
    minutes = 60 * (24 * days_since_1970(year, month, day) + hour) + minute - offset
    return Moment(1000 * (60 * minutes + second) + fraction, True)
