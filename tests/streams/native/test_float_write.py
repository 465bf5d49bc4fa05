"""What a kernel writes as a number is what msgspec writes, to the byte, and reads as the same double."""

from __future__ import annotations

from fractions import Fraction

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.kernels.jit import entry_point
from streams.native import powers
from streams.native.float_read import DOUBTFUL, read_number
from streams.native.float_write import MOST_BYTES, write_float, write_int

COMMA = ord(",")


@entry_point()
def write_floats(out, at, values):
    for i in range(values.size):
        at = write_float(out, at, values[i])
        out[at] = COMMA
        at += 1
    return at


@entry_point()
def write_ints(out, at, values):
    for i in range(values.size):
        at = write_int(out, at, values[i])
        out[at] = COMMA
        at += 1
    return at


@entry_point()
def survives(out, values, same):
    """Whether each is read back to the bit."""
    for i in range(values.size):
        end = write_float(out, 0, values[i])
        value, _, after, kind = read_number(out, 0, end)
        as_bits = np.float64(value).view(np.int64) == np.float64(values[i]).view(np.int64)
        same[i] = kind != DOUBTFUL and after == end and as_bits


def check(values: np.ndarray) -> None:
    write = write_floats if values.dtype == np.float64 else write_ints
    out = np.empty(len(values) * (MOST_BYTES + 1), np.uint8)
    found = out[: write(out, 0, values)].tobytes().split(b",")[:-1]
    expected = msgspec.json.encode(values.tolist())[1:-1].split(b",")
    assert [pair for pair in zip(found, expected, strict=True) if pair[0] != pair[1]] == []
    assert max(map(len, found)) <= MOST_BYTES


def both_signs(values: np.ndarray) -> np.ndarray:
    return np.concatenate([values, -values])


def around(values: np.ndarray) -> np.ndarray:
    return both_signs(np.concatenate([values, np.nextafter(values, np.inf), np.nextafter(values, -np.inf)]))


RNG = np.random.default_rng(1)
SWEEPS = {
    "powers of two": around(2.0 ** np.arange(-1074, 1024)),
    "powers of ten": around(np.array([float(f"1e{e}") for e in range(-323, 309)])),
    "few digits": np.array(
        [float(f"{n}e{e}") for n in (2, 5, 12, 123, 9.5, 9999999) for e in range(-330, 300)]
    ),
    "random bits": RNG.integers(0, 2**64, 200_000, dtype=np.uint64).view(np.float64),
    "subnormals": both_signs(RNG.integers(0, 2**53, 30_000, dtype=np.uint64).view(np.float64)),
    "probabilities": RNG.uniform(0, 1, 100_000),
    "small": both_signs(10.0 ** RNG.uniform(-8, 0, 50_000)),
    "large": both_signs(10.0 ** RNG.uniform(0, 20, 50_000)),
    "cents": both_signs(np.round(RNG.uniform(0, 1000, 30_000), 2)),
    "whole": both_signs(np.round(10.0 ** RNG.uniform(0, 18, 50_000))),
    "near 2^53 and 10^16": both_signs((np.array([[2**53], [10**16]]) + np.arange(-2000, 2000)).ravel() * 1.0),
    "ends": both_signs(np.array([0.0, 5e-324, 1e-323, 2.0**-1022, 1.7976931348623157e308, np.inf, np.nan])),
}


@pytest.mark.parametrize("sweep", SWEEPS)
def test_doubles_are_written_as_msgspec_writes_them(sweep):
    check(SWEEPS[sweep])


@pytest.mark.parametrize("sweep", SWEEPS)
def test_what_is_written_is_read_as_the_same_double(sweep):
    values = SWEEPS[sweep][np.isfinite(SWEEPS[sweep])]
    same = np.zeros(len(values), bool)
    survives(np.empty(MOST_BYTES, np.uint8), values, same)
    assert values[~same].tolist() == []


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0.0"), (-0.0, "-0.0"), (1.0, "1.0"), (0.1, "0.1"), (1e15, "1000000000000000.0"), (1e16, "1e16"),
     (1.5e16, "1.5e16"), (1e-5, "0.00001"), (1e-6, "1e-6"), (1.25e-7, "1.25e-7"),
     (-1.2345678901234567e-308, "-1.2345678901234567e-308"), (5e-324, "5e-324"),
     (-1.2345678901234568e-5, "-0.000012345678901234568"), (9007199254740993.0, "9007199254740992.0"),
     (123.456, "123.456"), (-np.inf, "null"), (np.nan, "null")],
)  # fmt: skip
def test_the_form_is_that_of_the_first_lines(value, text):
    out = np.zeros(MOST_BYTES + 1, np.uint8)
    assert out[: write_floats(out, 0, np.array([value]))].tobytes() == text.encode() + b","


def test_integers_are_written_exactly():
    ten = 10 ** np.arange(19)
    ends = np.array([0, -(2**63), 2**63 - 1, -(2**63) + 1])
    uniform = RNG.integers(-(2**63), 2**63 - 1, 50_000)
    sizes = (10.0 ** RNG.uniform(0, 18.9, 50_000)).astype(np.int64)
    check(np.concatenate([ten, ten - 1, -ten, 1 - ten, ends, uniform, sizes, -sizes, np.arange(-2000, 2000)]))


def test_nothing_is_written_outside_of_the_room_that_a_writer_wants():
    values = np.concatenate([sweep[:500] for sweep in SWEEPS.values()])
    for write, numbers in ((write_floats, values), (write_ints, RNG.integers(-(2**63), 2**63 - 1, 500))):
        for i in range(len(numbers)):
            out = np.full(MOST_BYTES + 40, 255, np.uint8)
            end = write(out, 20, numbers[i : i + 1])
            out[end - 1] = 255  # the comma, which is not the writer's
            assert (out[:20] == 255).all()
            assert (out[20 + MOST_BYTES :] == 255).all()


@settings(max_examples=500)
@given(st.lists(st.floats(), min_size=1, max_size=20))
def test_any_list_of_doubles_is_written_as_msgspec_writes_it(values):
    check(np.array(values))


@settings(max_examples=300)
@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=20))
def test_any_list_of_integers_is_written_as_msgspec_writes_it(values):
    check(np.array(values))


def test_the_tables_hold_the_powers_of_ten_rounded_as_they_say():
    for i, upper in enumerate(powers.UPPER.tolist()):
        e = powers.LEAST + i
        exact = Fraction(10) ** e / Fraction(2) ** (powers.binary_exponent.py_func(e) - 127)
        down, up = exact.__floor__(), exact.__ceil__()
        assert 2**127 <= down < 2**128
        assert (upper << 64) + int(powers.LOWER_TO_READ[i]) == (up if -27 <= e < 0 else down)
        assert (upper << 64) + int(powers.LOWER_TO_WRITE[i]) == up
    assert i == powers.GREATEST - powers.LEAST
