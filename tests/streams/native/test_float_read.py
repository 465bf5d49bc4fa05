"""What a kernel reads as a number is what Python's float() reads, to the bit, or is left to float()."""

from __future__ import annotations

import random
import re
from decimal import Decimal, localcontext
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.kernels.jit import entry_point
from streams.native.float_read import DOUBTFUL, FLOAT, INTEGER, LONG_INTEGER, REFUSED, read_number

NUMBER = re.compile(rb"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")


@entry_point()
def read_one(text, at, end):
    return read_number(text, at, end)


@entry_point()
def read_each(text, starts, ends, values, wholes, nexts, kinds):
    for i in range(starts.size):
        values[i], wholes[i], nexts[i], kinds[i] = read_number(text, starts[i], ends[i])


class Numbers(NamedTuple):
    values: np.ndarray
    wholes: np.ndarray
    lengths: np.ndarray
    kinds: np.ndarray


def one(text: bytes) -> tuple[float, int, int, int]:
    return read_one(np.frombuffer(text, np.uint8), 0, len(text))


def read(texts: list[str], *, ends_there: bool) -> Numbers:
    """All of `texts`, one after another in a buffer, whose end or their own is that of each."""
    buffer = np.frombuffer((",".join(texts) + ",").encode(), np.uint8)
    lengths = np.array([len(text) for text in texts])
    starts = np.cumsum(lengths + 1) - lengths - 1
    ends = starts + lengths if ends_there else np.full(len(texts), len(buffer))
    values, (wholes, nexts, kinds) = np.empty(len(texts)), np.empty((3, len(texts)), np.int64)
    read_each(buffer, starts, ends, values, wholes, nexts, kinds)
    return Numbers(values, wholes, nexts - starts, kinds)


def doubts(texts: list[str]) -> int:
    """How many were doubtful. All else has to be right: value, whole, end and kind."""
    found, again = read(texts, ends_there=False), read(texts, ends_there=True)
    assert all(a.tobytes() == b.tobytes() for a, b in zip(found, again, strict=True))
    sure = found.kinds != DOUBTFUL
    expected = np.array([float(text) for text in texts])
    wrong = sure & (found.values.view(np.int64) != expected.view(np.int64))
    assert [texts[i] for i in np.flatnonzero(wrong)] == []
    assert found.lengths.tolist() == [len(text) for text in texts]
    for text, whole, kind in zip(texts, found.wholes.tolist(), found.kinds.tolist(), strict=True):
        plain = text.removeprefix("-").isdigit()
        if plain and -(2**63) <= int(text) < 2**63:
            assert (kind, whole) == (INTEGER, int(text)), text
        else:
            assert kind in (LONG_INTEGER, DOUBTFUL) if plain else kind in (FLOAT, DOUBTFUL), text
    return int((~sure).sum())


def random_doubles(count: int, seed: int) -> list[float]:
    """Of random bits: every exponent as often as any other."""
    doubles = np.random.default_rng(seed).integers(0, 2**64, count, dtype=np.uint64).view(np.float64)
    return doubles[np.isfinite(doubles)].tolist()


def test_no_shortest_text_of_a_double_is_doubtful():
    assert doubts([repr(x) for x in random_doubles(100_000, 1)]) == 0
    assert doubts([repr(x) for x in np.random.default_rng(2).uniform(-1, 1, 100_000).tolist()]) == 0
    assert doubts([repr(x) for x in np.random.default_rng(3).normal(0, 1e4, 50_000).tolist()]) == 0


def test_subnormals_are_right():
    bits = np.random.default_rng(4).integers(1, 2**53, 30_000, dtype=np.uint64)
    doubles = [*bits.view(np.float64).tolist(), 5e-324, 2.0**-1022, np.nextafter(2.0**-1022, 0.0)]
    assert doubts([repr(float(x)) for x in doubles]) == 0
    assert doubts([f"{x:.18e}" for x in doubles]) == 0


@pytest.mark.parametrize("digits", [1, 2, 5, 9, 15, 16, 17, 18, 19])
def test_decimals_of_up_to_19_digits_are_never_doubtful_within_the_range(digits):
    rng = random.Random(digits)
    texts = []
    for _ in range(3000):
        whole, sign = str(rng.randrange(10 ** (digits - 1), 10**digits)), rng.choice(["", "-"])
        point = rng.randrange(1, digits + 1)
        fraction = whole[point:] and f".{whole[point:]}"
        texts.append(f"{sign}{whole[:point]}{fraction}")
        texts.append(f"{sign}0.{'0' * rng.randrange(12)}{whole}")
        texts.append(f"{texts[-2]}{rng.choice('eE')}{rng.choice(['', '+', '-'])}{rng.randrange(280):03}")
    assert doubts(texts) == 0


def test_powers_of_ten_are_right_from_where_all_is_zero_to_where_all_is_infinite():
    texts = [f"{n}e{e}" for e in range(-400, 400) for n in (1, 2.5, 4.9, 9.999999999999999, 2**63)]
    doubtful = read(texts, ends_there=True).kinds == DOUBTFUL
    assert doubts(texts) == doubtful.sum()
    assert {float(text) for text, doubt in zip(texts, doubtful, strict=True) if doubt} == {np.inf}


def halfway(seed: int, low: int, high: int, count: int) -> list[str]:
    """Exactly halfway between two doubles with 2^low to 2^high as last bit; and next to that."""
    rng, texts = random.Random(seed), []
    with localcontext() as context:
        context.prec = 1200
        for _ in range(count):
            smallest = 0 if low == -1074 else 2**52
            middle = Decimal(2 * rng.randrange(smallest, 2**53) + 1) * Decimal(2) ** (
                rng.randrange(low, high) - 1
            )
            last = Decimal(1).scaleb(middle.as_tuple().exponent)
            texts += [f"{middle:f}", f"{middle + last:f}", f"{middle - last:f}", f"{middle}1"]
    return texts


def test_halfway_between_two_doubles_the_even_one_is_taken():
    few_digits = [text for text in halfway(5, -4, 10, 20_000) if len(text.replace(".", "")) < 20]
    assert len(few_digits) > 20_000
    assert doubts(few_digits) == 0
    doubts(halfway(6, -60, 80, 2000))
    doubts(halfway(7, -1070, 960, 500))
    doubts(halfway(8, -1074, -1073, 300))


def test_integers_are_exact_within_int64_and_rounded_beyond():
    near = [2**53, 2**54, 2**63, 2**64, 10**18, 10**19, 10**20, 10**22, 0]
    integers = [n + d for n in near for d in range(-2050, 2051)]
    rng = random.Random(8)
    integers += [rng.randrange(-(10**d), 10**d) for d in range(1, 20) for _ in range(500)]
    assert doubts([str(n) for n in integers]) < 50
    doubts([str(10**23 + d) for d in range(-2050, 2051)])  # halfway between two doubles, nearly
    assert one(b"-0") == (0.0, 0, 2, INTEGER)
    assert np.signbit([one(text)[0] for text in (b"-0", b"-0.0", b"-0e5", b"-1e-400")]).all()


def test_of_long_strings_of_digits_few_are_doubtful():
    rng, texts = random.Random(9), []
    for _ in range(10_000):
        digits = "".join(rng.choices("0123456789", k=rng.randrange(20, 60)))
        point = rng.randrange(0, len(digits))
        texts.append(f"{digits[:point].lstrip('0') or '0'}.{digits[point:]}")
        texts.append(f"{texts[-1]}e{rng.randrange(-300, 250)}")
    assert doubts(texts) < 60
    zeros = "0" * 400
    assert doubts([f"1{zeros[100:]}", f"0.{zeros}", f"0.{zeros}1e400", f"1{zeros}e-400"]) == 0
    assert doubts([f"0.{'0' * n}1e{n}" for n in range(500)]) == 0
    nines = "9" * 4000
    doubts([nines, f"0.{nines}", f"{nines}e-4000", f"0e{nines}", f"1e{nines}", f"1e-{nines}"])


@pytest.mark.parametrize(
    ("text", "end"),
    [("", 0), ("-", 1), ("1.", 2), (".5", 0), ("1e", 2), ("1e+", 3), ("1E-", 3), ("+1", 0), ("-.5", 1),
     ("-a", 1), ("1.e5", 2), ("0.x", 2), ("NaN", 0), ("-Infinity", 1), (" 1", 0), ("12345678.", 9),
     ("1.25e", 5)],
)  # fmt: skip
def test_what_is_no_number_is_refused_where_it_broke_off(text, end):
    assert one(text.encode())[2:] == (end, REFUSED)
    assert one(f"{text},        ".encode())[2:] == (end, REFUSED)


@pytest.mark.parametrize(
    ("text", "value", "end"),
    [("01", 0.0, 1), ("-00", 0.0, 2), ("1-", 1.0, 1), ("1.5.5", 1.5, 3), ("1e5e", 1e5, 3)],
)
def test_a_number_ends_before_what_does_not_belong_to_it(text, value, end):
    assert one(text.encode())[::2] == (value, end)


def test_every_other_byte_ends_the_digits_wherever_it_stands():
    for byte in set(range(256)) - set(b"0123456789.eE"):
        for before in range(1, 10):
            text = b"1" * before + bytes([byte]) + b"2" * 9
            assert one(text)[1:] == (int("1" * before), before, INTEGER)
            assert one(b"0." + text)[::2] == (float("0." + "1" * before), before + 2)


def test_nothing_is_read_from_the_end_on():
    text = np.frombuffer(b"-123456789.5e11", np.uint8)
    for end in (2, 5, 9, 10, 12, 14, 15):
        assert read_one(text, 0, end)[::2] == (float(bytes(text[:end])), end)


@settings(max_examples=1000)
@given(
    st.lists(st.sampled_from([b"0", b"1", b"9", b"12345678", b"-", b"+", b".", b"e", b"E", b"x"]), max_size=9)
)
def test_whatever_the_bytes_they_are_read_by_the_grammar_of_json(parts):
    text = b"".join(parts)
    value, _, end, kind = one(text)
    match = NUMBER.match(text)
    found = match[0] if match else b""
    more = text[len(found) : len(found) + 1]
    unfinished = not match or (not match[3] and (more in (b"e", b"E") or (more == b"." and not match[2])))
    if unfinished:
        assert kind == REFUSED
        return
    assert end == len(found)
    assert kind == DOUBTFUL or np.float64(value).tobytes() == np.float64(float(found)).tobytes()


@settings(max_examples=500)
@given(
    st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(["r", ".3e", ".16e", ".17e", ".18e"])
)
def test_every_double_is_read_as_float_reads_it(value, form):
    text = repr(value) if form == "r" else format(value, form)
    found, _, end, kind = one(text.encode())
    assert end == len(text)
    assert kind == FLOAT or (kind == DOUBTFUL and abs(value) > 1.79e308)
    assert kind == DOUBTFUL or np.float64(found).tobytes() == np.float64(float(text)).tobytes()
