"""What `sample`, `batch` and `window` have in common, and what each promises."""

from __future__ import annotations

import dataclasses

import msgspec
import numpy as np
import pytest

from models.layout import ROWS_END, ROWS_FIRST
from models.model import Model
from models.spec import OptimizerSpec, UpdateSpec
from tests.models.samples import (
    OPTIMIZERS,
    chunks,
    learn_all,
    make_rows,
    model_spec,
    plain_rows,
    weights_of,
)

TASKS = ["regression", "binary", "multiclass"]


def without_rows(model):
    state = model.S.copy()
    state[[ROWS_FIRST, ROWS_END]] = 0.0
    return state.tobytes()


@pytest.mark.parametrize(
    "update",
    [UpdateSpec("batch", batch_size=1), UpdateSpec("window", window_size=1, stride=1, steps=1)],
    ids=["batch", "window"],
)
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda o: f"{o.name}-{o.l1}")
@pytest.mark.parametrize("task", TASKS)
def test_a_batch_or_window_of_one_sample_equals_sample_to_the_bit(task, optimizer, update):
    sample = model_spec(task, bits=6, products=True, optimizer=optimizer)
    rows = make_rows(sample, 300)
    rows.weights[:] = np.minimum(rows.weights, 1.0).round()  # other weights cancel in Σ w g / Σ w
    rows.numeric[50, 0] = 1e200
    one, other = Model(sample), Model(msgspec.structs.replace(sample, update=update))
    learned, again = one.predict_and_learn(rows), other.predict_and_learn(rows)
    assert learned.served.tobytes() == again.served.tobytes()
    assert learned.refused == again.refused != []
    assert without_rows(one) == without_rows(other)


@pytest.mark.parametrize("task", TASKS)
def test_dense_columns_and_hashed_entries_of_the_same_features_learn_the_same(task):
    dense = model_spec(task, 4, scaling="none", optimizer=OPTIMIZERS[3])
    sparse = model_spec(task, 0, bits=4, optimizer=OPTIMIZERS[3])
    rows = make_rows(dense, 500, missing=0.0)
    entries = dataclasses.replace(
        rows,
        numeric=np.zeros((500, 0)),
        indptr=np.arange(501, dtype=np.int64) * 4,
        indices=np.tile(np.array([3, 7, 1, 12], dtype=np.uint32), 500),
        values=rows.numeric.reshape(-1),
        scaled_by=np.full(2_000, -1, dtype=np.int16),
    )
    one, other = Model(dense), Model(sparse)
    assert learn_all(one, rows).tobytes() == learn_all(other, entries).tobytes()
    assert weights_of(one)[[0, 1, 2, 3, 4]].tobytes() == weights_of(other)[[4, 8, 2, 13, 0]].tobytes()


def test_a_coordinate_named_twice_in_a_row_steps_once_with_the_sum():
    spec = model_spec("regression", 0, bits=4, optimizer=OptimizerSpec("adagrad", 0.1))
    twice, once = make_rows(spec, 1), make_rows(spec, 1)
    for rows, indices, values in ((twice, [5, 21], [1.0, 2.0]), (once, [5], [3.0])):
        rows.indptr = np.array([0, len(indices)], dtype=np.int64)
        rows.indices, rows.values = np.array(indices, dtype=np.uint32), np.array(values)
        rows.scaled_by = np.full(len(indices), -1, dtype=np.int16)
        rows.labels, rows.weights = np.array([2.0]), np.ones(1)
    one, other = Model(spec), Model(spec)
    learn_all(one, twice)
    learn_all(other, once)
    assert weights_of(one).any()
    assert weights_of(one).tobytes() == weights_of(other).tobytes()


@pytest.mark.parametrize("update", ["sample", "batch", "window"])
def test_samples_of_weight_zero_are_counted_and_scaled_but_take_no_step(update):
    spec = model_spec(
        optimizer=OPTIMIZERS[3], update=UpdateSpec(update, batch_size=5, window_size=5, stride=5)
    )
    model, rows = Model(spec), make_rows(spec, 50, unlabelled=0.0, missing=0.0)
    rows.weights[:] = 0.0
    learn_all(model, rows)
    assert model.samples_learned == 50
    assert not weights_of(model).any()
    assert model.layout.view(model.S, "scaler")[0].tolist() == [50, 50, 50]
    assert model.metrics()["log_loss"] is None


def test_unlabelled_samples_change_nothing():
    spec = model_spec(bits=5)
    model = Model(spec)
    learn_all(model, make_rows(spec, 20))
    before, rows = model.S.copy(), make_rows(spec, 20, seed=1)
    rows.labels[:] = np.nan
    learned = model.predict_and_learn(rows)
    assert model.S.tobytes() == before.tobytes()
    assert learned.learned_before.tolist() == [model.samples_learned] * 20
    assert learned.served.tobytes() == model.predict(rows).tobytes()


def test_each_row_says_how_many_samples_were_learned_before_it():
    spec = model_spec(update=UpdateSpec("batch", batch_size=4))
    model, rows = Model(spec), make_rows(spec, 6, unlabelled=0.0)
    rows.labels[2] = np.nan
    assert model.predict_and_learn(rows).learned_before.tolist() == [0, 1, 2, 2, 3, 4]
    assert model.samples_learned == 5


def objective(task, theta, x, labels, weights, l2):
    """Σ w J / Σ w + l2 / 2 |θ|², the intercept (last row) left out of the penalty."""
    scores = np.column_stack([x, np.ones(len(x))]) @ theta
    if task == "regression":
        losses = 0.5 * (scores[:, 0] - labels) ** 2
    elif task == "binary":
        losses = np.logaddexp(0.0, scores[:, 0]) - labels * scores[:, 0]
    else:
        rows = np.arange(len(x))
        losses = np.logaddexp.reduce(scores, axis=1) - scores[rows, labels.astype(int)]
    return losses @ weights / weights.sum() + 0.5 * l2 * (theta[:-1] ** 2).sum()


def windowed(task, steps, tolerance=0.0):
    update = UpdateSpec("window", window_size=40, stride=40, steps=steps, tolerance=tolerance)
    spec = model_spec(task, optimizer=OptimizerSpec("sgd", 0.1, l2=0.03), update=update)
    model = Model(spec)
    tensors = model.tensors()
    tensors["weights"] = np.random.default_rng(3).normal(size=tensors["weights"].shape)
    model.load(tensors)
    learn_all(model, make_rows(spec, 40, unlabelled=0.0))
    rows = model.tensors()
    return tensors["weights"], weights_of(model), (rows["rows.x"], rows["rows.labels"], rows["rows.weights"])


@pytest.mark.parametrize("task", TASKS)
def test_the_gradient_of_a_window_equals_finite_differences(task):
    before, after, data = windowed(task, steps=1)
    found = (before - after) / 0.1
    for position in np.ndindex(*before.shape):
        change = np.zeros_like(before)
        change[position] = 1e-6
        above, below = (objective(task, before + s * change, *data, 0.03) for s in (1, -1))
        assert found[position] == pytest.approx((above - below) / 2e-6, abs=1e-7)


@pytest.mark.parametrize("task", TASKS)
def test_a_full_pass_over_the_window_decreases_the_loss_and_more_steps_more(task):
    losses = []
    for steps in (1, 5, 25):
        before, after, data = windowed(task, steps)
        losses.append(objective(task, after, *data, 0.03))
    assert objective(task, before, *data, 0.03) > losses[0] > losses[1] > losses[2]


def test_a_window_stops_when_the_gradient_is_below_the_tolerance():
    before, none, _ = windowed("binary", steps=5, tolerance=100.0)
    assert none.tobytes() == before.tobytes()
    _, many, _ = windowed("binary", steps=3_000, tolerance=0.05)
    _, more, _ = windowed("binary", steps=6_000, tolerance=0.05)
    _, all_steps, _ = windowed("binary", steps=3_000)
    assert many.tobytes() == more.tobytes() != all_steps.tobytes()


def test_only_rows_that_a_window_still_needs_are_kept():
    spec = model_spec(bits=6, update=UpdateSpec("window", window_size=25, stride=10, steps=1))
    model = Model(spec)
    for part in chunks(make_rows(spec, 3_000), 50):
        learn_all(model, part)
        assert len(model.tensors().get("rows.labels", ())) <= 25
    assert len(model._rows.stored.labels) < 500


def test_a_cross_with_a_number_takes_the_scaled_number_at_the_index():
    spec = model_spec("regression", 1, bits=4, scaling="none", optimizer=OptimizerSpec("sgd", 0.5))
    rows = plain_rows([[3.0]], [1.0])
    rows.indptr, rows.indices = np.array([0, 1], dtype=np.int64), np.array([6], dtype=np.uint32)
    rows.values, rows.scaled_by = np.array([2.0]), np.array([0], dtype=np.int16)
    model = Model(spec)
    learn_all(model, rows)
    assert weights_of(model)[[0, 1, 2 + 6], 0].tolist() == [1.5, 0.5, 3.0]
