"""Every task, loss, optimizer and update does what the plain numpy implementation does.

The reference moves every param in every step, the kernels only those that a sample has: so these are tests
of the lazy steps, too.
"""

from __future__ import annotations

from typing import get_args

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.model import Model
from models.spec import LOSSES_OF, LossSpec, OptimizerName, OptimizerSpec, ScheduleSpec, UpdateSpec
from tests.models.reference import Reference
from tests.models.samples import ALL_OPTIMIZERS, UPDATES, make_rows, model_spec, params_now

LAZY = ("m", "v", "t", "D")
"""What the optimizer keeps of a param that has not been needed stands where it was needed last."""

TASKS_AND_LOSSES = [(task, loss) for task, losses in LOSSES_OF.items() for loss in losses]


def assert_agrees(spec, rows):
    model, reference = Model(spec), Reference(spec)
    learned = model.predict_and_learn(rows)
    np.testing.assert_allclose(learned.served, reference.predict_and_learn(rows), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(params_now(model), reference.theta, rtol=1e-9, atol=1e-9)
    states = {**reference.optimizer.state, "q": reference.q}
    for name in model.layout.state_names:
        if name not in LAZY:
            np.testing.assert_allclose(
                model.layout.view(model.S, name), states[name], rtol=1e-9, atol=1e-9, err_msg=name
            )
    assert model.samples_learned == reference.learned
    assert learned.refused == []


def test_every_optimizer_has_a_case_but_the_normalized_one_that_has_its_own_reference():
    names = {o.name for o in ALL_OPTIMIZERS}
    assert names == set(get_args(OptimizerName)) - {"normalized-adaptive"}


@pytest.mark.parametrize("update", UPDATES, ids=lambda update: update.name)
@pytest.mark.parametrize("optimizer", ALL_OPTIMIZERS, ids=lambda o: f"{o.name}-{o.schedule.name}-{o.l1}")
@pytest.mark.parametrize("task", ["regression", "binary", "multiclass"])
def test_numbers_and_hashed_features_are_learned_as_the_formulas_say(task, optimizer, update):
    spec = model_spec(task, bits=5, products=True, optimizer=optimizer, update=update)
    assert_agrees(spec, make_rows(spec, 200, seed=1))


@pytest.mark.parametrize("update", UPDATES, ids=lambda update: update.name)
@pytest.mark.parametrize(("task", "loss"), TASKS_AND_LOSSES, ids=[loss for _, loss in TASKS_AND_LOSSES])
@pytest.mark.parametrize("optimizer", ["sgd", "adagrad", "adam"])
def test_every_loss_is_learned_as_its_formula_says(optimizer, task, loss, update):
    spec = model_spec(
        task, bits=5, loss=LossSpec(loss, 0.7, 0.3), optimizer=OptimizerSpec(optimizer, 0.01), update=update
    )
    assert_agrees(spec, make_rows(spec, 200, seed=2))


@settings(max_examples=300, deadline=None)
@given(
    task_and_loss=st.sampled_from(TASKS_AND_LOSSES),
    columns=st.integers(2, 4),
    bits=st.sampled_from([None, 1, 3, 6]),
    scaling=st.sampled_from(["standard", "none"]),
    products=st.booleans(),
    optimizer=st.sampled_from(ALL_OPTIMIZERS),
    schedule=st.builds(
        ScheduleSpec,
        st.sampled_from(["constant", "inverse-scaling", "exponential", "step", "cosine"]),
        power=st.just(0.25),
        every=st.sampled_from([3, 30]),
        horizon=st.sampled_from([5, 100]),
        warmup=st.sampled_from([0, 0, 10]),
    ),
    clip=st.sampled_from(
        [{}, {}, {"clip_value": 0.2}, {"clip_norm": 0.5}, {"clip_value": 1, "clip_norm": 1}]
    ),
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
    task_and_loss, columns, bits, scaling, products, optimizer, schedule, clip, update, missing, n, seed
):
    task, loss = task_and_loss
    if loss == "poisson" and not clip:  # e^s would soon be beyond all bounds
        clip = {"clip_norm": 0.5}
    # A gradient that is 0 but for a rounding, divided by its own size, would be a step of any size.
    given = {"learning_rate": min(optimizer.learning_rate, 0.05), "epsilon": 1e-3, **clip}
    if optimizer.name != "ftrl-proximal":
        given["schedule"] = schedule
    optimizer = msgspec.structs.replace(optimizer, **given)
    spec = model_spec(
        task, columns, bits, scaling, products, loss=LossSpec(loss), optimizer=optimizer, update=update
    )
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
    np.testing.assert_allclose(params_now(model), theta, rtol=1e-9)
