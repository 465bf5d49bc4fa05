"""The hash of a feature's name: where its weight stands, for ever."""

from __future__ import annotations

import xxhash

SEED = 0x67726164
"""The ASCII bytes of "grad". Every learned hashed model depends on it; it never changes."""


def feature_hash(name: str) -> int:
    """XXH32 of the UTF-8 name with `SEED`, as an integer of 0 … 2^32 - 1.

    The name is that of the weight: `distance`, `carrier=UA`, `origin=JFK*dest=LAX`. A model with hash_bits b
    keeps the lowest b bits. Source: https://github.com/Cyan4973/xxHash, doc/xxhash_spec.md, "XXH32".
    """
    return xxhash.xxh32_intdigest(name.encode(), SEED)
