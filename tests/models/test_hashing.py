"""Where a weight stands depends on the hash of its name: it never changes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.hashing import SEED, feature_hash

GOLDEN = {
    "": 0xD8156A88,
    "distance": 0xF20C21AE,
    "carrier=UA": 0x4FCE86EC,
    "origin=JFK*dest=LAX": 0x228400A6,
    "carrier=UA*distance": 0x2CA36723,
    "v[0]": 0x46C87120,
    "Größe=北京": 0x2DFDADEC,
    "a-name-longer-than-the-stripes-of-sixteen-bytes=yes": 0xCE58A497,
}

_P1, _P2, _P3, _P4, _P5 = 2654435761, 2246822519, 3266489917, 668265263, 374761393
_MASK = 0xFFFFFFFF


def _rotate(x: int, r: int) -> int:
    return ((x << r) | (x >> (32 - r))) & _MASK


def xxh32(data: bytes, seed: int) -> int:
    """The specification of XXH32, step by step."""
    lanes = [seed + _P1 + _P2, seed + _P2, seed, seed - _P1]
    at = 0
    while len(data) - at >= 16:
        for i in range(4):
            word = int.from_bytes(data[at + 4 * i : at + 4 * i + 4], "little")
            lanes[i] = _rotate((lanes[i] + word * _P2) & _MASK, 13) * _P1 & _MASK
        at += 16
    if len(data) >= 16:
        h = sum(_rotate(lane & _MASK, r) for lane, r in zip(lanes, (1, 7, 12, 18), strict=True))
    else:
        h = seed + _P5
    h += len(data)
    while len(data) - at >= 4:
        h = _rotate((h + int.from_bytes(data[at : at + 4], "little") * _P3) & _MASK, 17) * _P4
        at += 4
    for byte in data[at:]:
        h = _rotate((h + byte * _P5) & _MASK, 11) * _P1
    h &= _MASK
    h = (h ^ (h >> 15)) * _P2 & _MASK
    h = (h ^ (h >> 13)) * _P3 & _MASK
    return h ^ (h >> 16)


@pytest.mark.parametrize(("name", "expected"), GOLDEN.items())
def test_the_hash_of_a_name_never_changes(name: str, expected: int) -> None:
    assert feature_hash(name) == expected


def test_the_seed_spells_grad() -> None:
    assert SEED.to_bytes(4, "big") == b"grad"


@given(st.text())
def test_the_hash_is_xxh32_of_the_utf8_name_as_specified(name: str) -> None:
    assert feature_hash(name) == xxh32(name.encode(), SEED)
