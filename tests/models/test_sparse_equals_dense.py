"""A step costs the row's non-zeros, and comes to the same as one on all params.

A hashed model over a few hundred coordinates that come as words do (Zipf: some in every other row, some once
in thousands) against a model of as many plain columns, zero where a feature is absent.
"""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from models.model import Model
from models.rows import Rows
from models.spec import OptimizerName, OptimizerSpec, ScheduleSpec, UpdateSpec
from tests.models.samples import chunks, learn_all, model_spec, plain_rows

N, FEATURES, BITS = 4_000, 300, 9
COORDINATES = np.random.default_rng(0).permutation(1 << BITS)[:FEATURES]

RATES = {"sgd": 0.05, "momentum": 0.01, "nesterov": 0.01, "ftrl-proximal": 0.1, "normalized-adaptive": 0.5}
SCHEDULES = {
    "constant": ScheduleSpec(),
    "cosine": ScheduleSpec("cosine", horizon=3_000, floor=0.1, warmup=100),
    "inverse-scaling": ScheduleSpec("inverse-scaling", power=0.3),
}
CASES = {
    f"{name}-{schedule}": OptimizerSpec(name, RATES.get(name, 0.02), SCHEDULES[schedule], weight_decay=0.05)
    for name in get_args(OptimizerName)
    for schedule in SCHEDULES
    if name != "ftrl-proximal" or schedule == "constant"
}
CASES["normalized-adaptive-max"] = OptimizerSpec("normalized-adaptive", 0.5, norm="max")


def zipf_samples(numbers):
    """(N, FEATURES) values, nearly all zero, and labels 0 or 1; the second half has its own favourites."""
    rng = np.random.default_rng(5)
    x = np.zeros((N, FEATURES))
    share = 1.0 / np.arange(1.0, FEATURES + 1.0) ** 1.1
    for i in range(N):
        order = np.arange(FEATURES) if i < N // 2 else np.roll(np.arange(FEATURES), 40)
        x[i, rng.choice(order, size=rng.integers(1, 9), p=share / share.sum())] = 1.0
    if numbers:
        x *= rng.choice([0.25, 1.0, -1.5, 3.0], x.shape)
    return x, np.array(x @ rng.normal(size=FEATURES) + rng.normal(size=N) > 0.0, dtype=float)


def hashed_rows(x, labels):
    """The non-zero values at their coordinates."""
    row, column = np.nonzero(x)
    rows = plain_rows(np.zeros((N, 0)), labels)
    rows.indptr = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=N))]).astype(np.int64)
    rows.indices = COORDINATES[column].astype(np.uint32)
    rows.values = x[row, column]
    rows.scaled_by = np.full(len(row), -1, dtype=np.int16)
    return rows


def test_some_features_come_always_and_some_after_thousands_of_samples():
    x, _ = zipf_samples(numbers=False)
    gaps = [np.diff(np.flatnonzero(x[:, j])) for j in range(FEATURES)]
    assert min(gap.min(initial=N) for gap in gaps) == 1
    assert max(gap.max(initial=0) for gap in gaps) > 2_000
    assert np.concatenate(gaps).size > 10_000


@pytest.mark.parametrize(
    "update", [UpdateSpec("sample"), UpdateSpec("batch", batch_size=7)], ids=["sample", "batch"]
)
@pytest.mark.parametrize("numbers", [False, True], ids=["indicators", "numbers"])
@pytest.mark.parametrize("optimizer", CASES.values(), ids=CASES)
def test_predictions_and_weights_are_those_of_dense_steps(optimizer, numbers, update):
    sparse, dense = (
        Model(model_spec("binary", columns, bits, "none", optimizer=optimizer, update=update))
        for columns, bits in ((0, BITS), (FEATURES, None))
    )
    x, labels = zipf_samples(numbers)
    served = learn_all(sparse, hashed_rows(x, labels))
    np.testing.assert_allclose(served, learn_all(dense, plain_rows(x, labels)), rtol=1e-9, atol=1e-9)
    assert sparse.metrics()["log_loss"] < 0.69
    names = {int(c): f"x{j}" for j, c in enumerate(COORDINATES)}
    weights, expected = (
        {w.name: w.value for w in model.weights(given)} for model, given in ((sparse, names), (dense, {}))
    )
    assert weights.keys() == expected.keys()
    assert [weights[key] for key in expected] == pytest.approx(list(expected.values()), rel=1e-9, abs=1e-9)


def rows_of_two_features() -> Rows:
    """Feature 0 in the first sample alone, feature 1 in all others."""
    rows = plain_rows(np.zeros((200, 0)), np.arange(200) % 3 == 0)
    rows.indptr = np.arange(201, dtype=np.int64)
    rows.indices = np.array([0] + [1] * 199, dtype=np.uint32)
    rows.values, rows.scaled_by = np.ones(200), np.full(200, -1, dtype=np.int16)
    return rows


@pytest.mark.parametrize("name", ["momentum", "nesterov", "adam", "adamw"])
def test_a_weight_moves_on_while_no_sample_needs_it_and_reading_it_changes_nothing(name):
    spec = model_spec("binary", 0, BITS, optimizer=OptimizerSpec(name, 0.01, weight_decay=0.1))
    read, left_alone, seen = Model(spec), Model(spec), []
    for part in chunks(rows_of_two_features(), 10):
        learn_all(read, part)
        learn_all(left_alone, part)
        seen.append({w.name: w.value for w in read.weights({0: "once"})}["once"])
        read.predict(part)
    assert all(seen)
    assert len(set(seen)) > 10
    assert read.digest() == left_alone.digest()
