"""Each loss: value, gradient and prediction are what the formula says, and agree with each other."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import losses
from models.losses import LARGEST_LABEL, TASKS, make_loss
from models.spec import LOSSES_OF, LossName, LossSpec
from tests.models.compiled import compiled
from tests.models.reference_losses import gradient, loss_value, mean

value, is_label = compiled(losses.value), compiled(losses.is_label)
to_derivative, to_prediction = compiled(losses.to_derivative), compiled(losses.to_prediction)
NAMES = get_args(LossName)
TASK_OF = {name: task for task, names in LOSSES_OF.items() for name in names}

scores = st.floats(-30, 30)
deltas = st.sampled_from([0.1, 1.0, 3.5])
quantiles = st.sampled_from([0.05, 0.5, 0.9])


def labels(name):
    """Labels that the loss serves."""
    if TASK_OF[name] == "regression":
        return st.floats(0, 30) if name == "poisson" else st.floats(-30, 30)
    return st.integers(0, 1 if TASK_OF[name] == "binary" else 3).map(float)


def raw_scores(name):
    size = 4 if TASK_OF[name] == "multiclass" else 1
    return st.lists(scores, min_size=size, max_size=size).map(np.array)


def ours(spec, s, label):
    """(J, ∂J/∂s, prediction) of the kernels."""
    loss, task = make_loss(spec), TASKS[TASK_OF[spec.name]]
    found, slopes, predicted = value(loss, len(s), s, 0, label), s.copy(), s.copy()
    to_derivative(loss, len(s), slopes, 0, label)
    to_prediction(task, loss, len(s), predicted, 0)
    return found, slopes, predicted


def kinks(spec, label):
    """Scores at which the derivative jumps, or the curvature does."""
    if spec.name == "huber":
        return [label - spec.delta, label + spec.delta]
    if spec.name in ("absolute", "quantile"):
        return [label]
    return [2.0 * label - 1.0] if "hinge" in spec.name else []


def test_every_loss_serves_exactly_one_task():
    assert sorted(name for names in LOSSES_OF.values() for name in names) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=300, deadline=None)
@given(data=st.data(), delta=deltas, quantile=quantiles)
def test_value_gradient_and_prediction_are_those_of_the_formula(name, data, delta, quantile):
    spec = LossSpec(name, delta, quantile)
    s, label = data.draw(raw_scores(name)), data.draw(labels(name))
    found, slopes, predicted = ours(spec, s, label)
    assert found == pytest.approx(loss_value(spec, s, label), rel=1e-12, abs=1e-13)
    np.testing.assert_allclose(slopes, gradient(spec, s, label), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(predicted, mean(spec, s), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=300, deadline=None)
@given(data=st.data(), delta=deltas, quantile=quantiles)
def test_the_gradient_is_the_slope_of_the_value(name, data, delta, quantile):
    spec = LossSpec(name, delta, quantile)
    s, label = data.draw(raw_scores(name)), data.draw(labels(name))
    step = 1e-4
    if any(abs(s[0] - kink) <= 2 * step for kink in kinks(spec, label)):
        return
    _, slopes, _ = ours(spec, s, label)
    for k in range(len(s)):
        around = []
        for move in (-2, -1, 1, 2):
            moved = s.copy()
            moved[k] += move * step
            around.append(ours(spec, moved, label)[0])
        slope = (around[0] - 8 * around[1] + 8 * around[2] - around[3]) / (12 * step)
        scale = max(1.0, np.abs(around).max())
        assert slopes[k] == pytest.approx(slope, rel=1e-9, abs=1e-10 * scale)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=100, deadline=None)
@given(data=st.data(), delta=deltas, quantile=quantiles)
def test_a_loss_is_convex_so_its_gradient_never_falls(name, data, delta, quantile):
    spec, label = LossSpec(name, delta, quantile), data.draw(labels(name))
    low, high = data.draw(raw_scores(name)), data.draw(raw_scores(name))
    slopes = [ours(spec, s, label)[1] for s in (low, high)]
    assert (slopes[1] - slopes[0]) @ (high - low) >= -1e-9


@pytest.mark.parametrize(
    ("name", "label"), [("absolute", 2.0), ("quantile", 2.0), ("hinge", 1.0), ("hinge", 0.0)]
)
def test_at_its_kink_a_loss_has_no_slope(name, label):
    kink = np.array(kinks(LossSpec(name, quantile=0.3), label))
    assert ours(LossSpec(name, quantile=0.3), kink, label)[1] == [0.0]


@pytest.mark.parametrize("s", [-1e4, -800.0, 800.0, 1e4])
@pytest.mark.parametrize("name", ["log", "hinge", "squared-hinge", "cross-entropy"])
def test_scores_far_out_overflow_nowhere(name, s):
    size = 4 if name == "cross-entropy" else 1
    for label in (0.0, 1.0):
        found, slopes, predicted = ours(LossSpec(name), np.array([s, 0.0, -s, 5.0])[:size], label)
        assert np.isfinite(found)
        assert np.isfinite(slopes).all()
        assert ((predicted >= 0.0) & (predicted <= 1.0)).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_label_is_of_the_task_or_is_refused(name):
    loss, task = make_loss(LossSpec(name)), TASK_OF[name]
    found = {
        y: is_label(TASKS[task], loss, 4, y) for y in (-1.0, 0.0, 0.5, 1.0, 2.0, 3.0, 4.0, np.inf, -np.inf)
    }
    if task == "regression":
        assert found == {y: np.isfinite(y) and (name != "poisson" or y >= 0) for y in found}
        assert not is_label(TASKS[task], loss, 1, 10 * LARGEST_LABEL)
    else:
        assert [y for y, good in found.items() if good] == (
            [0.0, 1.0] if task == "binary" else [0.0, 1.0, 2.0, 3.0]
        )
