"""Our exp, log, tanh, sin and cos are right to a few units in the last place, everywhere."""

from __future__ import annotations

from decimal import Decimal, localcontext

import numba
import numpy as np
import pytest

from models.kernels import elementary
from tests.models.compiled import compiled

compiled_exp = numba.vectorize(["float64(float64)"])(lambda x: elementary.exp(x))
compiled_log = numba.vectorize(["float64(float64)"])(lambda x: elementary.log(x))
compiled_tanh = numba.vectorize(["float64(float64)"])(lambda x: elementary.tanh(x))
compiled_sin = numba.vectorize(["float64(float64)"])(lambda x: elementary.sin(x))
compiled_cos = numba.vectorize(["float64(float64)"])(lambda x: elementary.cos(x))
exp, log, tanh = compiled(elementary.exp), compiled(elementary.log), compiled(elementary.tanh)
sin, cos, power = compiled(elementary.sin), compiled(elementary.cos), compiled(elementary.power)
PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459230781640628620899862803")


def ulps(found: float, exact: Decimal) -> Decimal:
    return abs(Decimal(found) - exact) / Decimal(float(np.spacing(abs(float(exact)))))


def exact(function: str, x: float) -> Decimal:
    with localcontext() as context:
        context.prec = 40
        return getattr(Decimal(x), function)()


def test_exp_errs_by_less_than_two_ulp():
    rng = np.random.default_rng(1)
    points = np.concatenate(
        [
            rng.uniform(-700, 700, 2000),
            rng.normal(size=2000),
            rng.normal(size=500) * 1e-8,
            [0.0, 709.7, -707.9],
        ]
    )
    assert max(ulps(y, exact("exp", x)) for x, y in zip(points, compiled_exp(points), strict=True)) < 1


def test_log_errs_by_less_than_two_ulp():
    rng = np.random.default_rng(2)
    points = np.concatenate(
        [np.exp(rng.uniform(-700, 700, 2000)), rng.uniform(0, 2, 2000), 1 + rng.normal(size=500) * 1e-8]
    )
    points = np.append(points, [5e-324, 1e-310, 1.7e308, 2.0, 0.5, 1e-15])
    assert max(ulps(y, exact("ln", x)) for x, y in zip(points, compiled_log(points), strict=True)) < 1


def test_the_ends_of_the_range_are_what_ieee_says_and_denormals_become_zero():
    assert [exp(x) for x in (0.0, -708.1, -np.inf, 709.79, np.inf)] == [1.0, 0.0, 0.0, np.inf, np.inf]
    assert [log(x) for x in (1.0, 0.0, -0.0, np.inf)] == [0.0, -np.inf, -np.inf, np.inf]
    assert np.isnan([exp(np.nan), log(np.nan), log(-1.0)]).all()


@pytest.mark.parametrize(
    ("x", "exponent"), [(1.0, 0.5), (2.0, 0.5), (123_457.0, 0.25), (1e9, 1.0), (7.0, -2.0)]
)
def test_power_is_close_enough_for_learning_rates(x, exponent):
    assert power(x, exponent) == pytest.approx(x**exponent, rel=1e-14)


def exact_tanh(x: float) -> Decimal:
    with localcontext() as context:
        context.prec = 60
        e = (2 * Decimal(x)).exp()
        return (e - 1) / (e + 1)


def exact_sine(x: float, ahead: int) -> Decimal:
    """sin(x + ahead π/2) by its series, with x brought near 0 by the 85 digits of π."""
    with localcontext() as context:
        context.prec = 80
        r = Decimal(x) + ahead * PI / 2
        r -= 2 * PI * (r / (2 * PI)).to_integral_value()
        term, total, n = r, r, 1
        while abs(term) > Decimal("1e-60"):
            term *= -r * r / ((n + 1) * (n + 2))
            total += term
            n += 2
        return total


def test_tanh_errs_by_less_than_three_ulp_and_keeps_its_sign():
    rng = np.random.default_rng(3)
    points = np.concatenate(
        [
            rng.normal(size=2000),
            rng.uniform(-25, 25, 1000),
            rng.normal(size=500) * 1e-9,
            [0.625, -0.625],
        ]
    )
    found = compiled_tanh(points)
    assert max(ulps(y, exact_tanh(x)) for x, y in zip(points, found, strict=True)) < 3
    assert compiled_tanh(-points).tobytes() == (-found).tobytes()


def test_tanh_ends_at_one_and_passes_nan_on():
    assert [tanh(x) for x in (0.0, 1e-300, 40.0, -1e300, np.inf, -np.inf)] == [
        0.0,
        1e-300,
        1.0,
        -1.0,
        1.0,
        -1.0,
    ]
    assert np.isnan(tanh(np.nan))


@pytest.mark.parametrize(("compiled", "ahead"), [(compiled_sin, 0), (compiled_cos, 1)], ids=["sin", "cos"])
def test_sine_and_cosine_err_by_less_than_1e_15(compiled, ahead):
    rng = np.random.default_rng(4)
    quarters = np.arange(-40, 41) * (np.pi / 4)
    points = np.concatenate(
        [rng.uniform(-7, 7, 2000), rng.uniform(-1e5, 1e5, 1000), quarters, [0.0, 1e5, -1e5]]
    )
    errors = [abs(Decimal(y) - exact_sine(x, ahead)) for x, y in zip(points, compiled(points), strict=True)]
    assert max(errors) < Decimal("1e-15")


def test_sine_and_cosine_know_their_quarters_and_their_range():
    assert [cos(0.0), sin(0.0), cos(np.pi)] == [1.0, 0.0, -1.0]
    assert np.isnan([sin(1.01e5), cos(-1.01e5), sin(np.nan), cos(np.inf)]).all()
