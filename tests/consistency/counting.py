"""Samples for the counting learner: the weight of each one's own feature says how often it was learned.

The names are chosen so that no two of them share a coordinate, and are sent in the order of their
coordinates: what is learned at one time lies in one block of the state, as a partial save has it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache

import xxhash

HASH_BITS = 17
SLOTS = 1 << HASH_BITS
DISTINCT = 40_000
NO_LABEL, INVALID = 10, 50
"""Every so many samples, one has no label, and one is not valid."""

TABLE = f"""
task = "regression"
learner = "counting"
save_every = "100ms"
audit_every = 20
[models."{{name}}".features]
categorical = ["s"]
hash_bits = {HASH_BITS}
"""


def slot(value: str) -> int:
    """The coordinate of the indicator `s=VALUE`, as docs/learning-log.md says: XXH32, seed "grad"."""
    return xxhash.xxh32_intdigest(f"s={value}".encode(), 0x67726164) & (SLOTS - 1)


@cache
def distinct_values() -> tuple[str, ...]:
    """Values whose coordinates all differ, by coordinate."""
    found: dict[int, str] = {}
    i = 0
    while len(found) < DISTINCT:
        found.setdefault(slot(f"v{i}"), f"v{i}")
        i += 1
    return tuple(value for _, value in sorted(found.items()))


def sample(i: int) -> bytes:
    """The i-th sample: most are labelled, some are not, a few are dead letters."""
    if i % INVALID == 7:
        return b'{"features": {"s": [1]}, "label": 1}'
    body: dict[str, object] = {"id": f"s{i}", "features": {"s": distinct_values()[i % DISTINCT]}}
    if i % NO_LABEL != 3:
        body["label"] = 1.0
    return json.dumps(body).encode()


def samples(start: int = 0) -> Iterator[bytes]:
    """sample(start), sample(start + 1), …"""
    i = start
    while True:
        yield sample(i)
        i += 1
