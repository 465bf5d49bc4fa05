"""Numbers of JSON text to float64, rounded as Python's float() rounds them, for kernels that parse JSON.

The text is digits · 10^exponent. Up to 19 digits fit in 64 bits, and their product with the 128 bits of the
power of ten decides nearly always how to round (Lemire, "Number parsing at a gigabyte per second", arXiv
2101.11408); of more digits the first 19 are taken, if one more in their last place gives the same. What that
cannot decide, and what is beyond the range of doubles, is DOUBTFUL: float() has to say.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from models.kernels.jit import helper, part, unsigned
from models.kernels.plan import UInt8
from models.rows import Float64
from streams.native.powers import (
    LEAST,
    LOWER_TO_READ,
    UPPER,
    WHOLE,
    binary_exponent,
    high_product,
    joined,
    leading_zeros,
    load_word,
    signed,
    trailing_zeros,
)

REFUSED, INTEGER, LONG_INTEGER, FLOAT, DOUBTFUL = range(5)
"""Not a number of JSON; without point and exponent, within int64 or not; with one of these; a number of JSON
of either kind, whose value float(text[at:next]) has to say."""

_0, _1, _3, _8, _9, _10 = (unsigned(n) for n in (0, 1, 3, 8, 9, 10))
_19, _52, _56, _63 = (unsigned(n) for n in (19, 52, 56, 63))

_MINUS, _PLUS, _POINT, _DIGIT_0, _DIGIT_9, _LETTER_E, _LOWER_CASE = 0x2D, 0x2B, 0x2E, 0x30, 0x39, 0x65, 0x20
_DIGITS_0 = unsigned(0x3030303030303030)
_UP_TO_NINE = unsigned(0x7676767676767676)  # a digit + 0x76 is under 0x80, all else is not
_HIGHEST_BITS = unsigned(0x8080808080808080)
_TEN_TO_8, _SHORT = unsigned(10**8), unsigned(10**15)
_EXACT_POWERS: Float64 = np.array([10.0**e for e in range(23)])
_GREATEST = 308
_SIGN, _INFINITE, _HIDDEN, _SMALL_BITS = (unsigned(n) for n in (1 << 63, 0x7FF << 52, 1 << 52, 0x1FF))
_UNDECIDED = unsigned((1 << 64) - 1)
_LONGEST = 10**15  # of an exponent; no text has as many digits that could make up for it


@part
def read_number(text: UInt8, at: int, end: int) -> tuple[float, int, int, int]:
    """(value, whole, next, kind) of the number that begins at text[at], uint8, and ends before `end`.

    It ends before the first byte that does not belong to it; what may follow is the caller's to say. `whole`
    is the value of an INTEGER, and -0 is one whose value is -0.0.
    """
    p, stop = unsigned(at), unsigned(end)
    negative = p < stop and text[p] == _MINUS
    if negative:
        p += _1
    first = p
    if p < stop and text[p] == _DIGIT_0:
        digits, p = _0, p + _1
    else:
        digits, p = _read_digits(text, p, stop, _0)
    count, exponent, is_whole, valid = p - first, 0, True, p > first
    if valid and p < stop and text[p] == _POINT:
        begin = p + _1
        digits, p = _read_digits(text, begin, stop, digits)
        count, exponent, is_whole, valid = count + (p - begin), signed(begin) - signed(p), False, p > begin
    after = p
    if valid and p < stop and text[p] | _LOWER_CASE == _LETTER_E:
        power, p, valid = _read_exponent(text, p + _1, stop)
        exponent, is_whole = exponent + power, False
    if not valid:
        return 0.0, 0, signed(p), REFUSED
    bits = _bits(text, first, after, count, digits, exponent)
    if bits == _UNDECIDED:
        return 0.0, 0, signed(p), DOUBTFUL
    value = np.uint64(bits | (_SIGN if negative else _0)).view(np.float64)
    if not is_whole:
        return value, 0, signed(p), FLOAT
    if count > _19 or digits > _SIGN or (digits == _SIGN and not negative):
        return value, 0, signed(p), LONG_INTEGER
    return value, signed(_0 - digits if negative else digits), signed(p), INTEGER


@helper
def _read_digits(text: UInt8, p: int, stop: int, digits: int) -> tuple[int, int]:
    """`digits` with all behind it that stand from p on, modulo 2^64, and the position after these.

    Eight at once: the first byte of `word` that is not a digit's value has its highest bit in `other`.
    """
    while p + _8 <= stop:
        word = load_word(text, p) ^ _DIGITS_0
        other = ((word + _UP_TO_NINE) | word) & _HIGHEST_BITS
        if other == _0:
            digits = digits * _TEN_TO_8 + joined(word)
            p += _8
            continue
        count = trailing_zeros(other) >> _3
        word = (word << (_56 - (count << _3))) << _8
        return digits * WHOLE[count] + joined(word), p + count
    while p < stop and _DIGIT_0 <= text[p] <= _DIGIT_9:
        digits = digits * _10 + unsigned(text[p] - _DIGIT_0)
        p += _1
    return digits, p


@helper
def _read_exponent(text: UInt8, p: int, stop: int) -> tuple[int, int, bool]:
    """The exponent from behind its e on, the position after it, and whether it has digits."""
    negative = p < stop and text[p] == _MINUS
    if negative or (p < stop and text[p] == _PLUS):
        p += _1
    first, power = p, 0
    while p < stop and _DIGIT_0 <= text[p] <= _DIGIT_9:
        if power < _LONGEST:
            power = power * 10 + (signed(text[p]) - _DIGIT_0)
        p += _1
    return (-power if negative else power), p, p > first


@helper
def _bits(text: UInt8, first: int, after: int, count: int, digits: int, exponent: int) -> int:
    """The bits of digits · 10^exponent, which stand in text[first:after]; or _UNDECIDED.

    Where both are exact as doubles, the processor rounds once (Clinger, PLDI 1990). Digits up to 2^53 are;
    the limit is _SHORT lest one double in full length goes this way and the next another.
    """
    if count > _19:
        return _nearest_of_many(text, first, after, exponent)
    if digits >= _SHORT or not -22 <= exponent <= 22:
        return _nearest(digits, exponent)
    value = float(signed(digits))
    if exponent < 0:
        value /= _EXACT_POWERS[unsigned(-exponent)]
    else:
        value *= _EXACT_POWERS[unsigned(exponent)]
    bits: Any = np.float64(value).view(np.uint64)
    return unsigned(bits)


@helper
def _nearest(digits: int, exponent: int) -> int:
    """The bits of the double nearest to digits · 10^exponent, an even one of two as near; or _UNDECIDED.

    `high` and `low` are the upper 128 of the product's 192 bits. The lower half of the power of ten is left
    out unless it could carry as far as the bits that are rounded. Exactly halfway between two doubles lies
    only what has -4 ≤ exponent ≤ 23: no other 5^exponent goes into so few bits.
    """
    if digits == _0 or exponent < LEAST:
        return _0
    if exponent > _GREATEST:
        return _UNDECIDED
    shift = leading_zeros(digits)
    digits <<= shift
    e = unsigned(exponent - LEAST)
    high, low = high_product(digits, UPPER[e]), digits * UPPER[e]
    if high & _SMALL_BITS == _SMALL_BITS:
        more = high_product(digits, LOWER_TO_READ[e])
        low += more
        if low < more:
            high += _1
    if low == _UNDECIDED:
        return _UNDECIDED
    top = high >> _63
    cut = top + _9
    mantissa = high >> cut  # 54 bits: one more than a double has
    biased = binary_exponent(exponent) + 1086 + signed(top) - signed(shift)
    if biased <= 0:  # a subnormal; that rounding may make it a normal one is right as it is
        return _0 if biased < -52 else _rounded(mantissa >> unsigned(1 - biased))
    if low <= _1 and -4 <= exponent <= 23 and mantissa & _3 == _1 and mantissa << cut == high:
        mantissa -= _1
    bits = (unsigned(biased) << _52) + (_rounded(mantissa) - _HIDDEN)
    return bits if bits < _INFINITE else _UNDECIDED


@helper
def _rounded(mantissa: int) -> int:
    return (mantissa + (mantissa & _1)) >> _1


@part
def _nearest_of_many(text: UInt8, first: int, after: int, exponent: int) -> int:
    """_nearest of more digits than 64 bits hold, text[first:after] with one point or none."""
    digits, count, more = _0, 0, False
    for p in range(first, after):
        if text[p] == _POINT:
            continue
        if count == 19:
            exponent += 1
            more = more or text[p] != _DIGIT_0
        else:
            digits = digits * _10 + unsigned(text[p] - _DIGIT_0)
            count += digits != _0
    bits = _nearest(digits, exponent)
    return bits if not more or _nearest(digits + _1, exponent) == bits else _UNDECIDED
