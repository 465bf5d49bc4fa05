"""Our exp and log are right to 2 units in the last place, everywhere."""

from __future__ import annotations

from decimal import Decimal, localcontext

import numba
import numpy as np
import pytest

from models.kernels.elementary import exp, log, power

compiled_exp = numba.vectorize(["float64(float64)"])(lambda x: exp(x))
compiled_log = numba.vectorize(["float64(float64)"])(lambda x: log(x))


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
