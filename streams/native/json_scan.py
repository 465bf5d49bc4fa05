"""The parts that JSON is made of, in bytes. A position of -1 says: not here, or not for sure; look with care.

Only plain texts are taken: one with an escape is left to a parser that can make another text of it.
"""

from __future__ import annotations

from typing import NamedTuple

from models.kernels.jit import helper, part, unsigned
from models.kernels.plan import UInt8
from streams.native.powers import load_word, signed

QUOTE, COLON, COMMA, OPEN, CLOSE, BACKSLASH, MINUS, ZERO, NINE = (ord(c) for c in '":,{}\\-09')
TRUE, FALSE, NULL, NO_LITERAL = 1, 0, 2, -1
_ONES, _HIGHEST = 0x0101010101010101, unsigned(0x8080808080808080)
_QUOTES, _BACKSLASHES, _SPACES = (unsigned(byte * _ONES) for byte in (QUOTE, BACKSLASH, 32))
_EACH = unsigned(_ONES)
"""Eight bytes of one kind."""


class Literal(NamedTuple):
    """TRUE, FALSE, NULL or NO_LITERAL, and where the next byte is."""

    kind: int
    next: int


@helper
def byte_at(data: UInt8, at: int, end: int) -> int:
    """The byte, 0 behind the end."""
    return signed(data[unsigned(at)]) if at < end else signed(0)


@helper
def past_space(data: UInt8, at: int, end: int) -> int:
    """The next byte that is not white space, or the end."""
    while at < end:
        byte = data[unsigned(at)]
        if byte > 32 or not (byte == 32 or byte == 10 or byte == 13 or byte == 9):
            break
        at += 1
    return at


@helper
def past(data: UInt8, at: int, end: int, wanted: int) -> int:
    """Behind a certain byte, white space before and after it; -1: another one is next."""
    at = past_space(data, at, end)
    if byte_at(data, at, end) != wanted:
        return -1
    return past_space(data, at + 1, end)


@helper
def is_number(byte: int) -> bool:
    """Whether a number begins with this byte."""
    return byte == MINUS or ZERO <= byte <= NINE


@helper
def _is_special(word: int) -> bool:
    """Whether one of eight bytes is a quote, a backslash, a control character, or no ASCII.

    A byte is 0, or below 32, where its highest bit comes to be set by a subtraction that was not set before
    (Warren, Hacker's Delight, 6-1).
    """
    quote, backslash = word ^ _QUOTES, word ^ _BACKSLASHES
    found = (quote - _EACH) & ~quote | (backslash - _EACH) & ~backslash
    found |= (word - _SPACES) | word  # what is no ASCII is special too, so the bit may be set before
    return (found & _HIGHEST) != 0


@helper
def text_end(data: UInt8, at: int, end: int) -> int:
    """The closing quote of a text whose first byte is at `at`; -1: escapes, control characters, no UTF-8."""
    while at + 8 <= end and not _is_special(load_word(data, unsigned(at))):
        at += 8
    while at < end:
        byte = data[unsigned(at)]
        if byte == QUOTE:
            return at
        if byte < 32 or byte == BACKSLASH:
            return -1
        if byte < 128:
            at += 1
        else:
            at = _past_character(data, at, end)
            if at < 0:
                return -1
    return -1


@part
def _past_character(data: UInt8, at: int, end: int) -> int:
    """Behind a character of several bytes (Unicode 15, table 3-7); -1: it is none."""
    first, second = data[at], byte_at(data, at + 1, end)
    low, high = 0x80, 0xBF
    if 0xC2 <= first <= 0xDF:
        size = 2
    elif 0xE0 <= first <= 0xEF:
        size = 3
        low, high = 0xA0 if first == 0xE0 else low, 0x9F if first == 0xED else high
    elif 0xF0 <= first <= 0xF4:
        size = 4
        low, high = 0x90 if first == 0xF0 else low, 0x8F if first == 0xF4 else high
    else:
        return -1
    if at + size > end or not low <= second <= high:
        return -1
    for i in range(at + 2, at + size):
        if not 0x80 <= data[i] <= 0xBF:
            return -1
    return at + size


@helper
def literal(data: UInt8, at: int, end: int) -> Literal:
    """true, false or null."""
    byte = byte_at(data, at, end)
    if byte == 116 and at + 4 <= end and data[at + 1] == 114 and data[at + 2] == 117 and data[at + 3] == 101:
        return Literal(TRUE, at + 4)
    if byte == 110 and at + 4 <= end and data[at + 1] == 117 and data[at + 2] == 108 and data[at + 3] == 108:
        return Literal(NULL, at + 4)
    if byte != 102 or at + 5 > end or data[at + 1] != 97 or data[at + 2] != 108:
        return Literal(NO_LITERAL, -1)
    if data[at + 3] != 115 or data[at + 4] != 101:
        return Literal(NO_LITERAL, -1)
    return Literal(FALSE, at + 5)


@helper
def same(data: UInt8, at: int, other: UInt8, start: int, size: int) -> bool:
    """Whether two runs of bytes are equal."""
    i = 0
    while i < size and data[unsigned(at + i)] == other[unsigned(start + i)]:
        i += 1
    return i == size
