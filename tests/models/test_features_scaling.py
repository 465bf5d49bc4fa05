"""Min-max scaling in the fold: predictions with the scaler as it is, learning with what it becomes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from river import preprocessing
from sklearn.preprocessing import MinMaxScaler

from models.model import Model
from models.rows import Rows
from models.spec import ModelSpec, OptimizerSpec, UpdateSpec
from tests.models.samples import chunks, learn_all, make_rows, model_spec, plain_rows, state_bytes, weights_of

SGD = OptimizerSpec("sgd", 0.05)


def spec(task: Any = "regression", columns: int = 3, **given: Any) -> ModelSpec:
    return model_spec(task, columns, scaling="min-max", optimizer=SGD, **given)


def by_hand(rows: Rows, columns: int) -> tuple[list[float], list[float]]:
    """Predictions and weights of linear regression by SGD on River's MinMaxScaler; missing is 0."""
    scaler = preprocessing.MinMaxScaler()
    seen: set[int] = set()
    weights, served = [0.0] * (columns + 1), []

    def scaled(x: dict[int, float]) -> list[float]:
        z = scaler.transform_one(
            {c: value for c, value in x.items() if c in seen}
        )  # NaN for what is new to it
        return [z.get(c, 0.0) for c in range(columns)] + [1.0]

    for numeric, label, weight in zip(rows.numeric, rows.labels, rows.weights, strict=True):
        x = {c: float(value) for c, value in enumerate(numeric) if not math.isnan(value)}
        served.append(sum(w * z for w, z in zip(weights, scaled(x), strict=True)))
        if math.isnan(label):
            continue
        scaler.learn_one(x)
        seen |= x.keys()
        z = scaled(x)
        error = sum(w * one for w, one in zip(weights, z, strict=True)) - label
        weights = [w - 0.05 * weight * error * one for w, one in zip(weights, z, strict=True)]
    return served, weights


@pytest.mark.parametrize("seed", range(5))
def test_predictions_and_weights_are_those_of_rivers_scaler(seed: int) -> None:
    rows = make_rows(spec(), 300, seed=seed)
    model = Model(spec())
    served = learn_all(model, rows)
    expected, weights = by_hand(rows, 3)
    np.testing.assert_allclose(served[:, 0], expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(weights_of(model)[:, 0], weights, rtol=1e-9, atol=1e-9)


def test_the_scaler_keeps_count_smallest_and_largest_as_scikit_learn_finds_them() -> None:
    rows = make_rows(spec(), 200, unlabelled=0.0)
    model = Model(spec())
    learn_all(model, rows)
    found = model.tensors(())["scaler"]
    theirs = MinMaxScaler().fit(rows.numeric)
    assert found[0].tolist() == (~np.isnan(rows.numeric)).sum(axis=0).tolist()
    assert found[1].tolist() == theirs.data_min_.tolist()
    assert found[2].tolist() == theirs.data_max_.tolist()


def test_the_first_value_and_a_constant_column_are_0_and_a_prediction_may_leave_the_range() -> None:
    one = spec(columns=1)
    model = Model(one)
    learn_all(model, plain_rows([[7.0], [7.0]], [1.0, 1.0]))
    assert weights_of(model)[0, 0] == 0.0
    learn_all(model, plain_rows([[9.0]], [1.0]))
    weight, intercept = weights_of(model)[:, 0]
    assert weight != 0.0
    served = model.predict(plain_rows([[7.0], [9.0], [11.0], [5.0], [math.nan]], [math.nan] * 5))[:, 0]
    assert served.tolist() == [intercept + weight * z for z in (0.0, 1.0, 2.0, -1.0, 0.0)]


def test_a_missing_value_and_an_unlabelled_sample_leave_the_scaler_as_it_was() -> None:
    model = Model(spec(columns=1))
    learn_all(model, plain_rows([[2.0], [4.0]], [1.0, 1.0]))
    before = model.tensors(())["scaler"].copy()
    learn_all(model, plain_rows([[math.nan], [100.0]], [1.0, math.nan]))
    assert model.tensors(())["scaler"].tolist() == before.tolist() == [[2.0], [2.0], [4.0]]


@pytest.mark.parametrize("value", [1e151, -1e151, math.inf])
def test_a_value_that_explodes_is_refused_and_leaves_the_state(value: float) -> None:
    model = Model(spec(columns=1))
    learn_all(model, plain_rows([[2.0], [4.0]], [1.0, 1.0]))
    before = model.tensors(())["scaler"].copy()
    learned = model.predict_and_learn(plain_rows([[value]], [1.0]))
    assert learned.refused == [(0, "features are not finite or explode")]
    assert model.tensors(())["scaler"].tolist() == before.tolist()


@pytest.mark.parametrize("task", ["regression", "binary", "multiclass"])
@pytest.mark.parametrize("update", [UpdateSpec("batch", batch_size=7), UpdateSpec("sample")], ids=str)
def test_cuts_and_undoing_change_no_bit(task: Any, update: UpdateSpec) -> None:
    given = spec(task, bits=8, products=True, update=update)
    rows = make_rows(given, 600, seed=3)
    whole, cut = Model(given), Model(given)
    served = learn_all(whole, rows)
    for part in chunks(rows, 37):
        undo = cut.predict_and_learn(part).undo
        assert undo is not None
        cut.undo(undo)
    again = [cut.predict_and_learn(part) for part in chunks(rows, 37)]
    assert np.concatenate([one.served for one in again]).tobytes() == served.tobytes()
    assert state_bytes(cut) == state_bytes(whole)


def test_columns_of_all_three_scalings_live_side_by_side() -> None:
    mixed = model_spec("regression", 3, optimizer=SGD)
    numeric = tuple(
        type(one)(one.name, scaling=kind)
        for one, kind in zip(mixed.features.numeric, ("standard", "min-max", "none"), strict=True)
    )
    given = ModelSpec("regression", type(mixed.features)(numeric), optimizer=SGD)
    rows = make_rows(given, 100, unlabelled=0.0, missing=0.0)
    model = Model(given)
    learn_all(model, rows)
    found = model.tensors(())["scaler"]
    np.testing.assert_allclose(found[1, [0, 2]], rows.numeric[:, [0, 2]].mean(axis=0), rtol=1e-12)
    assert found[1:, 1].tolist() == [rows.numeric[:, 1].min(), rows.numeric[:, 1].max()]
    scaling = {one.name: one.scaling for one in model.weights({})}
    assert scaling["x0"] == pytest.approx(
        {"mean": rows.numeric[:, 0].mean(), "std": rows.numeric[:, 0].std()}
    )
    assert scaling["x1"] == {"min": rows.numeric[:, 1].min(), "max": rows.numeric[:, 1].max()}
    assert scaling["x2"] == {}
    assert scaling["intercept"] == {}
