"""An update that is not finite or explodes leaves the state as it was, and says why."""

from __future__ import annotations

import numpy as np
import pytest

from models.layout import REFUSED, ROWS_END, ROWS_FIRST
from models.model import Model
from models.spec import OptimizerSpec, UpdateSpec
from tests.models.samples import OPTIMIZERS, learn_all, make_rows, model_spec, plain_rows, state_bytes

UPDATES = [
    UpdateSpec("sample"),
    UpdateSpec("batch", batch_size=4),
    UpdateSpec("window", window_size=6, stride=3),
]


def spoil(rows, what, value):
    """Put the value into the first row that has hashed entries; its number."""
    row = int(np.flatnonzero(np.diff(rows.indptr))[0])
    if what == "numeric":
        rows.numeric[row, 0] = value
    elif what == "values":
        rows.values[rows.indptr[row]] = value
        rows.scaled_by[rows.indptr[row]] = -1
    else:
        getattr(rows, what)[row] = value
    return row


@pytest.mark.parametrize("update", UPDATES, ids=lambda u: u.name)
@pytest.mark.parametrize("keep_undo", [True, False])
@pytest.mark.parametrize(
    ("task", "what", "value", "reason"),
    [
        ("regression", "numeric", 1e200, "features"),
        ("binary", "numeric", np.inf, "features"),
        ("binary", "values", np.inf, "raw score"),
        ("multiclass", "values", 1e200, "gradient|raw score"),
        ("regression", "labels", np.inf, "label"),
        ("regression", "labels", 1e200, "label"),
        ("binary", "labels", 2.0, "label"),
        ("binary", "labels", 0.5, "label"),
        ("multiclass", "labels", 3.0, "label"),
        ("multiclass", "labels", -1.0, "label"),
        ("binary", "weights", np.inf, "weight"),
        ("binary", "weights", np.nan, "weight"),
        ("binary", "weights", -1.0, "weight"),
    ],
)
def test_a_refused_sample_changes_no_byte_but_the_count(task, what, value, reason, update, keep_undo):
    spec = model_spec(task, bits=6, optimizer=OPTIMIZERS[3], update=update)
    model, clean = Model(spec), Model(spec)
    for each in (model, clean):
        learn_all(each, make_rows(spec, 50, seed=1))
    rows = make_rows(spec, 10, seed=2, unlabelled=0.0, missing=0.0, weighted=False)
    bad = spoil(rows, what, value)
    served = model.predict(rows)
    learned = model.learn(rows, served, keep_undo)
    assert [row for row, _ in learned.refused] == [bad]
    assert any(word in learned.refused[0][1] for word in reason.split("|"))
    assert model.refused == 1
    keep = np.arange(10) != bad
    clean.learn(rows.select(keep), served[keep], keep_undo=False)
    model.S[REFUSED] = 0.0
    assert state_bytes(model) == state_bytes(clean)


@pytest.mark.parametrize("update", UPDATES[1:], ids=lambda u: u.name)
def test_a_refused_step_drops_its_rows_so_that_later_samples_are_learned(update):
    spec = model_spec("regression", 1, optimizer=OptimizerSpec("adagrad", 0.1), update=update)
    model = Model(spec)
    labels = [1.0, 1e100, *[1.0] * 30]  # g² would be 1e200: the row is finite alone, its step is not
    learned = model.predict_and_learn(plain_rows(np.arange(32.0)[:, None], labels))
    due = 3 if update.name == "batch" else 2
    assert learned.refused == [(due, "params or optimizer state are not finite or explode")]
    assert model.samples_learned == 31
    weights = model.layout.view(model.S, "weights")
    assert weights.all()
    assert np.abs(weights).max() < 10
    assert model.S[ROWS_END] - model.S[ROWS_FIRST] <= 6


def test_a_diverging_model_refuses_rather_than_become_nan():
    spec = model_spec("regression", 2, scaling="none", optimizer=OptimizerSpec("sgd", 10.0), halt_after=0)
    model = Model(spec)
    rows = make_rows(spec, 2_000, missing=0.0, unlabelled=0.0, weighted=False)
    learned = model.predict_and_learn(rows)
    assert model.refused > 0
    assert model.refused == len(learned.refused)
    assert model.refused + model.samples_learned == 2_000
    assert np.isfinite(model.S).all()


@pytest.mark.parametrize("task", ["regression", "binary", "multiclass"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e200])
def test_a_served_prediction_that_is_no_prediction_does_not_poison_the_metrics(task, bad):
    spec = model_spec(task)
    model, rows = Model(spec), make_rows(spec, 20, unlabelled=0.0)
    learn_all(model, rows)
    metrics = model.metrics()
    model.learn(rows, np.full((20, spec.outputs), bad), keep_undo=False)
    assert model.samples_learned == 40
    assert model.metrics() == metrics
