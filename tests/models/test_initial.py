"""What a model begins with is small, spread as it should be, and the same on every machine."""

from __future__ import annotations

import hashlib
from typing import get_args

import numpy as np
import pytest

from models.layout import Layout
from models.learners.initial import uniform
from models.model import Model
from models.spec import Activation, LearnerSpec, OptimizerSpec
from tests.models.samples import make_rows, model_spec


def test_the_uniform_numbers_are_fixed_for_ever():
    assert hashlib.sha256(uniform(7, 1, 1_000).astype("<f8").tobytes()).hexdigest()[:16] == "f758d6c8b12020cc"


def test_they_are_uniform_and_those_of_other_seeds_and_streams_are_others():
    numbers = np.stack([uniform(seed, stream, 20_000) for seed in range(4) for stream in range(2)])
    assert -1.0 <= numbers.min() < -0.999 < 0.999 < numbers.max() < 1.0
    assert np.abs(numbers.mean(axis=1)).max() < 0.02
    assert np.abs(numbers.std(axis=1) - 3**-0.5).max() < 0.01
    assert np.abs(np.corrcoef(numbers) - np.eye(8)).max() < 0.03
    assert np.abs([np.corrcoef(row[1:], row[:-1])[0, 1] for row in numbers]).max() < 0.03


@pytest.mark.parametrize("activation", get_args(Activation))
def test_layers_begin_within_the_bounds_of_he_or_glorot_and_biases_at_zero(activation):
    learner = LearnerSpec("mlp", hidden=(64, 32), activation=activation)
    layout = Layout(model_spec("multiclass", 20, learner=learner))
    network, at = layout.view(layout.zeros(), "network"), 0
    for layer, (inputs, outputs) in enumerate([(20, 64), (64, 32), (32, 3)]):
        weights, biases = np.split(network[at : at + (inputs + 1) * outputs], [inputs * outputs])
        he = activation == "relu" and layer < 2
        bound = np.sqrt(6 / (inputs if he else inputs + outputs))
        assert 0.97 * bound < np.abs(weights).max() <= bound
        assert abs(weights.mean()) < 4 * bound / np.sqrt(3 * weights.size)
        assert not biases.any()
        at += (inputs + 1) * outputs
    assert at == len(network)


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_factors_and_embeddings_have_the_deviation_asked_for_and_weights_begin_at_zero(task):
    given = {"deviation": 0.02, "factors": 4, "embedding": 8}
    layout = Layout(model_spec(task, 2, 12, learner=LearnerSpec("factorization-machine", **given)))
    table = layout.view(layout.zeros(), "weights")
    assert not table[:, : layout.outputs].any()
    assert table[:, layout.outputs :].std() == pytest.approx(0.02, rel=0.02)
    layout = Layout(model_spec(task, 2, 12, learner=LearnerSpec("mlp", **given)))
    assert layout.view(layout.zeros(), "embeddings").std() == pytest.approx(0.02, rel=0.02)


@pytest.mark.parametrize("name", ["factorization-machine", "mlp"])
def test_another_seed_is_another_beginning_and_the_same_seed_the_same(name):
    first, again, other = (
        Layout(model_spec(bits=6, learner=LearnerSpec(name, seed=seed))).zeros() for seed in (1, 1, 2)
    )
    assert first.tobytes() == again.tobytes() != other.tobytes()


@pytest.mark.parametrize("name", ["factorization-machine", "mlp"])
@pytest.mark.parametrize("l1", [0.0, 0.01])
def test_ftrl_proximal_begins_where_the_others_do_and_forgets_it_for_no_gradient(name, l1):
    learner = LearnerSpec(name, hidden=(4,))
    optimizer = OptimizerSpec("ftrl-proximal", 0.05, l1=l1, l2=l1)
    spec = model_spec("regression", 2, 5, "none", learner=learner, optimizer=optimizer)
    model, table = Model(spec), Layout(spec).table
    rows = make_rows(spec, 50, missing=0.0)
    rows.labels[:] = 0.0
    rows.numeric[:], rows.values[:] = 0.0, 0.0
    before = model.layout.view(model.S, table).copy()
    model.predict_and_learn(rows)
    np.testing.assert_allclose(model.layout.view(model.S, table), before, rtol=1e-12, atol=1e-15)
