"""Pending batches are undone last first and forgotten first first, to the byte."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.kernels.prequential import SCALE_MAX
from models.layout import HIST_SCALE
from models.model import Model
from models.spec import OptimizerSpec, UpdateSpec
from tests.models.interleaving import check_interleaving
from tests.models.samples import OPTIMIZERS, learn_all, make_rows, model_spec, state_bytes

SPECS = [
    model_spec("binary"),
    model_spec("regression", bits=13, optimizer=OPTIMIZERS[5]),
    model_spec("multiclass", bits=11, products=True, optimizer=OPTIMIZERS[3]),
    model_spec("binary", bits=13, optimizer=OPTIMIZERS[1], update=UpdateSpec("batch", batch_size=5)),
    model_spec("binary", optimizer=OPTIMIZERS[3], update=UpdateSpec("batch", batch_size=40)),
    model_spec("binary", bits=13, update=UpdateSpec("window", window_size=30, stride=4, steps=2)),
    model_spec("multiclass", update=UpdateSpec("window", window_size=9, stride=20, steps=2)),
    model_spec("regression", columns=2000, optimizer=OptimizerSpec("sgd", 1e-4)),
]
NAMES = [
    "small-dense", "hashed-ftrl", "hashed-classes", "hashed-batch", "dense-batch", "hashed-window",
    "dense-window", "large-scaler",
]  # fmt: skip


def joined(folded):
    blocks = [folded.blocks[b].tobytes() for b in sorted(folded.blocks)]
    return b"".join(blocks + [folded.rows[name].tobytes() for name in sorted(folded.rows)])


@pytest.mark.parametrize("spec", SPECS, ids=NAMES)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_interleaving_of_learn_undo_and_forget_is_exact(spec, data):
    check_interleaving(spec, make_rows, data)


@pytest.mark.parametrize("spec", SPECS, ids=NAMES)
def test_the_fold_is_read_while_batches_are_pending_without_disturbing_them(spec):
    model = Model(spec)
    learn_all(model, make_rows(spec, 50))
    fold, digest, metrics = joined(model.folded()), model.digest(), model.metrics()
    weights = model.weights({7: "seven"})
    undos = [model.predict_and_learn(make_rows(spec, 20, seed=s)).undo for s in (1, 2, 3)]
    view = state_bytes(model)
    assert joined(model.folded()) == fold
    assert model.digest() == digest
    assert model.metrics() == metrics
    assert model.metrics(()) != metrics
    assert model.weights({7: "seven"}) == weights
    assert model.weights({7: "seven"}, undos=()) != weights
    assert state_bytes(model) == view
    for undo in reversed(undos):
        model.undo(undo)
    assert joined(model.folded()) == fold


def test_some_blocks_of_the_fold_are_those_of_the_whole():
    spec = SPECS[1]
    model = Model(spec)
    learn_all(model, make_rows(spec, 50))
    for seed in (1, 2):
        model.predict_and_learn(make_rows(spec, 20, seed=seed))
    whole = model.folded().blocks
    some = model.folded(blocks=[2, 0]).blocks
    assert sorted(some) == [0, 2]
    assert all(some[b].tobytes() == whole[b].tobytes() for b in some)


def test_a_batch_larger_than_the_journal_at_hand_is_undone_as_well():
    spec = model_spec("multiclass", bits=14, optimizer=OPTIMIZERS[3])
    model = Model(spec)
    before = state_bytes(model)
    undo = model.predict_and_learn(make_rows(spec, 3_000, entries=20)).undo
    assert undo.length > 100_000
    model.undo(undo)
    assert state_bytes(model) == before


def test_scaling_the_recent_histograms_down_is_undone_and_changes_no_metric():
    spec = model_spec("binary")
    rows, after = make_rows(spec, 2_000), make_rows(spec, 20, seed=1)
    plain, near = Model(spec), Model(spec)
    for model in (plain, near):
        learn_all(model, rows)
    factor = 2.0**255.99 / near.S[HIST_SCALE]
    near.layout.view(near.S, "recent_histograms")[...] *= factor
    near.S[HIST_SCALE] *= factor
    near.S[HIST_SCALE] = np.nextafter(SCALE_MAX, 0)
    before = state_bytes(near)
    undo = near.predict_and_learn(after).undo
    assert near.S[HIST_SCALE] < 2
    recent = near.metrics(())["recent"]["roc_auc"]
    learn_all(plain, after)
    assert recent == pytest.approx(plain.metrics()["recent"]["roc_auc"], abs=1e-3)
    near.undo(undo)
    assert state_bytes(near) == before


def test_the_order_of_a_stack_and_of_a_queue_is_insisted_on():
    spec = SPECS[0]
    model, rows = Model(spec), make_rows(spec, 3)
    first, second = (model.predict_and_learn(rows).undo for _ in range(2))
    with pytest.raises(ValueError, match="not the newest pending batch"):
        model.undo(first)
    with pytest.raises(ValueError, match="not the oldest pending batch"):
        model.forget(second)
    with pytest.raises(ValueError, match="2 batches are pending"):
        model.learn(rows, model.predict(rows), keep_undo=False)
    model.undo(second)
    model.forget(first)
    with pytest.raises(ValueError, match="not the newest pending batch"):
        model.undo(first)
    assert model.pending == ()
