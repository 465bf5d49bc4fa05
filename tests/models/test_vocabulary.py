"""A bounded vocabulary: rare features wait, those that stay away are forgotten, and all of it is state."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.checks import check_spec
from models.errors import SpecError
from models.model import Model
from models.rows import Rows
from models.self_test import self_test_digest
from models.spec import LearnerSpec, ModelSpec, OptimizerSpec, Task, UpdateSpec, VocabularySpec
from tests.models.interleaving import check_interleaving
from tests.models.samples import UPDATES, learn_all, make_rows, model_spec, state_bytes

LONG = bool(os.environ.get("GRADSTREAM_LONG"))
BITS = 6
DEFAULT = OptimizerSpec("normalized-adaptive")
KINDS = {
    "normalized": (LearnerSpec(), OptimizerSpec("normalized-adaptive")),
    "machine": (LearnerSpec("factorization-machine", factors=2), OptimizerSpec("adagrad")),
    "ftrl machine": (LearnerSpec("factorization-machine", factors=2), OptimizerSpec("ftrl-proximal")),
    "network": (LearnerSpec("mlp", hidden=(4,), embedding=3), OptimizerSpec("adagrad", 0.03)),
}
if LONG:  # each kind of kernels takes half a minute to compile
    KINDS["sgd"] = (LearnerSpec(), OptimizerSpec("sgd", 0.1, l1=1e-3))
    KINDS["lazy machine"] = (LearnerSpec("factorization-machine", factors=2), OptimizerSpec("adam", 0.01))


def bounded(spec: ModelSpec, least: int = 3, age: int = 0) -> ModelSpec:
    features = msgspec.structs.replace(spec.features, vocabulary=VocabularySpec(least, age))
    return msgspec.structs.replace(spec, features=features)


def timed_rows(spec: ModelSpec, n: int, seed: int = 0) -> Rows:
    """Rows whose times go on in leaps, and sometimes back."""
    rows, rng = make_rows(spec, n, seed), np.random.default_rng(seed + 5)
    rows.timestamps = np.cumsum(rng.choice([0, 1, 2, 40, -3], n)).astype(np.int64)
    return rows


def only(row: Rows, keep: Callable[[int], bool]) -> Rows:
    """The row with the entries whose index is kept."""
    kept = np.array([keep(int(index)) for index in row.indices], dtype=bool)
    return dataclasses.replace(
        row,
        indptr=np.array([0, kept.sum()], dtype=np.int64),
        indices=row.indices[kept],
        values=row.values[kept],
        scaled_by=row.scaled_by[kept],
    )


class Plain:
    """The same model without a vocabulary, which is shown of each row what has a part in it, and no more."""

    def __init__(self, spec: ModelSpec) -> None:
        assert spec.features.vocabulary is not None
        self.bounds = spec.features.vocabulary
        features = msgspec.structs.replace(spec.features, vocabulary=None)
        self.model = Model(msgspec.structs.replace(spec, features=features))
        self.begun = self.model.layout.zeros()
        self.table: dict[int, tuple[int, int]] = {}

    def take(self, row: Rows) -> np.ndarray:
        mask, time = self.model.layout.hashed - 1, int(row.timestamps[0])
        before = {index & mask: self._known(index & mask, time) for index in row.indices.tolist()}
        served = self.model.predict(only(row, lambda index: before[index & mask] >= self.bounds.min_count))
        if np.isnan(row.labels[0]):
            return served
        for h in before:
            if h in self.table and before[h] == 0:
                self._forget(h)
        shown = only(row, lambda index: before[index & mask] + 1 >= self.bounds.min_count)
        if not self.model.learn(shown, served, keep_undo=False).refused:
            for index in row.indices.tolist():
                n, seen = self.table.get(index & mask, (0, time))
                self.table[index & mask] = (n + 1, max(seen, time))
        return served

    def _known(self, h: int, time: int) -> int:
        n, seen = self.table.get(h, (0, time))
        return 0 if 0 < self.bounds.expire_after < time - seen else n

    def _forget(self, h: int) -> None:
        del self.table[h]
        layout = self.model.layout
        prefix = "embeddings." if layout.shape.sizes else ""
        for name in (layout.table, *(prefix + state for state in layout.state_names)):
            at = layout.shape.always + h
            layout.view(self.model.S, name)[at] = layout.view(self.begun, name)[at]


def assert_is_the_plain_one(spec: ModelSpec, rows: Rows) -> Plain:
    model, plain = Model(spec), Plain(spec)
    served = learn_all(model, rows, 7)
    expected = np.concatenate([plain.take(rows.slice(i, i + 1)) for i in range(len(rows))])
    assert served.tobytes() == expected.tobytes()
    tensors, others = model.tensors(), plain.model.tensors()
    counts = tensors.pop("vocabulary")
    assert {name: array.tobytes() for name, array in tensors.items()} == {
        name: array.tobytes() for name, array in others.items()
    }
    found = {h: (int(n), int(seen)) for h, (n, seen) in enumerate(counts.tolist()) if n > 0}
    assert found == plain.table
    return plain


@pytest.mark.parametrize("update", UPDATES, ids=lambda update: update.name)
@pytest.mark.parametrize("kind", KINDS)
def test_a_feature_takes_part_once_it_came_often_enough_and_until_it_is_forgotten(
    kind: str, update: UpdateSpec
) -> None:
    learner, optimizer = KINDS[kind]
    spec = bounded(model_spec("binary", 2, BITS, learner=learner, optimizer=optimizer, update=update), 3, 100)
    assert_is_the_plain_one(spec, timed_rows(spec, 250))


@settings(max_examples=60)
@given(
    task=st.sampled_from(["regression", "binary", "multiclass"]),
    kind=st.sampled_from(list(KINDS)),
    least=st.integers(1, 6),
    age=st.sampled_from([0, 1, 30, 500]),
    n=st.integers(1, 80),
    seed=st.integers(0, 10_000),
)
def test_any_bounds_agree_with_a_model_that_is_shown_less(
    task: Task, kind: str, least: int, age: int, n: int, seed: int
) -> None:
    learner, optimizer = KINDS[kind]
    spec = bounded(model_spec(task, 2, 4, learner=learner, optimizer=optimizer), least, age)
    assert_is_the_plain_one(spec, timed_rows(spec, n, seed))


@settings(max_examples=30)
@given(data=st.data(), kind=st.sampled_from(list(KINDS)), bits=st.sampled_from([4, 12]))
def test_learning_undoing_and_forgetting_in_any_order(data: st.DataObject, kind: str, bits: int) -> None:
    learner, optimizer = KINDS[kind]
    spec = bounded(model_spec("binary", 2, bits, learner=learner, optimizer=optimizer), 2, 60)
    check_interleaving(spec, timed_rows, data)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("keep_undo", [True, False])
def test_a_refused_sample_forgets_and_counts_nothing(kind: str, keep_undo: bool) -> None:
    learner, optimizer = KINDS[kind]
    spec = bounded(model_spec("regression", 2, BITS, learner=learner, optimizer=optimizer), 1, 50)
    model, rows = Model(spec), timed_rows(spec, 100)
    learn_all(model, rows)
    before = model.tensors()
    bad = next(row for row in (rows.slice(i, i + 1) for i in range(100)) if len(row.indices))
    bad = dataclasses.replace(
        bad, timestamps=bad.timestamps + 10_000, labels=np.array([1e200]), weights=np.array([1e100])
    )
    learned = model.learn(bad, model.predict(bad), keep_undo)
    assert len(learned.refused) == 1
    if learned.undo is not None:
        model.forget(learned.undo)
    after = model.tensors()
    for name in after:
        if name != "scalars":
            assert after[name].tobytes() == before[name].tobytes(), name


def test_rare_features_do_not_disturb_what_is_learned_of_the_others() -> None:
    """Thousands of names that come once: without a threshold each is believed."""
    rng, n = np.random.default_rng(3), 4_000
    signal = rng.integers(0, 4, n).astype(np.uint32)
    labels = (rng.random(n) < np.array([0.2, 0.4, 0.6, 0.8])[signal]).astype(float)
    rows = Rows(
        numeric=np.empty((n, 0)),
        indptr=3 * np.arange(n + 1, dtype=np.int64),
        indices=np.column_stack([signal, rng.integers(100, 2**32, (n, 2), dtype=np.uint32)]).reshape(-1),
        values=np.ones(3 * n),
        scaled_by=np.full(3 * n, -1, dtype=np.int16),
        labels=labels,
        weights=np.ones(n),
        timestamps=np.arange(n, dtype=np.int64),
        offsets=np.arange(n),
    )
    losses = []
    for least in (1, 2):
        spec = bounded(model_spec("binary", 0, 18, optimizer=DEFAULT), least)
        p = learn_all(Model(spec), rows)[:, 0]
        losses.append(-np.log(np.where(labels == 1.0, p, 1 - p))[1_000:].mean())
    assert losses[1] < losses[0] - 0.005


def test_how_many_features_are_known_can_be_told() -> None:
    spec = bounded(model_spec("binary", 1, BITS, optimizer=DEFAULT), 3, 100)
    model, rows = Model(spec), timed_rows(spec, 200)
    nothing = {"known": 0, "waiting": 0, "expired": 0, "slots": 1 << BITS}
    assert model.memory() == {"vocabulary": nothing}
    learn_all(model, rows)
    n, seen = model.layout.view(model.S, "vocabulary").T
    stale = (n > 0) & (seen.max() - seen > 100)
    there = (n > 0) & ~stale
    expected = {"known": there & (n >= 3), "waiting": there & (n < 3), "expired": stale}
    assert min(those.sum() for those in expected.values()) > 0
    found = {name: int(those.sum()) for name, those in expected.items()}
    assert model.memory() == {"vocabulary": found | {"slots": 1 << BITS}}
    assert Model(model_spec("binary", 1, BITS, optimizer=DEFAULT)).memory() == {}


@pytest.mark.parametrize(
    ("given", "bits", "message"),
    [
        (VocabularySpec(0), BITS, "min_count: expected 1 to"),
        (VocabularySpec(10**10), BITS, "min_count: expected 1 to"),
        (VocabularySpec(1, -1), BITS, "expire_after: expected 0 to"),
        (VocabularySpec(2), None, "no feature is hashed"),
    ],
)
def test_bounds_that_make_no_sense_are_told(given: VocabularySpec, bits: int | None, message: str) -> None:
    spec = model_spec("binary", 1, bits)
    features = msgspec.structs.replace(spec.features, vocabulary=given)
    with pytest.raises(SpecError, match=message):
        check_spec(msgspec.structs.replace(spec, features=features))


def test_the_self_test_of_such_a_model_covers_its_vocabulary() -> None:
    spec = model_spec("binary", 1, BITS, optimizer=DEFAULT)
    assert self_test_digest(bounded(spec)) != self_test_digest(spec)
    assert self_test_digest(bounded(spec)) == self_test_digest(bounded(spec))


def test_a_model_keeps_its_vocabulary_when_it_is_saved_and_loaded() -> None:
    spec = bounded(model_spec("binary", 1, BITS, optimizer=DEFAULT), 3, 100)
    model, other, rows = Model(spec), Model(spec), timed_rows(spec, 100)
    learn_all(model, rows)
    other.load(model.tensors())
    assert state_bytes(other) == state_bytes(model)
    assert learn_all(other, rows).tobytes() == learn_all(model, rows).tobytes()
