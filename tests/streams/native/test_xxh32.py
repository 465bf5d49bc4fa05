"""A feature's name has one hash, whoever computes it."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.hashing import feature_hash
from models.kernels.jit import entry_point
from streams.native.xxh32 import feature_hash_of


@entry_point()
def hash_each(data, sizes, out):
    for i in range(sizes.size):
        out[i] = feature_hash_of(data[i], sizes[i])


def hashes(names: list[bytes]) -> list[int]:
    """Of all of them; behind each one stands what is not part of it."""
    sizes = np.array([len(name) for name in names], np.int64)
    data = np.full((len(names), sizes.max(initial=0) + 3), 0xA5, np.uint8)
    for row, name in zip(data, names, strict=True):
        row[: len(name)] = np.frombuffer(name, np.uint8)
    out = np.empty(len(names), np.int64)
    hash_each(data, sizes, out)
    return out.tolist()


def test_every_length_is_hashed_as_models_hash_it() -> None:
    rng = random.Random(1)
    names = ["".join(rng.choices("abc=*0 é語🙂", k=k)) for k in range(150) for _ in range(10)]
    assert hashes([name.encode() for name in names]) == [feature_hash(name) for name in names]
    plain = ["x" * size for size in range(301)]
    assert hashes([name.encode() for name in plain]) == [feature_hash(name) for name in plain]


@given(st.lists(st.text(max_size=40), max_size=30))
def test_every_text_is_hashed_as_models_hash_it(names: list[str]) -> None:
    assert hashes([name.encode() for name in names]) == [feature_hash(name) for name in names]


@pytest.mark.parametrize("bit", range(8))
def test_every_bit_of_every_byte_counts(bit: int) -> None:
    names = [bytes(at) + bytes([1 << bit]) + bytes(47 - at) for at in range(48)]
    assert len({*hashes([*names, bytes(48)])}) == 49


def test_a_hash_is_a_number_from_0_to_2_to_the_32nd_less_1() -> None:
    found = hashes([b"%d" % i for i in range(2000)])
    assert min(found) >= 0
    assert 2**31 < max(found) < 2**32
