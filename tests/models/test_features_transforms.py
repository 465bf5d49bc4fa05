"""Logarithms of numbers: right to a few last bits, and the same bits everywhere."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from decimal import Decimal, localcontext
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.kernels.transforms import take_logs, write_waves
from models.spec import FeatureSpec, NumericFeature
from tests.models.encoding import encode
from tests.models.transforms_program import digest

ROOT = Path(__file__).parents[2]
LOG = FeatureSpec(
    numeric=(
        NumericFeature("a"),
        NumericFeature("b", transform="log"),
        NumericFeature("v", size=2, transform="log"),
    )
)


def logs(numbers: list[float]) -> list[float]:
    numeric = np.array(numbers).reshape(-1, 1)
    take_logs(numeric, np.array([0]))
    return numeric[:, 0].tolist()


def exact(x: float) -> Decimal:
    with localcontext() as context:
        context.prec = 400  # 1 + 1e-300 has to differ from 1
        return (1 + abs(Decimal(x))).ln().copy_sign(Decimal(x))


def test_the_logarithm_is_that_of_1_plus_the_size_with_the_sign_to_3_ulp() -> None:
    rng = np.random.default_rng(3)
    points = (rng.normal(size=300) * 10.0 ** rng.integers(-20, 20, 300)).tolist()
    points += [1.0, -1.0, 0.5, 1e-16, 2.3e-16, 1.1e-16, 1e-8, -1e-300, 1.7e308, 5e-324, 1e6 - 1]
    for x, y in zip(points, logs(points), strict=True):
        assert abs(Decimal(y) - exact(x)) <= 3 * Decimal(math.ulp(y)), x


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
@settings(max_examples=200, deadline=None)
def test_the_logarithm_is_pythons_log1p_odd_and_in_order(numbers: list[float]) -> None:
    found = logs(numbers)
    assert found == pytest.approx([math.copysign(math.log1p(abs(x)), x) for x in numbers], rel=1e-15, abs=0)
    assert logs([-x for x in numbers]) == [-y for y in found]
    assert logs([0.0, -0.0, math.nan])[:2] == [0.0, 0.0]
    assert math.isnan(logs([math.nan])[0])


def test_only_the_declared_columns_are_transformed_and_a_missing_value_stays_missing() -> None:
    rows = encode(LOG, [{"a": 9, "b": 9, "v": [1, -1]}, {"a": None, "b": None}, {"b": True}])
    expected = [[9, math.log1p(9), math.log1p(1), -math.log1p(1)], [math.nan] * 4]
    np.testing.assert_allclose(rows.numeric[:2], expected, rtol=1e-15)
    assert rows.numeric[2, 1] == pytest.approx(math.log(2), rel=1e-15)
    assert LOG.numeric_columns() == ["a", "b", "v[0]", "v[1]"]


def test_waves_are_sine_and_cosine_to_1e_15_and_exact_at_the_quarters() -> None:
    turns = np.append(np.random.default_rng(2).random(20_000), [0, 0.125, 0.25, 0.375, 0.5, 0.75, 1 - 2**-53])
    found = np.empty((len(turns), 2))
    write_waves(turns, found, 0)
    # numpy's long double has 64 bits of mantissa on x86 and at least 53 elsewhere
    angle = 2 * np.arctan2(np.longdouble(0), np.longdouble(-1)) * turns.astype(np.longdouble)
    limit = 1e-15 if np.finfo(np.longdouble).nmant > 60 else 3e-15
    assert np.abs(found[:, 0] - np.sin(angle)).max() < limit
    assert np.abs(found[:, 1] - np.cos(angle)).max() < limit
    quarters = np.empty((4, 2))
    write_waves(np.array([0.0, 0.25, 0.5, 0.75]), quarters, 0)
    assert quarters.tolist() == [[0, 1], [1, 0], [0, -1], [-1, 0]]


def test_a_process_without_fma_and_avx2_on_a_generic_processor_gives_the_same_bytes(
    request: pytest.FixtureRequest,
) -> None:
    environment = {
        **os.environ,
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-FMA,-AVX2",
        "NUMBA_CPU_NAME": "generic",
        "NUMBA_CACHE_DIR": str(request.config.cache.mkdir("numba-generic-transforms")),
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", "tests.models.transforms_program"]
    run = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == digest()
