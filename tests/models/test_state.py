"""The state leaves as tensors or blocks and comes back to the byte."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import SpecError
from models.kernels.journal import BLOCK_SHIFT
from models.layout import BLOCK, SCALARS, SMALL, Layout
from models.model import Model
from models.spec import FeatureSpec, ModelSpec, NumericFeature, OptimizerSpec, ScheduleSpec, UpdateSpec
from tests.models.samples import OPTIMIZERS, UPDATES, chunks, learn_all, make_rows, model_spec, state_bytes


@pytest.mark.parametrize("update", UPDATES, ids=lambda u: u.name)
@pytest.mark.parametrize("task", ["regression", "binary", "multiclass"])
def test_a_loaded_model_goes_on_as_the_saved_one(task, update):
    spec = model_spec(task, bits=6, products=True, optimizer=OPTIMIZERS[3], update=update)
    first, second, third = Model(spec), Model(spec), Model(spec)
    learn_all(first, make_rows(spec, 103))
    second.load(first.tensors())
    folded = first.folded()
    third.load_blocks(folded.blocks, folded.rows)
    assert first.digest() == second.digest() == third.digest()
    for model in (first, second, third):
        assert not model.take_dirty().size or model is first
        learn_all(model, make_rows(spec, 100, seed=1))
    assert state_bytes(first) == state_bytes(second) == state_bytes(third)


def test_tensors_of_another_model_are_told_apart():
    tensors = Model(model_spec(columns=3)).tensors()
    with pytest.raises(SpecError, match=r"tensor scaler: found \(3, 3\), expected shape \(3, 4\)"):
        Model(model_spec(columns=4)).load(tensors)
    with pytest.raises(SpecError, match="tensor z: found nothing"):
        Model(model_spec(columns=3, optimizer=OptimizerSpec("ftrl-proximal"))).load(tensors)
    with pytest.raises(SpecError, match="block 0: found nothing"):
        Model(model_spec()).load_blocks({}, {})


@settings(max_examples=40, deadline=None)
@given(data=st.data(), update=st.sampled_from(UPDATES))
def test_saves_of_dirty_blocks_always_hold_the_fold_and_its_digest(data, update):
    spec = model_spec(bits=15, update=update)
    model, pending, seed = Model(spec), [], 0
    stored = model.folded().blocks
    model.take_dirty()
    for action in data.draw(
        st.lists(st.sampled_from(["learn", "undo", "forget", "save", "failed save"]), max_size=30)
    ):
        if action == "learn":
            seed += 1
            pending.append(model.predict_and_learn(make_rows(spec, 5, seed=seed)).undo)
        elif action == "undo" and pending:
            model.undo(pending.pop())
        elif action == "forget" and pending:
            model.forget(pending.pop(0))
        elif action == "failed save":
            dirty = model.take_dirty()
            model.digest(model.folded(blocks=dirty))
            model.restore_dirty(dirty)
        elif action == "save":
            folded = model.folded(blocks=model.take_dirty())
            stored.update(folded.blocks)
            digest = model.digest(folded)
            fresh = Model(spec)
            fresh.load_blocks(stored, folded.rows)
            assert fresh.digest() == digest == model.digest()


def test_a_save_costs_what_changed():
    spec = model_spec("regression", 2, bits=20, optimizer=OptimizerSpec("sgd"))
    model = Model(spec)
    learn_all(model, make_rows(spec, 3, entries=2))
    assert 0 < len(model.take_dirty()) < 10 < model.layout.blocks
    assert not model.take_dirty().size


def test_the_digest_sees_every_bit_of_state_and_rows():
    spec = model_spec(bits=6, update=UPDATES[1])
    model = Model(spec)
    learn_all(model, make_rows(spec, 100))
    digest, tensors = model.digest(), model.tensors()
    assert "rows.x" in tensors
    for name in tensors:
        changed = {key: array.copy() for key, array in tensors.items()}
        flat = changed[name].reshape(-1)
        if not flat.size or name == "rows.indptr":
            continue
        flat[-1] = -flat[-1] if flat.dtype == np.float64 else flat[-1] ^ 1  # 0.0 and -0.0 differ
        other = Model(spec)
        other.load(changed)
        assert other.digest() != digest, name


def test_tensors_stand_side_by_side_and_the_small_part_holds_whole_regions():
    assert 1 << BLOCK_SHIFT == BLOCK
    normalized = OptimizerSpec("normalized-adaptive")
    for spec in (
        model_spec(),
        model_spec(bits=12),
        model_spec("multiclass", 500),
        model_spec(columns=2_000),
        model_spec(bits=4, optimizer=normalized),
        model_spec("multiclass", bits=12, optimizer=normalized),
    ):
        layout, ends = Layout(spec), []
        places = [np.arange(layout.size)[layout.place(name)] for name in layout.tensors]
        assert np.sort(np.concatenate(places)).tolist() == list(range(layout.size))
        for name, place in zip(layout.tensors, places, strict=True):
            assert len(place) == np.prod(layout.tensors[name][1])
            ends.append(max([*ends[-1:], *(place + 1)]))
        assert layout.small_end in ends
        assert SCALARS <= layout.small_end <= SMALL
        params_end = ends[list(layout.tensors).index(layout.state_names[-1])]
        assert (layout.small_end >= params_end) == (params_end <= SMALL)


def test_each_optimizer_keeps_the_tensors_that_it_needs():
    names = {
        (o.name, o.l1 > 0): Layout(model_spec("regression", optimizer=o)).state_names for o in OPTIMIZERS
    }
    assert names == {
        ("sgd", False): (),
        ("sgd", True): ("q",),
        ("adagrad", False): ("G",),
        ("adagrad", True): ("G", "q"),
        ("ftrl-proximal", False): ("z", "n"),
        ("ftrl-proximal", True): ("z", "n"),
    }


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (ModelSpec("multiclass", FeatureSpec(), classes=("a",)), "classes: found 1"),
        (ModelSpec("binary", FeatureSpec(hash_bits=31)), "hash_bits: expected 1 to 30, found 31"),
        (model_spec(optimizer=OptimizerSpec(learning_rate=0.0)), "learning_rate: expected a number above 0"),
        (model_spec(optimizer=OptimizerSpec(l2=-1.0)), "l2: expected 0 or more, found -1.0"),
        (
            model_spec(optimizer=OptimizerSpec("ftrl-proximal", schedule=ScheduleSpec("inverse-scaling"))),
            "leave the schedule out",
        ),
        *(
            (model_spec(optimizer=OptimizerSpec("sgd", schedule=schedule)), message)
            for schedule, message in {
                ScheduleSpec("step", factor=0.0): "expected a power of 0 or more and a factor above 0",
                ScheduleSpec("inverse-scaling", power=float("nan")): "expected a power of 0 or more",
                ScheduleSpec("cosine", floor=1.5): "floor: expected 0 to 1, found 1.5",
                ScheduleSpec("exponential", every=0): "expected every and horizon of 1 or more",
                ScheduleSpec(warmup=-1): "a warmup of 0 or more",
            }.items()
        ),
        (model_spec(update=UpdateSpec("batch", batch_size=0)), "batch_size: expected 1 or more, found 0"),
    ],
)
def test_a_specification_that_cannot_be_folded_is_one_clear_line(spec, message):
    with pytest.raises(SpecError, match=message) as error:
        Model(spec)
    assert "\n" not in str(error.value)


def test_weights_have_names_that_people_read_and_the_heaviest_come_first():
    features = FeatureSpec(
        numeric=(NumericFeature("distance"), NumericFeature("v", size=2, scaling="none")),
        categorical=("carrier",),
        interactions=(("distance", "distance"),),
        hash_bits=6,
    )
    spec = ModelSpec("binary", features)
    model = Model(spec)
    tensors = model.tensors()
    tensors["weights"][[0, 1, 2, 3, 4, 5 + 9], 0] = [1.0, -5.0, 3.0, 0.5, -2.0, 4.0]
    tensors["scaler"][:, 0] = [4.0, 10.0, 36.0]
    model.load(tensors)
    assert model.weights({64 + 9: "carrier=UA", 2**32 - 1: "carrier=AA"}) == [
        ("v[0]", -5.0, {}),
        ("carrier=UA", 4.0, {}),
        ("v[1]", 3.0, {}),
        ("intercept", -2.0, {}),
        ("distance", 1.0, {"mean": 10.0, "std": 3.0}),
        ("distance*distance", 0.5, {}),
        ("carrier=AA", 0.0, {}),
    ]
    assert [w.name for w in model.weights({}, top=2)] == ["v[0]", "v[1]"]


def test_weights_of_several_classes_carry_the_class():
    spec = ModelSpec("multiclass", model_spec(columns=1).features, classes=("a", 2, True))
    model = Model(spec)
    tensors = model.tensors()
    tensors["weights"][...] = [[3.0, 2.0, 1.0], [-6.0, -5.0, -4.0]]
    model.load(tensors)
    names = [weight.name for weight in model.weights({})]
    assert names == ["a:intercept", "2:intercept", "true:intercept", "a:x0", "2:x0", "true:x0"]


def test_served_predictions_of_a_wrong_shape_are_told():
    spec = model_spec()
    with pytest.raises(ValueError, match=r"served: found shape \(3, 2\), expected \(3, 1\)"):
        Model(spec).learn(make_rows(spec, 3), np.zeros((3, 2)), keep_undo=False)


def test_memory_for_pending_batches_is_used_again():
    spec = model_spec(bits=14)
    model = Model(spec)
    seen = set()
    for part in chunks(make_rows(spec, 20_000, entries=10), 2_000):
        undo = model.predict_and_learn(part).undo
        seen.add(undo.journal.ctypes.data)
        assert undo.nbytes < 40 * 2 * 16 * 2_000
        model.forget(undo)
    assert len(seen) <= 3
