"""Every learner, loss, optimizer and update keeps every promise of promises.py; a broken one is found out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from models.layout import Layout
from models.self_test import self_test_digest
from models.spec import Activation, LearnerName, LossName, OptimizerName, UpdateSpec
from tests.models.exactness_program import KINDS
from tests.models.promises import (
    CASES,
    LARGE,
    PROMISES,
    PROMISES_OF_MANY_BLOCKS,
    gradient_equals_finite_differences,
)

ROOT = Path(__file__).parents[2]

ACTIVATIONS = get_args(Activation)
LONG = bool(os.environ.get("GRADSTREAM_LONG"))
SHARE = 1 if LONG else 7
"""Each promise is tried on every SHARE-th case, another one for each promise; with GRADSTREAM_LONG on all."""


def held_to(promise):
    """The cases that a promise is tried on.

    The gradient is the same with all optimizers, and tried on one; all else on one activation in turn.
    """
    first = list(PROMISES.values()).index(promise) % SHARE
    for number, (name, spec) in enumerate(CASES.items()):
        if number % SHARE != first and promise is not gradient_equals_finite_differences:
            continue
        in_turn = spec.learner.activation == ACTIVATIONS[number // 3 % len(ACTIVATIONS)]
        if promise is gradient_equals_finite_differences:
            if spec.optimizer.name == "sgd":
                yield name
        elif spec.learner.name != "mlp" or in_turn:
            yield name


def test_there_are_cases_of_every_name():
    specs = list(CASES.values())
    assert {spec.learner.name for spec in specs} == set(get_args(LearnerName))
    assert {spec.learner.activation for spec in specs} == set(ACTIVATIONS)
    assert {spec.loss.name for spec in specs} == set(get_args(LossName))
    assert {spec.optimizer.name for spec in specs} == set(get_args(OptimizerName))
    assert {spec.update.name for spec in specs} == set(get_args(get_type_hints(UpdateSpec)["name"]))
    for learner in ("linear", "factorization-machine", "mlp"):
        of_it = {spec.optimizer.name for spec in specs if spec.learner.name == learner}
        assert len(of_it) >= len(get_args(OptimizerName)) - 1


@pytest.mark.parametrize(
    ("promise", "case"),
    [pytest.param(name, case, id=f"{name}-{case}") for name in PROMISES for case in held_to(PROMISES[name])],
)
def test_a_model_keeps_its_promise(promise, case):
    PROMISES[promise](CASES[case])


@pytest.mark.parametrize("case", LARGE)
@pytest.mark.parametrize("promise", PROMISES_OF_MANY_BLOCKS)
def test_a_model_of_many_blocks_keeps_its_promise(promise, case):
    assert Layout(LARGE[case]).blocks > 4
    PROMISES_OF_MANY_BLOCKS[promise](LARGE[case])


# A broken model

BREAKS = {
    "linear gradient without the feature": "gradient_equals_finite_differences",
    "factors that meet themselves": "gradient_equals_finite_differences",
    "back-propagation without the slope": "gradient_equals_finite_differences",
    "embeddings without the value": "gradient_equals_finite_differences",
    "half a derivative": "gradient_equals_finite_differences",
    "uphill": "a_small_step_descends",
    "a look at the label": "predicts_before_it_learns",
    "a trace of a prediction": "unlabelled_samples_change_nothing",
    "a memory outside of the state": "serialises_exactly",
    "an eye on the cut": "is_deterministic",
    "nothing to undo by": "learns_the_same_after_undo_and_redo",
    "anything goes": "refuses_what_is_not_finite",
    "missed steps": "dense_equals_sparse",
    "batches that start late": "a_batch_of_one_is_a_sample",
}
"""What is wrong (broken_program) → the promise that must not hold then."""


@pytest.fixture(scope="module")
def interpreted():
    """What broken_program prints."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.models.broken_program"]
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return json.loads(run.stdout)


@pytest.mark.parametrize("wrong", BREAKS)
def test_a_broken_model_breaks_its_promise(wrong, interpreted):
    assert BREAKS[wrong] in interpreted[wrong]


def test_every_promise_can_be_broken_and_is_kept_by_the_same_models_unbroken(interpreted):
    assert set(BREAKS.values()) == set(PROMISES)
    assert interpreted["nothing"] == []


def test_compiled_and_interpreted_kernels_give_the_same_bytes(interpreted):
    assert interpreted["digests"] == [self_test_digest(specs[0]) for specs in KINDS.values()]
