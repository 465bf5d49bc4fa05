"""After `halt_after` refused updates in a row a model only predicts, until it is resumed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from models.layout import RUN, SKIPPED
from models.model import Model
from models.rows import Rows
from models.spec import ModelSpec, OptimizerSpec, UpdateSpec
from tests.models.samples import UPDATES, chunks, learn_all, make_rows, model_spec, plain_rows, state_bytes

TOO_LARGE = 1e200
"""A label that every update refuses."""


def halting(halt_after: int = 3, **given: Any) -> ModelSpec:
    return model_spec("regression", 2, halt_after=halt_after, **given)


def samples(labels: list[float], seed: int = 0) -> Rows:
    return plain_rows(np.random.default_rng(seed).normal(size=(len(labels), 2)), labels)


def bad(n: int) -> list[float]:
    return [TOO_LARGE] * n


def params(model: Model) -> dict[str, bytes]:
    """All that learning changes: not the counts and metrics, which go on."""
    return {name: array.tobytes() for name, array in model.tensors(()).items() if name != "scalars"}


def mixed(n: int = 400) -> tuple[ModelSpec, Rows]:
    """A stream in which the model learns, halts in the middle, and sees what it would learn from after."""
    spec = model_spec("binary", 3, bits=6, halt_after=4)
    rows = make_rows(spec, n)
    labelled = np.flatnonzero(~np.isnan(rows.labels))
    rows.labels[labelled[60:62]] = TOO_LARGE
    rows.labels[labelled[150:154]] = TOO_LARGE
    return spec, rows


@pytest.mark.parametrize("update", UPDATES, ids=lambda u: u.name)
def test_a_model_halts_after_so_many_refusals_in_a_row_and_goes_on_predicting(update: UpdateSpec) -> None:
    model = Model(halting(update=update))
    learn_all(model, samples([1.0, 2.0, 0.5] * 20))
    learn_all(model, samples(bad(2)))
    assert not model.halted()
    learn_all(model, samples(bad(1)))
    assert model.halted()
    before, metrics, learned = params(model), model.metrics(), model.samples_learned
    rows = samples([1.0] * 30, seed=5)
    served = learn_all(model, rows)
    assert params(model) == before
    assert model.samples_learned == learned
    assert int(model.S[SKIPPED]) == 30
    assert model.refused == 3
    assert np.isfinite(served).all()
    assert len(set(served.ravel())) == 30, "predictions follow the features"
    assert model.metrics() != metrics, "the metrics tell how the halted model does"


def test_a_learned_sample_in_between_begins_the_count_anew() -> None:
    model = Model(halting())
    for _ in range(10):
        learn_all(model, samples([*bad(2), 1.0]))
    assert model.refused == 20
    assert model.samples_learned == 10
    assert not model.halted()


def test_samples_without_a_label_neither_count_nor_begin_the_count_anew() -> None:
    model = Model(halting())
    learn_all(model, samples([TOO_LARGE, np.nan, TOO_LARGE, np.nan]))
    assert not model.halted()
    learn_all(model, samples(bad(1)))
    learn_all(model, samples([np.nan] * 5))
    assert model.halted()
    assert int(model.S[SKIPPED]) == 0


@pytest.mark.parametrize(
    "update", [UpdateSpec("batch", batch_size=4), UpdateSpec("window", window_size=8, stride=4)],
    ids=lambda u: u.name,
)  # fmt: skip
def test_refused_steps_halt_although_their_rows_arrived_well(update: UpdateSpec) -> None:
    """Finite rows wait for a step that explodes: it is the updates that are refused, one after the other."""
    model = Model(halting(optimizer=OptimizerSpec("adagrad", 0.1), update=update))
    learn_all(model, samples([1e100] * 40))
    assert model.halted()
    assert model.refused == 3


def test_a_diverging_model_halts_where_it_would_refuse_for_ever() -> None:
    spec = halting(100, scaling="none", optimizer=OptimizerSpec("sgd", 10.0))
    model = Model(spec)
    learn_all(model, make_rows(spec, 5_000, missing=0.0, unlabelled=0.0, weighted=False))
    assert model.halted()
    assert np.isfinite(model.S).all()
    assert model.samples_learned + model.refused + int(model.S[SKIPPED]) == 5_000


@pytest.mark.parametrize("update", UPDATES, ids=lambda u: u.name)
@pytest.mark.parametrize("size", [1, 3, 7, 64])
def test_where_batches_are_cut_does_not_matter(size: int, update: UpdateSpec) -> None:
    _, rows = mixed()
    spec = model_spec("binary", 3, bits=6, halt_after=4, update=update)
    whole, cut = Model(spec), Model(spec)
    served = learn_all(whole, rows)
    assert whole.halted()
    assert learn_all(cut, rows, size).tobytes() == served.tobytes()
    assert state_bytes(cut) == state_bytes(whole)


@pytest.mark.parametrize("size", [1, 50, 400])
def test_undoing_across_the_halt_restores_every_byte_and_redoing_it_is_the_same(size: int) -> None:
    spec, rows = mixed()
    model = Model(spec)
    states, undos, parts = [state_bytes(model)], [], chunks(rows, size)
    for part in parts:
        undos.append(model.predict_and_learn(part).undo)
        states.append(state_bytes(model))
    assert model.halted(undos=())
    assert not model.halted(), "the fold, without what is pending, has not halted"
    for state, undo in zip(states[-2::-1], undos[::-1], strict=True):
        assert undo is not None
        model.undo(undo)
        assert state_bytes(model) == state
    skipped = sum(model.predict_and_learn(part).skipped for part in parts)
    assert state_bytes(model) == states[-1]
    assert skipped == int(model.S[SKIPPED]) > 0


def test_resumed_it_learns_as_one_that_never_saw_what_was_refused_and_skipped() -> None:
    model, clean = Model(halting()), Model(halting())
    good, more = samples([1.0, 2.0] * 30), samples([3.0, 1.0] * 30, seed=3)
    learn_all(model, good)
    learn_all(model, samples(bad(3)))
    learn_all(model, samples([1.0] * 20, seed=2))
    model.resume()
    assert not model.halted()
    learn_all(model, more)
    learn_all(clean, good)
    learn_all(clean, more)
    assert params(model) == params(clean)
    assert int(model.S[SKIPPED]) == 20


def test_resuming_marks_the_state_as_changed_so_that_it_is_saved() -> None:
    model = Model(halting())
    learn_all(model, samples(bad(3)))
    model.take_dirty()
    before = model.digest()
    model.resume()
    assert list(model.take_dirty()) == [0]
    assert model.digest() != before


def test_a_model_with_pending_batches_is_not_resumed() -> None:
    model = Model(halting())
    model.predict_and_learn(samples(bad(3)))
    with pytest.raises(ValueError, match="undo them first"):
        model.resume()


def test_zero_means_never() -> None:
    model = Model(halting(0))
    learn_all(model, samples(bad(1_000)))
    assert model.refused == 1_000
    assert not model.halted()
    learn_all(model, samples([1.0]))
    assert model.samples_learned == 1


def test_a_halted_model_is_saved_and_loaded_as_one() -> None:
    spec, rows = mixed()
    model, other = Model(spec), Model(spec)
    learn_all(model, rows)
    other.load(model.tensors())
    assert other.halted()
    assert other.S[RUN] == 4
    again = make_rows(spec, 20, seed=8)
    learn_all(model, again)
    learn_all(other, again)
    assert state_bytes(other) == state_bytes(model)
