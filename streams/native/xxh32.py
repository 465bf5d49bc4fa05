"""XXH32, the hash of feature names (models.hashing), in compiled code.

Source: https://github.com/Cyan4973/xxHash, doc/xxhash_spec.md, "XXH32".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np

from models.hashing import SEED
from models.kernels.jit import helper, part, unsigned
from models.kernels.plan import UInt8
from streams.native.powers import signed

small = cast(Callable[[int], int], np.uint32)
_1, _2, _3, _4, _5 = (small(n) for n in (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D, 0x27D4EB2F, 0x165667B1))


@helper
def _turned(value: int, bits: int) -> int:
    return small((value << small(bits)) | (value >> small(32 - bits)))


@helper
def _word(data: UInt8, at: int) -> int:
    """Four bytes, the lowest first."""
    value = small(0)
    for i in range(4):
        value |= small(data[unsigned(at + i)]) << small(8 * i)
    return small(value)


@helper
def _round(value: int, word: int) -> int:
    return small(_turned(small(value + small(word * _2)), 13) * _1)


@part
def feature_hash_of(data: UInt8, size: int) -> int:
    """The hash of the first `size` bytes, as models.hashing.feature_hash has it."""
    seed, at = small(SEED), 0
    if size >= 16:
        a, b = small(seed + small(_1 + _2)), small(seed + _2)
        c, d = seed, small(seed - _1)
        while at + 16 <= size:
            a, b = _round(a, _word(data, at)), _round(b, _word(data, at + 4))
            c, d = _round(c, _word(data, at + 8)), _round(d, _word(data, at + 12))
            at += 16
        h = small(small(_turned(a, 1) + _turned(b, 7)) + small(_turned(c, 12) + _turned(d, 18)))
    else:
        h = small(seed + _5)
    h = small(h + small(size))
    while at + 4 <= size:
        h = small(_turned(small(h + small(_word(data, at) * _3)), 17) * _4)
        at += 4
    while at < size:
        h = small(_turned(small(h + small(small(data[unsigned(at)]) * _5)), 11) * _1)
        at += 1
    h = small((h ^ (h >> small(15))) * _2)
    h = small((h ^ (h >> small(13))) * _3)
    return signed(h ^ (h >> small(16)))
