"""The factorization machine does what its formula says, and what River's does."""

from __future__ import annotations

import numpy as np
import pytest
from river import facto, optim

from models.errors import SpecError
from models.model import Model
from models.spec import LearnerSpec, LossSpec, OptimizerSpec
from tests.models.reference_families import MachineReference
from tests.models.samples import (
    ALL_OPTIMIZERS,
    UPDATES,
    learn_all,
    make_rows,
    model_spec,
    weights_of,
    without_repeats,
)

MACHINE = LearnerSpec("factorization-machine", factors=3)
BITS = 7


def assert_agrees(spec, n=300):
    rows = without_repeats(make_rows(spec, n, seed=4), BITS)
    model, reference = Model(spec), MachineReference(spec)
    served = learn_all(model, rows)
    assert model.refused == 0
    np.testing.assert_allclose(served, reference.predict_and_learn(rows), rtol=1e-9, atol=1e-9)
    if spec.optimizer.name not in ("momentum", "nesterov", "adam", "adamw"):  # which stand where last needed
        np.testing.assert_allclose(weights_of(model), reference.theta, rtol=1e-9, atol=1e-9)
    return served


@pytest.mark.parametrize("update", UPDATES, ids=lambda update: update.name)
@pytest.mark.parametrize("task", ["regression", "binary", "multiclass"])
@pytest.mark.parametrize(
    "optimizer", [OptimizerSpec("sgd", 0.02), OptimizerSpec("adam", 0.02)], ids=lambda o: o.name
)
def test_every_task_and_update_is_learned_as_the_formula_says(optimizer, task, update):
    assert_agrees(
        model_spec(task, bits=BITS, products=True, learner=MACHINE, optimizer=optimizer, update=update)
    )


@pytest.mark.parametrize("optimizer", ALL_OPTIMIZERS, ids=lambda o: f"{o.name}-{o.schedule.name}-{o.l1}")
def test_every_optimizer_steps_on_weights_and_factors(optimizer):
    assert_agrees(model_spec("binary", bits=BITS, learner=MACHINE, optimizer=optimizer), 200)


def test_numbers_alone_have_factors_too():
    spec = model_spec(
        "regression", 4, learner=MACHINE, loss=LossSpec("huber"), optimizer=OptimizerSpec("adagrad", 0.1)
    )
    assert_agrees(spec)


def test_it_learns_a_product_that_a_linear_model_cannot():
    rng = np.random.default_rng(3)
    losses = {}
    for learner in (LearnerSpec("linear"), LearnerSpec("factorization-machine", factors=4)):
        spec = model_spec(
            "regression", 2, scaling="none", learner=learner, optimizer=OptimizerSpec("adagrad", 0.1)
        )
        rows = make_rows(spec, 5_000, unlabelled=0.0, missing=0.0, weighted=False)
        rows.numeric[:] = rng.normal(size=(5_000, 2))
        rows.labels[:] = rows.numeric.prod(axis=1)
        losses[learner.name] = np.mean((learn_all(Model(spec), rows)[2_500:, 0] - rows.labels[2_500:]) ** 2)
    assert losses["factorization-machine"] < 0.1 * losses["linear"]


@pytest.mark.parametrize("share", [1.0, 0.25])
@pytest.mark.parametrize("task", ["regression", "binary"])
def test_predictions_are_rivers(task, share):
    rate, factors = 0.02, 3
    learner = LearnerSpec("factorization-machine", factors=factors, factor_rate=share)
    spec = model_spec(task, 5, scaling="none", learner=learner, optimizer=OptimizerSpec("sgd", rate))
    rows = make_rows(spec, 2_000, seed=5, missing=0.0, unlabelled=0.0, weighted=False)
    model = Model(spec)
    made = facto.FMRegressor if task == "regression" else facto.FMClassifier
    theirs = made(
        n_factors=factors,
        weight_optimizer=optim.SGD(rate),
        latent_optimizer=optim.SGD(share * rate),
        intercept_lr=rate,
        latent_initializer=optim.initializers.Zeros(),
        seed=1,
    )
    for i, start in enumerate(weights_of(model)[:5, 1:]):
        theirs.latents[f"x{i}"] = start.copy()
    served = []
    for values, label in zip(rows.numeric.tolist(), rows.labels.tolist(), strict=True):
        x = {f"x{i}": value for i, value in enumerate(values)}
        served.append(theirs.predict_one(x) if task == "regression" else theirs.predict_proba_one(x)[True])
        # Its squared error is twice ours.
        theirs.learn_one(x, label, w=0.5 if task == "regression" else 1.0)
    np.testing.assert_allclose(learn_all(model, rows)[:, 0], served, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(
        weights_of(model)[:5, 1:], [theirs.latents[f"x{i}"] for i in range(5)], rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("optimizer", ["sgd", "adagrad", "rmsprop"])
@pytest.mark.parametrize("task", ["regression", "multiclass"])
def test_factors_go_their_own_share_of_each_step(task, optimizer):
    moves = []
    for share in (1.0, 0.125):
        learner = LearnerSpec("factorization-machine", factors=3, factor_rate=share)
        optimized = OptimizerSpec(optimizer, 0.1)
        spec = model_spec(task, bits=BITS, scaling="none", learner=learner, optimizer=optimized)
        model = Model(spec)
        begun = weights_of(model)
        model.predict_and_learn(make_rows(spec, 1, unlabelled=0.0, weighted=False))
        moves.append(weights_of(model) - begun)
    K = spec.outputs
    assert np.abs(moves[0][:, K:]).max() > 0.0
    np.testing.assert_array_equal(moves[1][:, :K], moves[0][:, :K])
    np.testing.assert_allclose(moves[1][:, K:], 0.125 * moves[0][:, K:], rtol=1e-12, atol=1e-16)


def test_factors_of_an_optimizer_that_drifts_have_no_rate_of_their_own():
    learner = LearnerSpec("factorization-machine", factor_rate=0.5)
    for name in ("adam", "momentum", "ftrl-proximal"):
        with pytest.raises(SpecError, match="factor_rate: goes with optimizer sgd, adagrad, rmsprop"):
            Model(model_spec("binary", bits=BITS, learner=learner, optimizer=OptimizerSpec(name, 0.1)))
