"""Every task, optimizer and update does what the plain numpy implementation does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.model import Model
from models.spec import OptimizerSpec, ScheduleSpec, UpdateSpec
from tests.models.reference import Reference
from tests.models.samples import OPTIMIZERS, UPDATES, make_rows, model_spec, weights_of


def assert_agrees(spec, rows):
    model, reference = Model(spec), Reference(spec)
    learned = model.predict_and_learn(rows)
    np.testing.assert_allclose(learned.served, reference.predict_and_learn(rows), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(weights_of(model), reference.theta, rtol=1e-9, atol=1e-9)
    states = {"G": reference.G, "z": reference.z, "n": reference.n, "q": reference.q}
    for name in model.layout.state_names:
        np.testing.assert_allclose(
            model.layout.view(model.S, name), states[name], rtol=1e-9, atol=1e-9, err_msg=name
        )
    assert model.samples_learned == reference.learned
    assert learned.refused == []


@pytest.mark.parametrize("update", UPDATES, ids=lambda update: update.name)
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda o: f"{o.name}-{o.l1}-{o.l2}")
@pytest.mark.parametrize("task", ["regression", "binary", "multiclass"])
def test_numbers_and_hashed_features_are_learned_as_the_formulas_say(task, optimizer, update):
    spec = model_spec(task, bits=5, products=True, optimizer=optimizer, update=update)
    assert_agrees(spec, make_rows(spec, 200, seed=1))


@settings(max_examples=150, deadline=None)
@given(
    task=st.sampled_from(["regression", "binary", "multiclass"]),
    columns=st.integers(2, 4),
    bits=st.sampled_from([None, 1, 3, 6]),
    scaling=st.sampled_from(["standard", "none"]),
    products=st.booleans(),
    optimizer=st.sampled_from(OPTIMIZERS),
    schedule=st.sampled_from([ScheduleSpec(), ScheduleSpec("inverse-scaling", 0.25)]),
    update=st.one_of(
        st.just(UpdateSpec("sample")),
        st.builds(UpdateSpec, st.just("batch"), batch_size=st.integers(1, 12)),
        st.builds(
            UpdateSpec,
            st.just("window"),
            window_size=st.integers(1, 15),
            stride=st.integers(1, 12),
            steps=st.integers(1, 4),
            tolerance=st.sampled_from([0.0, 0.3]),
        ),
    ),
    missing=st.sampled_from([0.0, 0.3]),
    n=st.integers(0, 60),
    seed=st.integers(0, 10_000),
)
def test_any_model_agrees_with_the_reference(
    task, columns, bits, scaling, products, optimizer, schedule, update, missing, n, seed
):
    if optimizer.name != "ftrl-proximal":
        optimizer = OptimizerSpec(optimizer.name, 0.05, schedule, optimizer.l1, optimizer.l2)
    spec = model_spec(task, columns, bits, scaling, products, optimizer=optimizer, update=update)
    assert_agrees(spec, make_rows(spec, n, seed, missing=missing))


def test_softmax_learns_from_ten_thousand_samples_as_numpy_does():
    spec = model_spec("multiclass", columns=6, scaling="none", optimizer=OptimizerSpec("sgd", 0.02))
    rows = make_rows(spec, 10_000, seed=3, missing=0.0, unlabelled=0.0, weighted=False)
    theta = np.zeros((7, 3))
    for x, label in zip(np.column_stack([rows.numeric, np.ones(10_000)]), rows.labels, strict=True):
        p = np.exp(x @ theta)
        theta -= 0.02 * np.outer(x, p / p.sum() - np.eye(3)[int(label)])
    model = Model(spec)
    model.predict_and_learn(rows)
    np.testing.assert_allclose(weights_of(model), theta, rtol=1e-9)
