"""Prequential metrics are those of scikit-learn on the served predictions, over all samples and recently."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn import metrics as theirs

from models.kernels.prequential import DECAY, GROWTH, HALF_LIFE
from models.model import Model
from tests.models.samples import CLASSES, make_rows, model_spec, plain_rows

N = 12_000


def run(task):
    spec = model_spec(task)
    model = Model(spec)
    rows = make_rows(spec, N, seed=8)
    served = model.predict_and_learn(rows).served
    labelled = ~np.isnan(rows.labels)
    return model.metrics(()), served[labelled], rows.labels[labelled], rows.weights[labelled]


def forgetting(weights):
    """Weights by age: each labelled sample halves those of 5,000 samples ago."""
    return weights * 0.5 ** (np.arange(len(weights))[::-1] / 5_000)


def test_the_half_life_of_recent_is_5000_labelled_samples():
    assert HALF_LIFE == 5_000
    assert math.isclose(DECAY**5_000, 0.5, rel_tol=1e-10)
    assert math.isclose(DECAY * GROWTH, 1.0, rel_tol=3e-16)


def test_regression_has_mae_rmse_and_r2():
    found, served, labels, weights = run("regression")
    for part, w in ((found, weights), (found["recent"], forgetting(weights))):
        assert part["mae"] == pytest.approx(
            theirs.mean_absolute_error(labels, served[:, 0], sample_weight=w), rel=1e-9
        )
        assert part["rmse"] == pytest.approx(
            theirs.root_mean_squared_error(labels, served[:, 0], sample_weight=w), rel=1e-9
        )
        assert part["r2"] == pytest.approx(theirs.r2_score(labels, served[:, 0], sample_weight=w), rel=1e-9)
    assert set(found) == {"mae", "rmse", "r2", "recent"}


def test_binary_has_log_loss_accuracy_and_roc_auc():
    found, served, labels, weights = run("binary")
    p = served[:, 0]
    for part, w in ((found, weights), (found["recent"], forgetting(weights))):
        assert part["log_loss"] == pytest.approx(theirs.log_loss(labels, p, sample_weight=w), rel=1e-9)
        assert part["accuracy"] == pytest.approx(
            theirs.accuracy_score(labels, p >= 0.5, sample_weight=w), rel=1e-9
        )
        assert part["roc_auc"] == pytest.approx(theirs.roc_auc_score(labels, p, sample_weight=w), abs=1e-4)
        binned = np.minimum(np.floor(p * 10_000), 9_999)
        assert part["roc_auc"] == pytest.approx(
            theirs.roc_auc_score(labels, binned, sample_weight=w), rel=1e-9
        )
    assert found["roc_auc"] > 0.7
    assert set(found) == {"log_loss", "accuracy", "roc_auc", "recent"}


def test_several_classes_have_log_loss_and_accuracy():
    found, served, labels, weights = run("multiclass")
    for part, w in ((found, weights), (found["recent"], forgetting(weights))):
        expected = theirs.log_loss(labels, served, sample_weight=w, labels=range(len(CLASSES)))
        assert part["log_loss"] == pytest.approx(expected, rel=1e-9)
        assert part["accuracy"] == pytest.approx(
            theirs.accuracy_score(labels, served.argmax(axis=1), sample_weight=w), rel=1e-9
        )
    assert set(found) == {"log_loss", "accuracy", "recent"}


def test_recent_forgets_what_was_long_ago():
    spec = model_spec("binary", 1)
    model = Model(spec)
    zeros = plain_rows(np.zeros((60_000, 1)), np.zeros(60_000))
    model.learn(zeros, np.full((60_000, 1), 0.9), keep_undo=False)
    model.learn(zeros, np.full((60_000, 1), 0.1), keep_undo=False)
    metrics = model.metrics()
    assert metrics["accuracy"] == 0.5
    assert metrics["recent"]["accuracy"] == pytest.approx(1 - 2**-12, abs=1e-4)


def test_the_second_class_is_predicted_from_one_half_on():
    spec = model_spec("binary", 1)
    model = Model(spec)
    model.learn(plain_rows([[0.0]] * 2, [1.0, 0.0]), np.array([[0.5], [0.5]]), keep_undo=False)
    assert model.metrics()["accuracy"] == 0.5
    model.learn(plain_rows([[0.0]] * 2, [1.0, 1.0]), np.array([[0.5], [0.5]]), keep_undo=False)
    assert model.metrics()["accuracy"] == 0.75


def test_log_loss_clips_certainty():
    model = Model(model_spec("binary", 1))
    model.learn(plain_rows([[0.0]], [1.0]), np.array([[0.0]]), keep_undo=False)
    assert model.metrics()["log_loss"] == pytest.approx(-np.log(1e-15))


@pytest.mark.parametrize("task", ["regression", "binary", "multiclass"])
def test_metrics_are_none_before_the_first_sample(task):
    metrics = Model(model_spec(task)).metrics()
    recent = metrics.pop("recent")
    assert set(metrics.values()) == {None} == set(recent.values())


def test_metrics_that_one_class_or_one_label_cannot_define_are_none():
    binary, regression = Model(model_spec("binary", 1)), Model(model_spec("regression", 1))
    rows = plain_rows([[1.0], [2.0]], [1.0, 1.0])
    binary.predict_and_learn(rows)
    regression.predict_and_learn(rows)
    assert binary.metrics(())["roc_auc"] is None
    assert binary.metrics(())["log_loss"] is not None
    assert regression.metrics(())["r2"] is None
    assert regression.metrics(())["mae"] is not None
