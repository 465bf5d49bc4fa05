"""Frequency and target encoding: what they are, that no label leaks, and that they are state."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.checks import check_spec
from models.errors import SpecError
from models.features import Encoder
from models.kernels.transforms import take_logs
from models.model import Model
from models.rows import Rows
from models.self_test import self_test_digest
from models.spec import (
    EncodedFeature,
    FeatureSpec,
    LearnerSpec,
    ModelSpec,
    NumericFeature,
    OptimizerSpec,
    Task,
    UpdateSpec,
)
from tests.models.categories import in_columns
from tests.models.encoding import encode, entries
from tests.models.interleaving import check_interleaving
from tests.models.reference import Reference
from tests.models.samples import OPTIMIZERS, UPDATES, chunks, learn_all, make_rows, model_spec, state_bytes

FREQUENCY = EncodedFeature("dest", "frequency", bits=4)
TARGET = EncodedFeature("dest", "target", prior_weight=3.0, bits=4)
RAW = EncodedFeature("tail", "target", prior_weight=0.0, bits=3, scaling="none")
ALL = (FREQUENCY, TARGET, RAW)
TASKS: list[Task] = ["regression", "binary", "multiclass"]


def with_encoded(spec: ModelSpec, encode: tuple[EncodedFeature, ...] = ALL) -> ModelSpec:
    """The model, and a product of a column with a category's where it has a name of its own."""
    features = msgspec.structs.replace(spec.features, encode=encode)
    if FREQUENCY in encode:
        crossed = (*features.interactions, ("x0", "dest#frequency"))
        features = msgspec.structs.replace(features, interactions=crossed)
    return msgspec.structs.replace(spec, features=features)


def with_codes(spec: ModelSpec, rows: Rows, seed: int = 0, missing: float = 0.2) -> Rows:
    """The rows, with categories of which some share a slot, some are rare and some are missing."""
    rng, e = np.random.default_rng(seed + 77), len(spec.features.encode)
    known = rng.integers(0, 2**32, 12)
    rows.codes = known[np.minimum(rng.geometric(0.25, (len(rows), e)) - 1, 11)]
    rows.codes[rng.random((len(rows), e)) < missing] = -1
    return rows


def encoded_rows(spec: ModelSpec, n: int, seed: int = 0, **given: Any) -> Rows:
    return with_codes(spec, make_rows(spec, n, seed=seed, **given), seed)


def exact_log(x: float) -> float:
    """The fold's own log(1 + n), of 1 + n."""
    column = np.array([[x - 1.0]])
    take_logs(column, np.array([0]))
    return float(column[0, 0])


# What they are


def assert_agrees(spec: ModelSpec, rows: Rows) -> None:
    model, (plain, columns) = Model(spec), in_columns(spec, rows)
    reference = Reference(plain)
    learned = model.predict_and_learn(rows)
    assert learned.refused == []
    np.testing.assert_allclose(learned.served, reference.predict_and_learn(columns), rtol=1e-9, atol=1e-9)
    weights = model.layout.view(model.S, "weights")
    np.testing.assert_allclose(weights, reference.theta, rtol=1e-9, atol=1e-9)
    assert_counted(model, rows)


def assert_counted(model: Model, rows: Rows) -> None:
    """The tables hold the sums over all labelled rows."""
    spec, learned = model.spec, ~np.isnan(rows.labels)
    targets = rows.labels[:, None]
    if spec.task == "multiclass":
        targets = (rows.labels[:, None] == np.arange(spec.outputs)).astype(np.float64)
    sums = rows.weights[:, None] * np.hstack([np.ones((len(rows), 1)), targets])
    np.testing.assert_allclose(model.layout.view(model.S, "categories"), sums[learned].sum(axis=0), atol=1e-9)
    for f, one in enumerate(spec.features.encode):
        expected = np.zeros((2**one.bits, 1 if one.encoding == "frequency" else 1 + spec.outputs))
        for i in np.flatnonzero(learned & (rows.codes[:, f] >= 0)):
            expected[rows.codes[i, f] % 2**one.bits] += sums[i, : expected.shape[1]]
        found = model.layout.view(model.S, f"categories.{one.column}")
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("update", UPDATES, ids=lambda update: update.name)
@pytest.mark.parametrize("optimizer", OPTIMIZERS[1::2], ids=lambda o: o.name)
@pytest.mark.parametrize("task", TASKS)
def test_they_are_what_the_formulas_say_of_all_samples_before(
    task: Task, optimizer: OptimizerSpec, update: UpdateSpec
) -> None:
    spec = with_encoded(model_spec(task, columns=2, bits=5, optimizer=optimizer, update=update))
    assert_agrees(spec, encoded_rows(spec, 200, seed=1))


@settings(max_examples=80, deadline=None)
@given(
    task=st.sampled_from(TASKS),
    bits=st.sampled_from([None, 4]),
    scaling=st.sampled_from(["standard", "none"]),
    encodings=st.lists(st.sampled_from(ALL), min_size=1, max_size=3, unique=True),
    prior_weight=st.sampled_from([0.5, 1.0, 16.0]),
    update=st.sampled_from([*UPDATES, UpdateSpec("batch", batch_size=1), UpdateSpec("window", 1, 4, 1, 3)]),
    missing=st.sampled_from([0.0, 0.5]),
    unlabelled=st.sampled_from([0.0, 0.5]),
    n=st.integers(0, 50),
    seed=st.integers(0, 10_000),
)
def test_any_choice_of_them_agrees_with_the_reference(
    task: Task, bits: int | None, scaling: str, encodings: list[EncodedFeature], prior_weight: float,
    update: UpdateSpec, missing: float, unlabelled: float, n: int, seed: int,
) -> None:  # fmt: skip
    chosen = tuple(
        msgspec.structs.replace(one, prior_weight=prior_weight) if one == TARGET else one for one in encodings
    )
    optimizer = OptimizerSpec("sgd", 0.01)
    spec = with_encoded(model_spec(task, 2, bits, scaling, optimizer=optimizer, update=update), chosen)
    rows = encoded_rows(spec, n, seed, missing=missing, unlabelled=unlabelled)
    assert_agrees(spec, rows)


LEARNERS = {
    "linear": (LearnerSpec(), OptimizerSpec("normalized-adaptive", 0.5)),
    "factorization-machine": (LearnerSpec("factorization-machine", factors=3), OptimizerSpec("adagrad", 0.1)),
    "mlp": (LearnerSpec("mlp", hidden=(8,), embedding=4), OptimizerSpec("adam", 0.01)),
}


@pytest.mark.parametrize("update", UPDATES, ids=lambda update: update.name)
@pytest.mark.parametrize("name", LEARNERS)
@pytest.mark.parametrize("task", TASKS)
def test_every_learner_takes_them_as_it_takes_columns_that_were_computed_by_hand(
    task: Task, name: str, update: UpdateSpec
) -> None:
    learner, optimizer = LEARNERS[name]
    spec = with_encoded(model_spec(task, 2, 5, learner=learner, optimizer=optimizer, update=update))
    rows = encoded_rows(spec, 150)
    plain, columns = in_columns(spec, rows, exact_log)
    model, expected = Model(spec), Model(plain)
    assert learn_all(model, rows).tobytes() == learn_all(expected, columns).tobytes()
    tensors, others = model.tensors(), expected.tensors()
    assert all(tensors[one].tobytes() == others[one].tobytes() for one in others)


def test_an_example_by_hand() -> None:
    spec = ModelSpec("regression", FeatureSpec(encode=(
        EncodedFeature("c", "target", prior_weight=2.0, scaling="none"),
        EncodedFeature("c", "frequency", scaling="none"),
    )), optimizer=OptimizerSpec("sgd", 0.1))  # fmt: skip
    model = Model(spec)
    rows = encode(spec.features, [{"c": "x"}, {"c": "x"}, {"c": "y"}, {"c": 1}, {"c": 1.0}, {}])
    rows.labels[:] = [6.0, 2.0, 4.0, 8.0, 1.0, 3.0]
    rows.weights[:] = [1.0, 2.0, 1.0, 0.5, 1.0, 4.0]
    learn_all(model, rows)
    assert model.layout.view(model.S, "categories").tolist() == [9.5, 31.0]
    x, y, one = (int(code) & 0x3FFF for code in (rows.codes[0, 0], rows.codes[2, 0], rows.codes[3, 0]))
    table = model.layout.view(model.S, "categories.c#target")
    assert (table[x].tolist(), table[y].tolist(), table[one].tolist()) == (
        [3.0, 10.0],
        [1.0, 4.0],
        [1.5, 5.0],
    )
    # The weights are 0 but for the intercept until here, so that the next step shows the columns.
    before = model.layout.view(model.S, "weights").copy()
    served = model.predict(rows.slice(0, 1))[0, 0]
    prior = 31.0 / 9.5
    expected = [(10.0 + 2.0 * prior) / 5.0, math.log(4.0), 1.0]
    assert served == pytest.approx(float(np.dot(before[:, 0], expected)), rel=1e-12)


# No leak


@pytest.mark.parametrize("update", UPDATES, ids=lambda update: update.name)
@pytest.mark.parametrize("task", ["regression", "binary"])
def test_a_target_encoded_random_id_predicts_no_random_label(task: Task, update: UpdateSpec) -> None:
    rng, n = np.random.default_rng(4), 6_000
    noise = rng.normal(size=n)
    labels = noise if task == "regression" else (noise > 0).astype(np.float64)
    encoded = (EncodedFeature("id", "target", prior_weight=1.0), EncodedFeature("id", "frequency"))
    spec = ModelSpec(
        task, FeatureSpec(encode=encoded), optimizer=OptimizerSpec("adagrad", 0.1), update=update
    )
    codes = rng.integers(0, 3_000, n)  # each id comes about twice: one with its own label would be enough
    rows = Rows(
        numeric=np.empty((n, 0)), indptr=np.zeros(n + 1, np.int64), indices=np.empty(0, np.uint32),
        values=np.empty(0), scaled_by=np.empty(0, np.int16), labels=labels, weights=np.ones(n),
        timestamps=np.zeros(n, np.int64), offsets=np.arange(n), codes=np.stack([codes, codes], axis=1),
    )  # fmt: skip
    model = Model(spec)
    served = learn_all(model, rows)[:, 0]
    late = slice(n // 2, None)
    assert abs(np.corrcoef(served[late], labels[late])[0, 1]) < 0.06, "chance alone, over 3,000 samples"
    learned = {one.name: one.value for one in model.weights({})}
    assert abs(learned["id#target"]) < 0.15
    leaking = in_sample(codes, labels)
    assert np.corrcoef(leaking[late], labels[late])[0, 1] > 0.5, "what it is with its own label in it"


def in_sample(codes: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The mean label of each id, own ones included."""
    return (np.bincount(codes, labels) / np.maximum(1, np.bincount(codes)))[codes]


@pytest.mark.parametrize("update", UPDATES, ids=lambda update: update.name)
def test_neither_its_label_nor_what_comes_later_moves_a_prediction(update: UpdateSpec) -> None:
    spec = with_encoded(model_spec("binary", columns=1, update=update))
    rows = encoded_rows(spec, 120, unlabelled=0.0)
    served = Model(spec).predict_and_learn(rows).served
    for i in (0, 30, 119):
        labels = rows.labels.copy()
        labels[i:] = 1.0 - labels[i:]
        other = Model(spec).predict_and_learn(dataclasses.replace(rows, labels=labels)).served
        assert other[: i + 1].tobytes() == served[: i + 1].tobytes()


def test_what_helps_is_found() -> None:
    rng, n = np.random.default_rng(1), 5_000
    codes = rng.integers(0, 200, n)
    labels = (rng.random(n) < np.where(codes % 2 == 0, 0.85, 0.15)).astype(np.float64)
    spec = ModelSpec("binary", FeatureSpec(encode=(EncodedFeature("tail", "target"),)))
    model = Model(spec)
    rows = Rows(
        numeric=np.empty((n, 0)), indptr=np.zeros(n + 1, np.int64), indices=np.empty(0, np.uint32),
        values=np.empty(0), scaled_by=np.empty(0, np.int16), labels=labels, weights=np.ones(n),
        timestamps=np.zeros(n, np.int64), offsets=np.arange(n), codes=codes[:, None],
    )  # fmt: skip
    served = learn_all(model, rows)[:, 0]
    assert np.mean((served[n // 2 :] >= 0.5) == (labels[n // 2 :] == 1.0)) > 0.8
    (weight,) = (one for one in model.weights({}) if one.name == "tail#target")
    assert weight.value > 0.3
    assert weight.scaling["mean"] == pytest.approx(0.5, abs=0.1)


# What moves them


@pytest.mark.parametrize("change", ["unlabelled", "label", "weight", "numeric", "halted"])
@pytest.mark.parametrize("update", UPDATES, ids=lambda update: update.name)
def test_a_sample_that_is_not_learned_moves_nothing(change: str, update: UpdateSpec) -> None:
    spec = with_encoded(model_spec("binary", columns=1, update=update, halt_after=3))
    model, row = Model(spec), encoded_rows(spec, 1, missing=0.0, unlabelled=0.0)
    row.codes[:] = 5
    learn_all(model, encoded_rows(spec, 30))
    if change == "halted":
        bad = Rows.concatenate([dataclasses.replace(row, labels=np.array([2.0]))] * 3)
        learn_all(model, bad)
        assert model.halted()
    changed = {"unlabelled": {"labels": np.array([np.nan])}, "label": {"labels": np.array([2.0])},
               "weight": {"weights": np.array([np.inf])}, "numeric": {"numeric": np.array([[1e200]])},
               "halted": {}}[change]  # fmt: skip
    before = tables(model)
    learn_all(model, dataclasses.replace(row, **changed))
    assert tables(model) == before
    if change != "halted":
        learn_all(model, row)
        assert tables(model) != before


def tables(model: Model) -> bytes:
    names = [name for name in model.layout.tensors if name.startswith("categories")]
    return b"".join(model.layout.view(model.S, name).tobytes() for name in names)


def test_labels_whose_sums_would_overflow_are_refused() -> None:
    spec = ModelSpec("regression", FeatureSpec(encode=(EncodedFeature("c", "target"),)))
    rows = encode(spec.features, [{"c": "x"}] * 2)
    rows.labels[:], rows.weights[:] = [1e100, 1.0], [1e60, 1.0]
    learned = Model(spec).predict_and_learn(rows)
    assert learned.refused == [(0, "label is none of the task")]


def test_rows_without_the_categories_of_the_model_are_refused_in_one_line() -> None:
    spec = with_encoded(model_spec("binary", columns=1))
    rows = make_rows(spec, 3)
    for act in (Model(spec).predict, Model(spec).predict_and_learn):
        with pytest.raises(ValueError, match=r"codes: found shape \(3, 0\), expected \(3, 3\)"):
            act(rows)


# They are state


STATES = [
    with_encoded(model_spec("binary", columns=2, bits=13, update=UPDATES[0])),
    with_encoded(model_spec("multiclass", columns=1, update=UPDATES[1])),
    with_encoded(model_spec("regression", columns=1, bits=4, update=UPDATES[2])),
    with_encoded(
        model_spec("multiclass", columns=1), (EncodedFeature("a", "target"), EncodedFeature("a", "frequency"))
    ),
]
NAMES = ["hashed", "batch", "window", "many-slots"]


@pytest.mark.parametrize("spec", STATES, ids=NAMES)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_any_interleaving_of_learn_undo_and_forget_is_exact(spec: ModelSpec, data: st.DataObject) -> None:
    check_interleaving(spec, encoded_rows, data)


@pytest.mark.parametrize("spec", STATES, ids=NAMES)
def test_cuts_of_1_7_and_100_rows_give_the_same_bytes(spec: ModelSpec) -> None:
    rows = encoded_rows(spec, 300)
    found = []
    for size in (1, 7, 100, 300):
        model = Model(spec)
        found.append((learn_all(model, rows, size).tobytes(), state_bytes(model), model.digest()))
    assert found.count(found[0]) == 4


@pytest.mark.parametrize("spec", STATES, ids=NAMES)
def test_a_loaded_model_goes_on_to_the_same_bytes(spec: ModelSpec) -> None:
    rows = encoded_rows(spec, 200)
    first, second = Model(spec), Model(spec)
    learn_all(first, rows.slice(0, 90))
    second.load(first.tensors())
    assert second.digest() == first.digest()
    blocks = first.folded()
    third = Model(ModelSpec.from_json(spec.to_json()))
    third.load_blocks(blocks.blocks, blocks.rows)
    ends = [
        learn_all(one, rows.slice(90, 200)).tobytes() + state_bytes(one) for one in (first, second, third)
    ]
    assert ends.count(ends[0]) == 3


@pytest.mark.parametrize("spec", STATES, ids=NAMES)
def test_only_blocks_that_a_save_knows_of_change(spec: ModelSpec) -> None:
    model, saved = Model(spec), {}
    saved.update(model.folded().blocks)
    model.take_dirty()
    for part in chunks(encoded_rows(spec, 120), 20):
        learn_all(model, part)
        saved.update(model.folded(blocks=model.take_dirty()).blocks)
    assert {b: block.tobytes() for b, block in saved.items()} == {
        b: block.tobytes() for b, block in model.folded().blocks.items()
    }


def test_predictions_served_elsewhere_give_the_same_state() -> None:
    spec = STATES[0]
    rows = encoded_rows(spec, 100, unlabelled=0.0)
    live, again = Model(spec), Model(spec)
    served = learn_all(live, rows)
    again.learn(rows, served, keep_undo=False)
    assert again.digest() == live.digest()


def test_weights_have_their_names_and_scalings() -> None:
    spec = with_encoded(model_spec("multiclass", columns=1))
    model = Model(spec)
    learn_all(model, encoded_rows(spec, 50))
    found = {one.name: one.scaling for one in model.weights({})}
    assert found["red:dest#frequency"].keys() == {"mean", "std"}
    assert found["blue:dest#target[red]"].keys() == {"mean", "std"}
    assert found["green:tail#target[blue]"] == {}
    assert "red:x0*dest#frequency" in found


# Specifications and encoding


def test_a_models_digest_of_its_kernels_covers_them_and_that_of_others_is_what_it_was() -> None:
    plain, encoding = model_spec("binary"), with_encoded(model_spec("binary"), (TARGET,))
    assert self_test_digest() == self_test_digest(plain) == "4fe2c0e7213ea7129d06420bb66cc750"
    assert self_test_digest(encoding) not in ("", self_test_digest(plain))


def test_a_specification_survives_its_json_and_one_without_them_means_what_it_meant() -> None:
    for spec in STATES:
        assert ModelSpec.from_json(spec.to_json()) == spec
    assert b'"as":"target"' in STATES[0].to_json()
    stored = b'{"task":"binary","features":{"categorical":["c"],"hash_bits":18},"classes":[0,1]}'
    assert ModelSpec.from_json(stored).features.encode == ()


def test_a_target_of_several_classes_has_a_column_for_each() -> None:
    spec = ModelSpec("multiclass", FeatureSpec(encode=ALL), classes=(True, False))
    assert spec.features.dense_columns() == [
        "dest#frequency", "dest#target[true]", "dest#target[false]", "tail#target[true]",
        "tail#target[false]",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("encode", "interactions", "message"),
    [
        (
            (EncodedFeature("c", "target", bits=31),),
            (),
            "features.encode: c: bits: expected 1 to 30, found 31",
        ),
        (
            (EncodedFeature("c", "target", prior_weight=-1.0),),
            (),
            r"c: prior_weight: expected 0 to 1e\+09, found -1",
        ),
        ((EncodedFeature("c", "target", prior_weight=math.nan),), (), "prior_weight: expected .*, found nan"),
        ((TARGET,), (("a", "dest#target"),), "'dest#target' has a column for each class"),
    ],
)
def test_a_specification_that_cannot_be_folded_is_refused(
    encode: tuple[EncodedFeature, ...], interactions: tuple[tuple[str, ...], ...], message: str
) -> None:
    features = FeatureSpec((NumericFeature("a"),), interactions=interactions, encode=encode)
    with pytest.raises(SpecError, match=message):
        check_spec(ModelSpec("multiclass", features, classes=("x", "y")))


def test_categories_become_hashes_of_their_names_and_nothing_where_they_are_missing() -> None:
    spec = FeatureSpec(
        (NumericFeature("age"),), ("dest",),
        encode=(FREQUENCY, TARGET, EncodedFeature("years", "target", "age")),
        interactions=(("dest", "dest#target"),), hash_bits=18,
    )  # fmt: skip
    rows = encode(spec, [{"dest": "LAX", "age": 1}, {"dest": None}, {"dest": True, "age": 1.0}])
    lax = next(hash_ for hash_, name in rows.names.items() if name == "dest=LAX")
    assert rows.codes[0].tolist() == [lax, lax, rows.codes[2, 2]], "1 and 1.0 are one category"
    assert rows.codes[1].tolist() == [-1, -1, -1]
    assert rows.numeric.shape == (3, 1)
    assert entries(rows) == [("dest=LAX", 1.0, -1), ("dest=LAX*dest#target", 1.0, 2)]
    assert set(rows.names.values()) == {
        "dest=LAX", "dest=true", "dest=LAX*dest#target", "dest=true*dest#target",
    }, "a category that is only encoded has no weight, and no name"  # fmt: skip
    assert Rows.concatenate([rows.slice(0, 1), rows.slice(1, 3)]).codes.tolist() == rows.codes.tolist()
    assert rows.select(np.array([False, True, True])).codes.tolist() == rows.codes[1:].tolist()
    empty = encode(spec, [])
    assert empty.codes.shape == (0, 3)
    assert Rows.concatenate([empty, rows]).codes.tolist() == rows.codes.tolist()


def test_a_model_of_encoded_features_alone_needs_no_hashing() -> None:
    spec = FeatureSpec(encode=(FREQUENCY,))
    rows = encode(spec, [{"dest": "LAX", "other": 3}, {}])
    assert (rows.numeric.shape, rows.names, rows.indptr.tolist()) == ((2, 0), {}, [0, 0, 0])
    assert Encoder(spec).pairs(Encoder(spec).build({"dest": "LAX"})) == []


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (FeatureSpec(encode=(TARGET, TARGET)), "'dest#target' is declared twice"),
        (
            FeatureSpec((NumericFeature("v", 2),), encode=(EncodedFeature("v", "target"),)),
            "'v' cannot be a list of 2 numbers and a category at once",
        ),
        (
            FeatureSpec((NumericFeature("a"),), ("c",), (("c", "a", "dest#target"),), 8, encode=(TARGET,)),
            "expected at most one numeric feature",
        ),
    ],
)
def test_encoded_features_that_cannot_be_are_refused(spec: FeatureSpec, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        Encoder(spec)
