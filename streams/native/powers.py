"""Powers of ten with 128 bits, and operations on words of 64 bits that numba has no name for.

    10^e = g · 2^(⌊e log2 10⌋ - 127),   2^127 ≤ g < 2^128,   -342 ≤ e ≤ 324

g is a whole number for 0 ≤ e ≤ 55 only. What reads a number wants it rounded down, but up for -27 ≤ e < 0
(Lemire, "Number parsing at a gigabyte per second", arXiv 2101.11408); what writes one wants it rounded up
(Giulietti, "The Schubfach way to render doubles", 2020). Upper and lower 64 bits of 10^e stand at e - LEAST;
the upper ones are the same whichever way g is rounded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import numba
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from models.kernels.jit import F, helper, unsigned
from models.kernels.plan import UInt8

LEAST, GREATEST = -342, 324
_EXACT = range(56)
_READ_UP = range(-27, 0)
_LOW = (1 << 64) - 1

signed = cast(Callable[[float], int], np.int64)
"""numba silently makes a float64 of int64 and uint64 together: one of them has to become the other first."""


def _rounded_down(e: int) -> int:
    """⌊g⌋ of 10^e. The twos in 10 only move the point: it is that of 5^e."""
    power: int = 5 ** abs(e)
    if e < 0:
        return (1 << (power.bit_length() + 127)) // power
    excess = power.bit_length() - 128
    return power >> excess if excess > 0 else power << -excess


def _table(numbers: list[int]) -> Sequence[int]:
    """An array of uint64, which become part of the kernels that read it."""
    array = np.array(numbers, dtype=np.uint64)
    array.flags.writeable = False
    return cast(Sequence[int], array)


_G = {e: _rounded_down(e) for e in range(LEAST, GREATEST + 1)}
UPPER = _table([g >> 64 for g in _G.values()])
LOWER_TO_READ = _table([(g + (e in _READ_UP)) & _LOW for e, g in _G.items()])
LOWER_TO_WRITE = _table([(g + (e not in _EXACT)) & _LOW for e, g in _G.items()])
WHOLE = _table([10**e for e in range(20)])
"""10^0 to 10^19, at e."""


@helper
def binary_exponent(e: int) -> int:
    """⌊e log2 10⌋, for |e| ≤ 1233."""
    return (e * 1741647) >> 19


_WORD = ir.IntType(64)


def _upper_half(_context: Any, _a: Any, _b: Any) -> Any:
    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        wide = ir.IntType(128)
        product = builder.mul(builder.zext(arguments[0], wide), builder.zext(arguments[1], wide))
        return builder.trunc(builder.lshr(product, wide(64)), _WORD)

    return types.uint64(types.uint64, types.uint64), generate


def _zeros_above(_context: Any, _word: Any) -> Any:
    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctlz(arguments[0], ir.IntType(1)(0))

    return types.uint64(types.uint64), generate


def _zeros_below(_context: Any, _word: Any) -> Any:
    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.IntType(1)(0))

    return types.uint64(types.uint64), generate


def _pointer(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """To eight bytes of the array arguments[0] from position arguments[1] on."""
    data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
    return builder.bitcast(builder.gep(data, [arguments[1]]), _WORD.as_pointer())


def _loaded(_context: Any, text: Any, _at: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(_pointer(context, builder, signature, arguments), align=1)

    return types.uint64(text, types.uint64), generate


def _stored(_context: Any, out: Any, _at: Any, _word: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.store(arguments[2], _pointer(context, builder, signature, arguments), align=1)
        return context.get_dummy_value()

    return types.void(out, types.uint64, types.uint64), generate


def _compiled_as(operation: Callable[..., Any]) -> Callable[[F], F]:
    """In kernels a function is that operation; with NUMBA_DISABLE_JIT it is what stands there."""

    def decorate(plain: F) -> F:
        return plain if numba.config.DISABLE_JIT else cast(F, intrinsic(operation))

    return decorate


@_compiled_as(_upper_half)
def high_product(a: int, b: int) -> int:
    """The upper 64 of the 128 bits of a · b."""
    return unsigned(int(a) * int(b) >> 64)


@_compiled_as(_zeros_above)
def leading_zeros(word: int) -> int:
    """How many of its 64 bits stand above the highest 1."""
    return unsigned(64 - int(word).bit_length())


@_compiled_as(_zeros_below)
def trailing_zeros(word: int) -> int:
    """How many of its 64 bits stand below the lowest 1."""
    return unsigned(((int(word) & -int(word)).bit_length() or 65) - 1)


@_compiled_as(_loaded)
def load_word(text: UInt8, at: int) -> int:
    """Eight bytes of a contiguous array from `at` on, the first in the lowest bits.

    The machine's own order, on all that numba compiles for; nothing checks that the array is that long.
    """
    return unsigned(int.from_bytes(text[at : at + unsigned(8)].tobytes(), "little"))


@_compiled_as(_stored)
def store_word(out: UInt8, at: int, word: int) -> None:
    """Write the eight bytes that load_word would find."""
    out[at : at + unsigned(8)] = np.frombuffer(int(word).to_bytes(8, "little"), np.uint8)


_2_BYTES, _4_BYTES = unsigned(0x00FF00FF00FF00FF), unsigned(0x0000FFFF0000FFFF)
_JOIN_2, _JOIN_4, _JOIN_8 = unsigned((10 << 8) + 1), unsigned((100 << 16) + 1), unsigned((10_000 << 32) + 1)
_8, _10, _16, _20, _32, _100, _10_000 = (unsigned(n) for n in (8, 10, 16, 20, 32, 100, 10_000))
_HUNDREDTH, _HUNDREDTHS = unsigned(10486), unsigned(0x0000007F0000007F)  # x · 10486 >> 20 is x // 100
_TENTH, _TENTHS = unsigned(103), unsigned(0x000F000F000F000F)  # x · 103 >> 10 is x // 10


@helper
def joined(word: int) -> int:
    """The number of eight digits, one a byte, the first in the lowest; pairs, then pairs of pairs first."""
    word = ((word * _JOIN_2) >> _8) & _2_BYTES
    word = ((word * _JOIN_4) >> _16) & _4_BYTES
    return (word * _JOIN_8) >> _32


@helper
def spread(number: int) -> int:
    """What `joined` makes this number under 10^8 of."""
    word = (number // _10_000) | ((number % _10_000) << _32)
    hundreds = ((word * _HUNDREDTH) >> _20) & _HUNDREDTHS
    word = hundreds | ((word - _100 * hundreds) << _16)
    tens = ((word * _TENTH) >> _10) & _TENTHS
    return tens | ((word - _10 * tens) << _8)
