"""float64 and int64 to JSON text, for kernels that write JSON: the bytes that msgspec writes.

The digits of a double are the shortest that read as it, and of these the nearest to it (Giulietti, "The
Schubfach way to render doubles", 2020). Where the double is 0.d₁d₂d₃… · 10^point, they stand as

    -5 < point ≤ 0     0.00d₁d₂d₃
    0 < point ≤ 16     d₁d₂.d₃, or d₁d₂d₃00.0
    else               d₁.d₂d₃e-7, or d₁e22
"""

from __future__ import annotations

from typing import Any

import numpy as np

from models.kernels.jit import helper, part, unsigned
from models.kernels.plan import UInt8
from streams.native.powers import (
    LEAST,
    LOWER_TO_WRITE,
    UPPER,
    WHOLE,
    binary_exponent,
    high_product,
    leading_zeros,
    signed,
    spread,
    store_word,
    trailing_zeros,
)

MOST_BYTES = 24
"""The room that both want from `at` on: they may leave anything in what their text does not fill."""

_0, _1, _2, _3, _4, _8, _9, _10 = (unsigned(n) for n in (0, 1, 2, 3, 4, 8, 9, 10))
_17, _40, _52, _63, _64 = (unsigned(n) for n in (17, 40, 52, 63, 64))
_TEN_TO_8 = unsigned(10**8)

_MINUS, _POINT, _LETTER_E, _DIGIT_0 = 0x2D, 0x2E, 0x65, 0x30
_DIGITS_0 = unsigned(0x3030303030303030)
_ZERO_POINT = unsigned(0x3030303030302E30)  # "0.000000"
_NULL = unsigned(0x6C6C756E)  # "null"

_HIDDEN, _FRACTION, _EXPONENT = unsigned(1 << 52), unsigned((1 << 52) - 1), unsigned(0x7FF)
_LAST_BYTE = unsigned(1 << 63)
_INTEGERS = 2.0**53


@part
def write_int(out: UInt8, at: int, value: int) -> int:
    """Write an int64 into out[at:], uint8; the position after it, at most 20 further."""
    p, size = unsigned(at), unsigned(value)
    if value < 0:
        out[p] = _MINUS
        p, size = p + _1, _0 - size
    return signed(_write_digits(out, p, size))


@part
def write_float(out: UInt8, at: int, value: float) -> int:
    """Write a double into out[at:], uint8; the position after it, at most 24 further.

    What is not finite is written as null.
    """
    bits: Any = np.float64(value).view(np.uint64)
    p = unsigned(at)
    fraction, biased = bits & _FRACTION, (bits >> _52) & _EXPONENT
    if biased == _EXPONENT:
        store_word(out, p, _NULL)
        return signed(p + _4)
    out[p] = _MINUS
    p += bits >> _63
    size = abs(value)
    if size < _INTEGERS and float(signed(size)) == size:
        p = _write_digits(out, p, unsigned(signed(size)))
        out[p] = _POINT
        out[p + _1] = _DIGIT_0
        return signed(p + _2)
    digits, exponent = _shortest(fraction, biased)
    length = _length(digits)
    digits *= WHOLE[_17 - length]
    return signed(_write_decimal(out, p, digits, exponent + signed(length)))


@helper
def _shortest(fraction: int, biased: int) -> tuple[int, int]:
    """(digits, exponent) of a double, from its bits; digits < 10^17, and may end in zeros.

    With v = c 2^q and 10^k ≤ 2^q < 10^(k + 1), what reads as v lies between 10^-k (4 c ∓ 2) 2^q, in quarters
    of 10^k; the one below is nearer where c is a power of two. At most one multiple of 10^(k + 1) is between.
    """
    closer = fraction == _0 and biased > _1
    c, q = (fraction, -1074) if biased == _0 else (fraction | _HIDDEN, signed(biased) - 1075)
    k = (q * 1262611 - (524031 if closer else 0)) >> 22  # ⌊log10 2^q⌋, or of 3/4 of it
    shift, e = unsigned(q + binary_exponent(-k) + 1), unsigned(-k - LEAST)
    odd, quarters = c & _1, c << _2
    least = _scaled((quarters - (_1 if closer else _2)) << shift, e) + odd
    exact = _scaled(quarters << shift, e)
    most = _scaled((quarters + _2) << shift, e) - odd
    digits = exact >> _2
    tens = digits // _10
    below, above = least <= tens * _40, tens * _40 + _40 <= most
    is_shorter = (below != above) & (digits >= _10)
    shorter = (tens + unsigned(above)) * _10
    quarters = digits << _2
    below, above = least <= quarters, quarters + _4 <= most
    nearer = exact + (digits & _1) > quarters + _2
    digits += unsigned(nearer if below == above else above)
    return (shorter if is_shorter else digits), k


@helper
def _scaled(c: int, e: int) -> int:
    """c g / 2^128, whose last bit is 1 if anything was cut off; g are the 128 bits of a power of ten."""
    upper = c * UPPER[e]
    low = upper + high_product(c, LOWER_TO_WRITE[e])
    high = high_product(c, UPPER[e]) + unsigned(low < upper)
    return high | unsigned(low > _1)


@helper
def _length(digits: int) -> int:
    """How many digits a number > 0 has."""
    about = ((_64 - leading_zeros(digits)) * unsigned(1233)) >> unsigned(12)
    return about + unsigned(digits >= WHOLE[about])


@helper
def _write_decimal(out: UInt8, p: int, digits: int, point: int) -> int:
    """Write 0.digits · 10^point, of 17 digits without the zeros at their end."""
    nine = digits // _TEN_TO_8
    first = nine // _TEN_TO_8
    high, low = spread(nine - first * _TEN_TO_8), spread(digits - nine * _TEN_TO_8)
    count = _9 - (leading_zeros(high) >> _3) if low == _0 else _17 - (leading_zeros(low) >> _3)
    first, high, low = first + unsigned(_DIGIT_0), high | _DIGITS_0, low | _DIGITS_0
    if -5 < point <= 0:
        store_word(out, p, _ZERO_POINT)
        p += unsigned(2 - point)
        out[p] = first
        store_word(out, p + _1, high)
        store_word(out, p + _9, low)
        return p + count
    out[p + _1] = first
    store_word(out, p + _2, high)
    store_word(out, p + _10, low)
    if not 0 < point <= 16:
        out[p] = first
        out[p + _1] = _POINT
        return _write_exponent(out, p + _1 + (count if count > _1 else _0), point - 1)
    before = unsigned(point)
    for i in range(before):
        out[p + i] = out[p + i + _1]
    out[p + before] = _POINT
    return p + _1 + max(count, before + _1)


@helper
def _write_exponent(out: UInt8, p: int, exponent: int) -> int:
    """By single bytes: there may be no room for eight."""
    out[p] = _LETTER_E
    p += _1
    if exponent < 0:
        out[p] = _MINUS
        p += _1
    size = abs(exponent)
    if size >= 100:
        out[p] = _DIGIT_0 + size // 100
        p += _1
    if size >= 10:
        out[p] = _DIGIT_0 + size // 10 % 10
        p += _1
    out[p] = _DIGIT_0 + size % 10
    return p + _1


@helper
def _write_digits(out: UInt8, p: int, number: int) -> int:
    """Write a uint64, in eights of digits from its end."""
    if number < _TEN_TO_8:
        return _write_head(out, p, number)
    head, tail = number // _TEN_TO_8, number % _TEN_TO_8
    if head < _TEN_TO_8:
        p = _write_head(out, p, head)
    else:
        p = _write_head(out, p, head // _TEN_TO_8)
        store_word(out, p, spread(head % _TEN_TO_8) | _DIGITS_0)
        p += _8
    store_word(out, p, spread(tail) | _DIGITS_0)
    return p + _8


@helper
def _write_head(out: UInt8, p: int, number: int) -> int:
    """Write a number under 10^8 without zeros before it."""
    word = spread(number)
    zeros = trailing_zeros(word | _LAST_BYTE) >> _3
    store_word(out, p, (word | _DIGITS_0) >> (zeros << _3))
    return p + _8 - zeros
