"""The multilayer perceptron does what matrices in numpy do, forward and back."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from models.model import Model
from models.spec import Activation, LearnerSpec, LossSpec, OptimizerSpec, UpdateSpec
from tests.models.reference_families import NetworkReference
from tests.models.samples import (
    ALL_OPTIMIZERS,
    UPDATES,
    learn_all,
    make_rows,
    model_spec,
    without_repeats,
)

BITS = 6


def network_spec(task, hidden, activation="relu", columns=20, bits=None, **given):
    learner = LearnerSpec("mlp", hidden=hidden, activation=activation, embedding=5)
    return model_spec(task, columns, bits, learner=learner, **given)


def assert_agrees(spec, n=300):
    rows = without_repeats(make_rows(spec, n, seed=4), BITS)
    model, reference = Model(spec), NetworkReference(spec)
    served = learn_all(model, rows)
    assert model.refused == 0
    np.testing.assert_allclose(served, reference.predict_and_learn(rows), rtol=1e-9, atol=1e-9)
    network = model.layout.view(model.S, "network")
    np.testing.assert_allclose(network, reference.theta[: len(network)], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    "optimizer", [OptimizerSpec("sgd", 0.003), OptimizerSpec("adam", 0.003)], ids=lambda o: o.name
)
@pytest.mark.parametrize("task", ["regression", "binary", "multiclass"])
@pytest.mark.parametrize("activation", get_args(Activation))
def test_two_hidden_layers_learn_from_numbers_as_numpy_does(activation, task, optimizer):
    assert_agrees(network_spec(task, (64, 32), activation, optimizer=optimizer))


@pytest.mark.parametrize("update", UPDATES, ids=lambda update: update.name)
@pytest.mark.parametrize(
    "optimizer", [OptimizerSpec("sgd", 0.05), OptimizerSpec("adam", 0.01)], ids=lambda o: o.name
)
@pytest.mark.parametrize("task", ["regression", "binary", "multiclass"])
def test_embeddings_are_learned_with_the_layers(task, optimizer, update):
    assert_agrees(network_spec(task, (9, 7, 4), "gelu", 3, BITS, optimizer=optimizer, update=update))


@pytest.mark.parametrize("optimizer", ALL_OPTIMIZERS, ids=lambda o: f"{o.name}-{o.schedule.name}-{o.l1}")
def test_every_optimizer_steps_on_layers_and_embeddings(optimizer):
    assert_agrees(network_spec("binary", (6, 4), "tanh", 2, BITS, optimizer=optimizer), 200)


def test_embeddings_alone_are_inputs_enough():
    assert_agrees(network_spec("multiclass", (8,), "relu", 0, BITS, optimizer=OptimizerSpec("adagrad", 0.1)))


@pytest.mark.parametrize("activation", get_args(Activation))
def test_it_learns_a_product_that_a_linear_model_cannot(activation):
    spec = network_spec(
        "regression", (32, 16), activation, 2, loss=LossSpec("huber"),
        optimizer=OptimizerSpec("adam", 0.01), update=UpdateSpec("batch", batch_size=8),
    )  # fmt: skip
    rows = make_rows(spec, 12_000, unlabelled=0.0, missing=0.0, weighted=False)
    rows.numeric[:] = np.random.default_rng(3).normal(size=(12_000, 2))
    rows.labels[:] = rows.numeric.prod(axis=1)
    served = learn_all(Model(spec), rows)[:, 0]
    assert np.mean((served[8_000:] - rows.labels[8_000:]) ** 2) < 0.1
