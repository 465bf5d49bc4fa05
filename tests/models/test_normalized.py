"""Normalized adaptive steps: the papers' formulas, Vowpal Wabbit's numbers, and data that nobody prepared."""

from __future__ import annotations

from typing import get_args, get_type_hints

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.model import Model
from models.spec import LOSSES_OF, LossSpec, OptimizerSpec, ScheduleSpec, UpdateSpec
from tests.models.reference_normalized import NormalizedReference
from tests.models.samples import (
    UPDATES,
    learn_all,
    make_rows,
    model_spec,
    plain_rows,
    weights_of,
    without_repeats,
)

RMS, MAX = (OptimizerSpec("normalized-adaptive", 0.5, norm=norm) for norm in ("rms", "max"))
UNTUNED = {
    "binary": OptimizerSpec("normalized-adaptive", 1.5),
    "regression": OptimizerSpec("normalized-adaptive", 3.0),
}
"""As tests/infra/test_settings.py has it."""
BITS = 6
TASKS_AND_LOSSES = [(task, loss) for task, losses in LOSSES_OF.items() for loss in losses]
OPTIMIZERS = {
    f"{norm}{name}": OptimizerSpec("normalized-adaptive", **given, norm=norm)
    for norm in get_args(get_type_hints(OptimizerSpec)["norm"])
    for name, given in {
        "": {"learning_rate": 0.5},
        "-penalties": {"learning_rate": 0.5, "l1": 0.001, "l2": 0.01},
        "-schedule": {"learning_rate": 1.0, "schedule": ScheduleSpec("inverse-scaling", 0.3, warmup=20)},
    }.items()
}


def assert_agrees(spec, rows):
    model, reference = Model(spec), NormalizedReference(spec)
    rows = without_repeats(rows, spec.features.hash_bits or 1)
    learned = model.predict_and_learn(rows)
    assert learned.refused == []
    np.testing.assert_allclose(learned.served, reference.predict_and_learn(rows), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(weights_of(model), reference.theta, rtol=1e-9, atol=1e-9)
    rms = spec.optimizer.norm == "rms"
    sizes = np.sqrt(model.layout.view(model.S, "s2")) if rms else model.layout.view(model.S, "s")
    np.testing.assert_allclose(sizes, np.repeat(reference.s[:, None], spec.outputs, axis=1), rtol=1e-12)
    np.testing.assert_allclose(model.layout.view(model.S, "G"), reference.G, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(model.layout.view(model.S, "clock")[2:], [reference.N, reference.t], rtol=1e-9)


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize("update", UPDATES[:2], ids=lambda update: update.name)
@pytest.mark.parametrize(("task", "loss"), TASKS_AND_LOSSES, ids=[loss for _, loss in TASKS_AND_LOSSES])
def test_every_loss_is_learned_as_the_papers_say(task, loss, update, optimizer):
    spec = model_spec(
        task, bits=BITS, scaling="none", loss=LossSpec(loss, 0.7, 0.3), optimizer=optimizer, update=update
    )
    assert_agrees(spec, make_rows(spec, 300, seed=1))


@settings(max_examples=100, deadline=None)
@given(
    task_and_loss=st.sampled_from(TASKS_AND_LOSSES),
    columns=st.integers(1, 4),
    bits=st.sampled_from([None, 4, 8]),
    optimizer=st.sampled_from(list(OPTIMIZERS.values())),
    update=st.sampled_from([UpdateSpec("sample"), UpdateSpec("batch", batch_size=5)]),
    n=st.integers(0, 80),
    seed=st.integers(0, 10_000),
)
def test_any_model_agrees_with_the_reference(task_and_loss, columns, bits, optimizer, update, n, seed):
    task, loss = task_and_loss
    # No means: one that is 0 but for a rounding is a feature here and none there.
    spec = model_spec(task, columns, bits, "none", loss=LossSpec(loss), optimizer=optimizer, update=update)
    assert_agrees(spec, make_rows(spec, n, seed, missing=0.0))


@pytest.mark.parametrize(("task", "loss"), TASKS_AND_LOSSES, ids=[loss for _, loss in TASKS_AND_LOSSES])
@pytest.mark.parametrize("scale", [2.0**-20, 2.0**30])
@pytest.mark.parametrize("optimizer", [RMS, MAX], ids=["rms", "max"])
def test_predictions_do_not_depend_on_the_scale_of_a_feature(task, loss, scale, optimizer):
    spec = model_spec(task, 3, scaling="none", loss=LossSpec(loss), optimizer=optimizer)
    rows, scaled = make_rows(spec, 300, missing=0.0), make_rows(spec, 300, missing=0.0)
    scaled.numeric[:, 1] *= scale
    np.testing.assert_allclose(learn_all(Model(spec), rows), learn_all(Model(spec), scaled), rtol=1e-9)


def hard_samples(task, n=4_000):
    """Scales from 1e-6 to 1e9 side by side, a constant column, and one that jumps by 1e6 in mid-stream."""
    rng = np.random.default_rng(8)
    x = rng.normal(size=(n, 6))
    signal = x @ [1.0, -1.0, 0.5, 0.5, 0.0, 1.0]
    x = x * [1e-6, 1e-2, 1.0, 1e9, 0.0, 1.0]
    x[:, 4] = 7.0
    x[n // 2 :, 5] += 1e6
    noisy = signal + 0.3 * rng.normal(size=n)
    return plain_rows(x, noisy if task == "regression" else np.array(noisy > 0.0, dtype=float))


def losses_of(task, served, labels):
    if task == "regression":
        return (served[:, 0] - labels) ** 2
    of_label = np.where(labels == 1.0, served[:, 0], 1.0 - served[:, 0])
    return -np.log(np.maximum(of_label, 1e-15))  # as the metrics do


@pytest.mark.parametrize("scaling", ["none", "standard"])
@pytest.mark.parametrize("task", ["regression", "binary"])
@pytest.mark.parametrize("norm", ["rms", "max"])
def test_the_untuned_default_survives_wild_scales_a_constant_and_a_jump(task, scaling, norm):
    spec = model_spec(task, 6, scaling=scaling, optimizer=UNTUNED[task] if norm == "rms" else MAX)
    model, rows = Model(spec), hard_samples(task)
    learned = model.predict_and_learn(rows)
    assert learned.refused == []
    losses = losses_of(task, learned.served, rows.labels)
    blind = losses_of(task, np.full((len(rows), 1), rows.labels.mean()), rows.labels).mean()
    assert losses[1_500:2_000].mean() < 0.45 * blind
    # What the jumped column tells is lost below its new scale; the others go on as before.
    assert losses[3_000:].mean() < 0.85 * blind
    assert losses[2_000:].max() < 1_000 * blind
    assert np.sort(losses[2_000:])[-5] < 100 * blind


@pytest.mark.parametrize("jump", [20.0, 50.0, 300.0, 1e6])
def test_the_default_recovers_from_a_jump_of_any_size(jump):
    spec = model_spec("regression", 6, scaling="none", optimizer=UNTUNED["regression"])
    rng = np.random.default_rng(8)
    x = rng.normal(size=(3_000, 6))
    rows = plain_rows(x, x @ [1.0, -1.0, 0.5, 0.5, 0.0, 1.0] + 0.3 * rng.normal(size=3_000))
    rows.numeric[1_500:, 5] *= jump
    losses = losses_of("regression", learn_all(Model(spec), rows), rows.labels)
    assert losses[2_000:].mean() < 1.1 * losses[500:1_500].mean()


@pytest.mark.parametrize("tail", [2.0, 3.0])
def test_the_default_is_at_home_with_heavy_tails(tail):
    spec = model_spec("regression", 3, scaling="none", optimizer=UNTUNED["regression"])
    rng = np.random.default_rng(8)
    x = rng.normal(size=(4_000, 3))
    labels = x @ [0.5, 1.0, -1.0] + 0.3 * rng.normal(size=4_000)
    x[:, 0] = np.exp(tail * x[:, 0])
    losses = losses_of("regression", learn_all(Model(spec), plain_rows(x, labels)), labels)
    assert losses[1_000:].mean() < 0.35 * labels.var()


# Vowpal Wabbit takes the largest values


def vw_run(loss, x, labels, weights, names):
    """Vowpal Wabbit's predictions of each sample before it learns from it, with all its defaults."""
    from vowpalwabbit import Workspace

    arguments = {
        "squared": "--loss_function squared",
        "log": "--loss_function logistic --link logistic",
        "hinge": "--loss_function hinge",
        "quantile": "--loss_function quantile --quantile_tau 0.3",
        "poisson": "--loss_function poisson --link poisson",
    }[loss]
    # Bounds far away: by default predictions are cut off at the labels seen so far.
    bounds = "--min_prediction -1000 --max_prediction 1000"
    served = []
    with Workspace(f"--quiet {arguments} {bounds}") as workspace:
        for row, label, weight in zip(x, labels, weights, strict=True):
            features = " ".join(f"{n}:{v!r}" for n, v in zip(names, row.tolist(), strict=True) if v != 0.0)
            served.append(workspace.predict(f"| {features}"))
            told = 2 * label - 1 if loss in ("log", "hinge") else label
            workspace.learn(f"{told} {weight} | {features}")
    return np.array(served)


def our_run(loss, x, labels, weights):
    task = "binary" if loss in LOSSES_OF["binary"] else "regression"
    given = {"loss": LossSpec(loss, quantile=0.3), "optimizer": MAX}
    spec = model_spec(task, x.shape[1], scaling="none", **given)
    return learn_all(Model(spec), plain_rows(x, labels, weights))[:, 0]


def vw_samples(loss, x, seed):
    rng = np.random.default_rng(seed)
    signal = x @ rng.normal(size=x.shape[1]) / np.sqrt((x**2).mean(axis=0).sum()) + 0.3 * rng.normal(
        size=len(x)
    )
    if loss in LOSSES_OF["binary"]:
        labels = np.array(signal > 0.0, dtype=float)
    elif loss == "poisson":
        labels = rng.poisson(np.exp(signal)).astype(float)
        labels[0] = 3.0  # a first gradient of exactly 0 would make one of its rates infinite
    else:
        labels = signal
    return labels.astype(np.float32).astype(float), rng.choice([0.5, 1.0, 2.0], len(x))


def assert_is_vowpal_wabbits(loss, x):
    labels, weights = vw_samples(loss, x, seed=2)
    theirs = vw_run(loss, x, labels, weights, [f"x{i}" for i in range(x.shape[1])])
    served = our_run(loss, x, labels, weights)
    if loss == "hinge":  # it prints raw scores
        served = np.log(served / (1.0 - served))
    np.testing.assert_allclose(served, theirs, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("loss", ["squared", "log", "hinge", "quantile", "poisson"])
def test_predictions_are_vowpal_wabbits_where_every_feature_is_plus_or_minus_one(loss):
    assert_is_vowpal_wabbits(loss, np.random.default_rng(1).choice([-1.0, 1.0], (1_000, 8)))


@pytest.mark.parametrize("loss", ["squared", "log", "quantile", "poisson"])
@pytest.mark.parametrize("scales", [np.ones(8), 10.0 ** np.arange(-3, 5)], ids=["one scale", "1e-3 to 1e4"])
def test_predictions_are_vowpal_wabbits_on_numbers_once_their_scales_are_known(loss, scales):
    # The first sample has each feature's largest value: it predicts before it rescales, we after. (With hinge
    # loss it takes a sample of no loss into no scale at all, the paper and we take every one.)
    rng = np.random.default_rng(1)
    x = np.clip(rng.normal(size=(1_000, 8)), -3.0, 3.0)
    x[rng.random(x.shape) < 0.3] = 0.0
    x[0] = np.abs(x).max(axis=0)
    assert_is_vowpal_wabbits(loss, (x * scales).astype(np.float32).astype(float))


@pytest.mark.parametrize("loss", ["squared", "log", "quantile"])
def test_predictions_come_near_vowpal_wabbits_on_numbers_whose_scales_grow(loss):
    x = np.random.default_rng(1).normal(size=(2_000, 8)).astype(np.float32).astype(float)
    labels, weights = vw_samples(loss, x, seed=2)
    theirs = vw_run(loss, x, labels, weights, [f"x{i}" for i in range(8)])
    difference = np.abs(our_run(loss, x, labels, weights) - theirs)
    assert np.median(difference[-500:]) < 2e-3
    assert np.median(difference[:100]) > 1e-3  # so that this test is about something
