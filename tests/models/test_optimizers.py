"""Each optimizer is optax's, or its paper's, after every one of 1,000 steps, to 1e-9.

optax computes in float64 in a process of its own (optax_program); numpy by formula (reference_optimizers)
covers all, FTRL-proximal among them, which optax has not. test_parity_river has River's.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import get_args

import msgspec
import numpy as np
import pytest

from models.model import Model
from models.spec import OptimizerName, OptimizerSpec, ScheduleName, ScheduleSpec
from tests.models.dense_samples import COLUMNS, RATE, N, dense_samples
from tests.models.reference_optimizers import Optimizer, clipped, rate_at
from tests.models.samples import model_spec, plain_rows, weights_of

ROOT = Path(__file__).parents[2]

OPTIMIZERS = {
    "sgd": OptimizerSpec("sgd", RATE),
    "momentum": OptimizerSpec("momentum", RATE, momentum=0.8),
    "nesterov": OptimizerSpec("nesterov", RATE, momentum=0.8),
    "adagrad": OptimizerSpec("adagrad", RATE),
    "rmsprop": OptimizerSpec("rmsprop", RATE, rho=0.95, epsilon=1e-6),
    "adam": OptimizerSpec("adam", RATE, beta1=0.8, beta2=0.99, epsilon=1e-6),
    "adamw": OptimizerSpec("adamw", RATE, beta1=0.8, beta2=0.99, epsilon=1e-6, weight_decay=0.2),
}
FTRL = {
    "ftrl-proximal": OptimizerSpec("ftrl-proximal", RATE, beta=0.5),
    "ftrl-proximal, l1 and l2": OptimizerSpec("ftrl-proximal", RATE, beta=0.5, l1=0.3, l2=0.2),
    "ftrl-proximal, clip_value": OptimizerSpec("ftrl-proximal", RATE, clip_value=0.7),
    "ftrl-proximal, clip_norm": OptimizerSpec("ftrl-proximal", RATE, clip_norm=1.1),
}
SCHEDULES = {
    "inverse-scaling": ScheduleSpec("inverse-scaling", power=0.4),
    "exponential": ScheduleSpec("exponential", factor=0.3, every=250),
    "step": ScheduleSpec("step", factor=0.3, every=250),
    "cosine": ScheduleSpec("cosine", horizon=700, floor=0.1, warmup=50),
}


def cases():
    """Those of optax_program, by the same names."""
    changed = msgspec.structs.replace
    result = dict(OPTIMIZERS)
    for name, optimizer in OPTIMIZERS.items():
        result |= {f"{name}, {key}": changed(optimizer, schedule=s) for key, s in SCHEDULES.items()}
        result[f"{name}, clip_value"] = changed(optimizer, clip_value=0.7)
        result[f"{name}, clip_norm"] = changed(optimizer, clip_norm=1.1)
    return result


CASES = cases()


def spec_of(optimizer):
    return model_spec("regression", COLUMNS, scaling="none", optimizer=optimizer)


def ours(optimizer):
    """(N, C) weights after each sample, intercept last."""
    x, labels = dense_samples()
    model, weights = Model(spec_of(optimizer)), []
    for i in range(N):
        learned = model.predict_and_learn(plain_rows(x[i : i + 1], labels[i : i + 1]))
        model.forget(learned.undo)
        weights.append(weights_of(model)[:, 0])
    assert model.refused == 0
    return np.array(weights)


def by_formula(spec):
    """The same in numpy."""
    x, labels = dense_samples()
    theta, free = np.zeros(COLUMNS + 1), np.arange(COLUMNS + 1) == COLUMNS
    optimizer, weights = Optimizer(spec, theta.shape, free), []
    for t in range(N):
        features = np.append(x[t], 1.0)
        g = clipped(spec, (features @ theta - labels[t]) * features)
        theta = optimizer.step(theta, g, rate_at(spec, t))
        weights.append(theta)
    return np.array(weights)


@pytest.fixture(scope="module")
def optax(tmp_path_factory):
    """Case → (N, C) weights of optax."""
    file = tmp_path_factory.mktemp("optax") / "weights.npz"
    command = [sys.executable, "-m", "tests.models.optax_program", str(file)]
    subprocess.run(command, cwd=ROOT, env={**os.environ, "JAX_PLATFORMS": "cpu"}, check=True)
    with np.load(file) as weights:
        return {name: weights[name] for name in weights.files}


def test_all_optimizers_and_schedules_are_covered(optax):
    assert set(OPTIMIZERS) | {"ftrl-proximal", "normalized-adaptive"} == set(get_args(OptimizerName))
    assert set(SCHEDULES) | {"constant"} == set(get_args(ScheduleName))
    assert set(optax) == set(CASES)
    assert all(
        weights.dtype == np.float64 and weights.shape == (N, COLUMNS + 1) for weights in optax.values()
    )


@pytest.mark.parametrize("case", CASES)
def test_the_weights_are_those_of_optax_after_every_step(case, optax):
    weights = ours(CASES[case])
    assert np.abs(weights[-1]).max() > 0.05
    np.testing.assert_allclose(weights, optax[case], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("spec", [*CASES.values(), *FTRL.values()], ids=[*CASES, *FTRL])
def test_the_weights_are_those_of_the_formula_after_every_step(spec):
    np.testing.assert_allclose(ours(spec), by_formula(spec), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", get_args(OptimizerName))
def test_no_penalty_reaches_the_intercept(name):
    plain, penalised = OptimizerSpec(name, 0.1), OptimizerSpec(name, 0.1, l1=0.05, l2=0.3)
    plain = msgspec.structs.replace(plain, weight_decay=0.0)
    labels = np.random.default_rng(2).normal(3.0, 1.0, 300)
    models = [Model(spec_of(optimizer)) for optimizer in (plain, penalised)]
    for model in models:
        model.predict_and_learn(plain_rows(np.zeros((300, COLUMNS)), labels))
        assert weights_of(model)[-1, 0] > 0.5
    assert weights_of(models[0]).tobytes() == weights_of(models[1]).tobytes()


PENALTIES = [(name, penalty) for name in get_args(OptimizerName) for penalty in ({"l2": 0.5}, {"l1": 0.05})]


@pytest.mark.parametrize(("name", "penalty"), [*PENALTIES, ("adamw", {"weight_decay": 0.5})], ids=str)
def test_a_penalty_makes_weights_smaller(name, penalty):
    if (
        name == "ftrl-proximal"
    ):  # there a penalty stands against the whole stream, elsewhere against each step
        penalty = {key: 100 * strength for key, strength in penalty.items()}
    x, labels = dense_samples()
    sizes = []
    for given in ({"weight_decay": 0.0}, {"weight_decay": 0.0, **penalty}):
        model = Model(spec_of(OptimizerSpec(name, RATE, **given)))
        model.predict_and_learn(plain_rows(x, labels))
        sizes.append(np.abs(weights_of(model)[:-1]).sum())
    assert sizes[1] < 0.95 * sizes[0]
