"""Plain models learn in a place of their own, and the bits are those of the general way, that of `join`."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.kernels.fold import GIVEN, SERVE
from models.kernels.plain import is_plain
from models.losses import LOSSES
from models.model import Model
from models.spec import LossSpec, OptimizerSpec, ScheduleSpec, UpdateSpec
from tests.models.samples import chunks, model_spec, plain_rows, state_bytes

BINARY = ("log", "hinge", "squared-hinge")
OPTIMIZERS = [
    OptimizerSpec("adagrad", 0.1),
    OptimizerSpec("sgd", 0.05),
    OptimizerSpec("sgd", 0.05, ScheduleSpec("inverse-scaling", power=0.3)),
    OptimizerSpec("adagrad", 1e6),
]
VALUES = st.one_of(
    st.integers(-40, 40).map(lambda x: x / 8),
    st.floats(-1e3, 1e3),
    st.sampled_from([np.nan, 0.0, -0.0, 1e-300, 1e80, 1e151, -1e160, np.inf]),
)
LABELS = st.sampled_from([0.0, 1.0, 1.0, 0.0, np.nan, 0.5, -3.25, 1e200, np.inf])
WEIGHTS = st.sampled_from([1.0, 1.0, 0.5, 2.0, 0.0, -1.0, 1e150, 1e151, np.nan])


@st.composite
def models_and_rows(draw):
    columns, n = draw(st.integers(1, 19)), draw(st.integers(1, 30))
    task = draw(st.sampled_from(["binary", "regression"]))
    losses = [name for name in LOSSES if (name in BINARY) == (task == "binary")]
    losses.remove("cross-entropy") if task == "regression" else None
    losses = [name for name in losses if name != "counting"]
    spec = model_spec(
        task,
        columns,
        optimizer=draw(st.sampled_from(OPTIMIZERS)),
        loss=LossSpec(draw(st.sampled_from(losses))),
        halt_after=draw(st.sampled_from([0, 3])),
    )
    usual = draw(st.booleans())
    values = st.floats(-4, 4) if usual else VALUES
    numeric = [draw(st.lists(values, min_size=columns, max_size=columns)) for _ in range(n)]
    labels = draw(st.lists(st.sampled_from([0.0, 1.0]) if usual else LABELS, min_size=n, max_size=n))
    weights = draw(st.lists(st.just(1.0) if usual else WEIGHTS, min_size=n, max_size=n))
    return spec, plain_rows(numeric, labels, weights)


def same(one, other):
    assert one.served.tobytes() == other.served.tobytes()
    assert one.learned_before.tolist() == other.learned_before.tolist()
    assert (one.refused, one.skipped) == (other.refused, other.skipped)


@settings(max_examples=400, deadline=None)
@given(models_and_rows(), st.integers(1, 30), st.booleans())
def test_samples_are_predicted_and_learned_as_on_the_general_way(model_and_rows, size, forget):
    spec, rows = model_and_rows
    plain, general = Model(spec), Model(spec)
    begun = state_bytes(plain)
    for part in chunks(rows, size):
        n = len(part)
        learned = plain.predict_and_learn(part)
        expected = general.join(part, np.zeros((n, 1)), np.full(n, SERVE, dtype=np.int64))
        same(learned, expected)
        assert state_bytes(plain) == state_bytes(general)
        if forget:
            plain.forget(learned.undo)
            general.forget(expected.undo)
    assert plain.digest() == general.digest()
    for undo in reversed(plain.pending):
        plain.undo(undo)
    assert forget or state_bytes(plain) == begun


@settings(max_examples=200, deadline=None)
@given(models_and_rows(), st.integers(0, 2**32 - 1), st.booleans())
def test_samples_predicted_before_are_learned_as_on_the_general_way(model_and_rows, seed, keep_undo):
    spec, rows = model_and_rows
    n = len(rows)
    served = np.random.default_rng(seed).random((n, 1))
    plain, general = Model(spec), Model(spec)
    same(
        plain.learn(rows, served.copy(), keep_undo),
        general.join(rows, served.copy(), np.full(n, GIVEN, dtype=np.int64)),
    )
    assert state_bytes(plain) == state_bytes(general)


@pytest.mark.parametrize(
    ("plain", "spec"),
    [
        (True, model_spec()),
        (True, model_spec("regression", 150, optimizer=OptimizerSpec("sgd"))),
        (False, model_spec("multiclass")),
        (False, model_spec(bits=8)),
        (False, model_spec(products=True)),
        (False, model_spec(scaling="min-max")),
        (False, model_spec(columns=2_000)),
        (False, model_spec(optimizer=OptimizerSpec("sgd", l2=0.1))),
        (False, model_spec(optimizer=OptimizerSpec("adagrad", l1=0.1))),
        (False, model_spec(optimizer=OptimizerSpec("adagrad", clip_norm=1.0))),
        (False, model_spec(optimizer=OptimizerSpec("adam"))),
        (False, model_spec(optimizer=OptimizerSpec("ftrl-proximal"))),
        (False, model_spec(optimizer=OptimizerSpec("normalized-adaptive"))),
        (False, model_spec(update=UpdateSpec("batch", batch_size=4))),
    ],
    ids=lambda value: "" if not isinstance(value, bool) else "plain" if value else "not",
)
def test_a_model_is_plain_if_nothing_but_standardised_numbers_is_in_it(plain, spec):
    plan = Model(spec)._plan
    marks = (plan.fm, plan.net, plan.lazy, plan.nag, plan.coded, plan.known)
    assert is_plain.py_func(*marks, plan) is plain
