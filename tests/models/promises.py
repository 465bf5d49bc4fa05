"""What every learner, loss, optimizer and update promises, whatever their formulas are.

Each promise is a function of a specification that raises AssertionError if the model breaks it. CASES are all
combinations of the names in models.spec that a model can be made of, so a new name is held to all of them by
being there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from itertools import product
from typing import get_args, get_type_hints

import msgspec
import numpy as np
from safetensors.numpy import load, save

from models.checks import check_spec
from models.errors import SpecError
from models.layout import REFUSED, ROWS_END, ROWS_FIRST, RUN
from models.model import Model
from models.rows import Rows
from models.spec import (
    LOSSES_OF,
    Activation,
    LearnerName,
    LearnerSpec,
    LossSpec,
    ModelSpec,
    OptimizerName,
    OptimizerSpec,
    ScheduleSpec,
    UpdateSpec,
)
from tests.models.reference_losses import loss_value
from tests.models.samples import chunks, learn_all, make_rows, model_spec, state_bytes

BITS = 3
RATES = {"ftrl-proximal": 0.1, "normalized-adaptive": 0.5}
UPDATES = {
    "sample": UpdateSpec("sample"),
    "batch": UpdateSpec("batch", batch_size=4),
    "window": UpdateSpec("window", window_size=8, stride=4, steps=2),
}


def learners() -> list[LearnerSpec]:
    """Each family, and each activation of a network; small, so that every param can be moved by itself."""
    return [
        LearnerSpec(name, 2, (4, 3), activation, embedding=2, deviation=0.3)
        for name in get_args(LearnerName)
        for activation in (get_args(Activation) if name == "mlp" else ("relu",))
    ]


def optimizers() -> list[OptimizerSpec]:
    """Each by its defaults, at a rate that suits the samples; and each norm."""
    norms = get_args(get_type_hints(OptimizerSpec)["norm"])
    return [
        OptimizerSpec(name, RATES.get(name, 0.02), norm=norm)
        for name in get_args(OptimizerName)
        for norm in (norms if name == "normalized-adaptive" else norms[:1])
    ]


def specs() -> Iterator[ModelSpec]:
    """All that models.checks lets pass, of all names."""
    updates = [UPDATES[name] for name in get_args(get_type_hints(UpdateSpec)["name"])]
    losses = [(task, loss) for task, names in LOSSES_OF.items() for loss in names]
    for learner, (task, loss), optimizer, update in product(learners(), losses, optimizers(), updates):
        if learner.name == "counting":
            optimizer = msgspec.structs.replace(optimizer, learning_rate=1.0)
        elif loss == "poisson" and optimizer.name != "normalized-adaptive":
            # The gradient of e^s would soon be beyond all bounds.
            optimizer = msgspec.structs.replace(optimizer, clip_norm=1.0)
        given = {"learner": learner, "loss": LossSpec(loss, 0.7, 0.3), "update": update}
        spec = model_spec(task, 2, BITS, "none", optimizer=optimizer, **given)
        if is_possible(spec):
            yield spec


def is_possible(spec: ModelSpec) -> bool:
    """Whether models.checks lets it pass."""
    try:
        check_spec(spec)
    except SpecError:
        return False
    return True


def large(learner: LearnerSpec, bits: int) -> Iterator[ModelSpec]:
    """Models whose params span several blocks, with all that an optimizer may keep of each."""
    keeping = OptimizerSpec("adamw", 0.02, ScheduleSpec("cosine", horizon=100), l1=0.01)
    for optimizer, update in product([*optimizers(), keeping], ("sample", "batch")):
        given = {"learner": learner, "update": UPDATES[update]}
        spec = model_spec("binary", 2, bits, "none", optimizer=optimizer, **given)
        if is_possible(spec):
            yield spec


def name_of(spec: ModelSpec) -> str:
    """`mlp-tanh/log/adam/batch`."""
    learner, optimizer = spec.learner, spec.optimizer
    family = f"{learner.name}-{learner.activation}" if learner.name == "mlp" else learner.name
    variant = f"-{optimizer.norm}" if optimizer.name == "normalized-adaptive" else ""
    variant += f"-{optimizer.schedule.name}" if optimizer.schedule.name != "constant" else ""
    return f"{family}/{spec.loss.name}/{optimizer.name}{variant}/{spec.update.name}"


CASES = {name_of(spec): spec for spec in specs()}
LARGE = {
    f"large {name_of(spec)}": spec
    for learner, bits in (
        (LearnerSpec("linear"), 15),
        (LearnerSpec("factorization-machine", factors=8), 12),
        (LearnerSpec("mlp", hidden=(128, 64), embedding=16), 11),
    )
    for spec in large(learner, bits)
}


def with_optimizer(spec: ModelSpec, **given: object) -> ModelSpec:
    return msgspec.structs.replace(spec, optimizer=msgspec.structs.replace(spec.optimizer, **given))


def forgetting(model: Model, rows: Rows) -> bytes:
    """Learn the rows for good; the predictions that were served."""
    return learn_all(model, rows).tobytes()


def params(model: Model) -> np.ndarray:
    """A view of the network and the table side by side."""
    layout = model.layout
    views = [layout.view(model.S, name) for name in ("network", layout.table) if name in layout.tensors]
    return np.concatenate([view.reshape(-1) for view in views])


def set_params(model: Model, values: np.ndarray) -> None:
    layout, at = model.layout, 0
    for name in ("network", layout.table):
        if name in layout.tensors:
            view = layout.view(model.S, name)
            view[...] = values[at : at + view.size].reshape(view.shape)
            at += view.size


def raw_scores(spec: ModelSpec, served: np.ndarray) -> np.ndarray:
    """(K,) scores that make this prediction; those of a softmax are known but for a constant."""
    if spec.learner.name == "counting":
        return served
    if spec.task == "binary":
        return np.log(served / (1.0 - served))
    return np.log(served) if spec.task == "multiclass" or spec.loss.name == "poisson" else served


def objective(model: Model, rows: Rows) -> float:
    """w J of one sample, Σ w J / Σ w of several, by the model's own predictions."""
    spec, total = model.spec, 0.0
    for served, label, weight in zip(model.predict(rows), rows.labels, rows.weights, strict=True):
        s = raw_scores(spec, served)
        total += weight * (-s[0] if spec.learner.name == "counting" else loss_value(spec.loss, s, label))
    return total if spec.update.name == "sample" else total / rows.weights.sum()


def rows_of_one_step(spec: ModelSpec, seed: int) -> Rows:
    """Complete samples that bring one step."""
    n = 1 if spec.update.name == "sample" else 4
    rows = make_rows(spec, n, seed, missing=0.0, unlabelled=0.0)
    rows.weights[:] = np.maximum(rows.weights, 0.5)
    return rows


def begun(spec: ModelSpec, seed: int = 1) -> Model:
    """A model whose params are away from where they begin."""
    model = Model(spec)
    if spec.learner.name != "counting":
        set_params(model, params(model) + 0.1 * np.random.default_rng(seed).normal(size=len(params(model))))
    return model


# The promises


def gradient_equals_finite_differences(spec: ModelSpec) -> None:
    """A step of plain SGD at rate 1 is the gradient: of each param, by moving it by itself."""
    update = msgspec.structs.replace(spec.update, steps=1)
    spec = msgspec.structs.replace(spec, optimizer=OptimizerSpec("sgd", 1.0), update=update)
    model, rows = begun(spec), rows_of_one_step(spec, seed=3)
    if spec.task == "binary":  # wrong, so that no hinge is satisfied already
        rows.labels[:] = model.predict(rows)[:, 0] < 0.5
    before = params(model)
    learn_all(model, rows)
    assert model.refused == 0
    found = before - params(model)
    assert found.any()
    for j in range(len(before)):
        around = []
        for move in (-2e-4, -1e-4, 1e-4, 2e-4):
            moved = before.copy()
            moved[j] += move
            set_params(model, moved)
            around.append(objective(model, rows))
        expected = (around[0] - 8 * around[1] + 8 * around[2] - around[3]) / 12e-4
        assert abs(found[j] - expected) < 1e-7 * max(1.0, abs(expected)), (j, found[j], expected)


def a_small_step_descends(spec: ModelSpec) -> None:
    """The loss of a sample or batch is smaller after a small step on it, whatever the optimizer."""
    update = msgspec.structs.replace(spec.update, steps=1)
    if spec.learner.name != "counting":
        spec = with_optimizer(spec, learning_rate=1e-4, weight_decay=0.0)
    spec = msgspec.structs.replace(spec, update=update)
    model, rows = Model(spec), rows_of_one_step(spec, seed=5)
    before = objective(model, rows)
    learn_all(model, rows)
    assert objective(model, rows) < before


def predicts_before_it_learns(spec: ModelSpec) -> None:
    """A sample is served what `predict` says just before it, alone or among others."""
    rows, alone, together = make_rows(spec, 25), Model(spec), Model(spec)
    served = b""
    for row in chunks(rows, 1):
        state = state_bytes(alone)
        predicted = alone.predict(row).tobytes()
        assert state_bytes(alone) == state
        assert forgetting(alone, row) == predicted
        served += predicted
    assert forgetting(together, rows) == served


def unlabelled_samples_change_nothing(spec: ModelSpec) -> None:
    """They are predicted, and that is all."""
    model, rows = Model(spec), make_rows(spec, 20, seed=1)
    learn_all(model, make_rows(spec, 21))
    before = state_bytes(model)
    rows.labels[:] = np.nan
    assert forgetting(model, rows) == model.predict(rows).tobytes()
    assert state_bytes(model) == before


def serialises_exactly(spec: ModelSpec) -> None:
    """Tensors, through bytes, or blocks make the same model again, with the same future."""
    first, second, third = Model(spec), Model(spec), Model(spec)
    learn_all(first, make_rows(spec, 43))
    second.load(load(save(first.tensors())))
    folded = first.folded()
    third.load_blocks(folded.blocks, folded.rows)
    future = [forgetting(model, make_rows(spec, 30, seed=1)) for model in (first, second, third)]
    assert future[0] == future[1] == future[2]
    assert state_bytes(first) == state_bytes(second) == state_bytes(third)
    assert first.digest() == second.digest() == third.digest()


def is_deterministic(spec: ModelSpec) -> None:
    """The same samples give the same bytes, with any cut, whatever else was computed in between."""
    rows, others, runs = make_rows(spec, 110), make_rows(spec, 3, seed=1), []
    for size in (1, 7, 100):
        model = Model(spec)
        served = b""
        for part in chunks(rows, size):
            served += forgetting(model, part)
            model.predict(others)
        runs.append((served, state_bytes(model), model.digest()))
    assert runs[0] == runs[1] == runs[2]


def learns_the_same_after_undo_and_redo(spec: ModelSpec) -> None:
    """Pending batches are taken back to the byte; every block that changes is named, before and after."""
    model, plain = Model(spec), Model(spec)
    for each in (model, plain):
        learn_all(each, make_rows(spec, 30))
    fold, digest, start = state_bytes(model), model.digest(), model.S.copy()
    model.take_dirty()
    batches = [make_rows(spec, 25, seed=seed) for seed in (1, 2)]
    undos = [model.predict_and_learn(rows).undo for rows in batches]
    view, learned = state_bytes(model), model.S.copy()
    assert changed_blocks(model, start, learned) <= set(model.take_dirty().tolist())
    assert b"".join(model.tensors()[name].tobytes() for name in sorted(model.tensors())) == fold
    assert model.digest() == digest
    for undo in reversed(undos):
        model.undo(undo)
    assert state_bytes(model) == fold
    assert changed_blocks(model, start, learned) <= set(model.take_dirty().tolist())
    undos = [model.predict_and_learn(rows).undo for rows in batches]
    assert state_bytes(model) == view
    model.take_dirty()
    for undo in undos:
        model.forget(undo)
    assert changed_blocks(model, start, learned) <= set(model.take_dirty().tolist())
    for rows in batches:
        learn_all(plain, rows)
    assert state_bytes(plain) == view
    assert plain.digest() == model.digest() != digest


def changed_blocks(model: Model, before: np.ndarray, after: np.ndarray) -> set[int]:
    ranges = (model.layout.block_range(block) for block in range(model.layout.blocks))
    return {
        block
        for block, (start, stop) in enumerate(ranges)
        if before[start:stop].tobytes() != after[start:stop].tobytes()
    }


def refuses_what_is_not_finite(spec: ModelSpec) -> None:
    """A sample that would spoil the state changes no byte of it but the counters, and is named."""
    for what, value in [
        ("numeric", np.inf), ("numeric", -1e200), ("values", np.nan), ("values", np.inf),
        ("labels", np.inf), ("labels", -np.inf), ("weights", np.nan), ("weights", -1.0), ("weights", np.inf),
    ]:  # fmt: skip
        model, clean = begun(spec), begun(spec)
        rows = make_rows(spec, 8, seed=2, missing=0.0, unlabelled=0.0, weighted=False)
        bad = spoil(rows, what, value)
        served = model.predict(rows)
        learned = model.learn(rows, served, keep_undo=False)
        assert [row for row, _ in learned.refused] == [bad], (what, value, learned.refused)
        keep = np.arange(8) != bad
        clean.learn(rows.select(keep), served[keep], keep_undo=False)
        assert model.refused == 1
        model.S[[REFUSED, RUN]] = clean.S[[REFUSED, RUN]]
        assert state_bytes(model) == state_bytes(clean), (what, value)
        assert np.isfinite(model.S).all()


def spoil(rows: Rows, what: str, value: float) -> int:
    """Put the value into the second row that has hashed entries; its number."""
    row = int(np.flatnonzero(np.diff(rows.indptr))[1])
    if what == "values":
        rows.values[rows.indptr[row]], rows.scaled_by[rows.indptr[row]] = value, -1
    elif what == "numeric":
        rows.numeric[row, 0] = value
    else:
        getattr(rows, what)[row] = value
    return row


def dense_equals_sparse(spec: ModelSpec) -> None:
    """A coordinate that a sample does not have is as one that it has with the value 0."""
    sparse, dense = begun(spec), begun(spec)
    if spec.optimizer.name == "ftrl-proximal":  # whose params follow from its state
        sparse, dense = Model(spec), Model(spec)
    rows = make_rows(spec, 120, entries=1)
    padded = with_all_coordinates(rows)
    served = learn_all(sparse, rows)
    assert np.isfinite(served).all()
    assert np.allclose(served, learn_all(dense, padded), rtol=1e-9, atol=1e-9)
    probe = with_all_coordinates(make_rows(spec, 10, seed=1))
    assert np.allclose(sparse.predict(probe), dense.predict(probe), rtol=1e-9, atol=1e-9)


def with_all_coordinates(rows: Rows) -> Rows:
    """The rows, each with all others of the coordinates behind its own, at 0."""
    indices, values, scaled_by, indptr = [], [], [], [0]
    for first, last in zip(rows.indptr, rows.indptr[1:], strict=False):
        others = np.setdiff1d(np.arange(1 << BITS), rows.indices[first:last] & ((1 << BITS) - 1))
        indices += [*rows.indices[first:last], *others]
        values += [*rows.values[first:last], *np.zeros(len(others))]
        scaled_by += [*rows.scaled_by[first:last], *np.full(len(others), -1)]
        indptr.append(len(indices))
    return dataclasses.replace(
        rows,
        indices=np.array(indices, dtype=np.uint32),
        values=np.array(values, dtype=np.float64),
        scaled_by=np.array(scaled_by, dtype=np.int16),
        indptr=np.array(indptr, dtype=np.int64),
    )


def a_batch_of_one_is_a_sample(spec: ModelSpec) -> None:
    """`batch` of one and `window` of one, one step, are `sample` to the bit."""
    rows, states = make_rows(spec, 60), []
    rows.weights[:] = np.minimum(rows.weights, 1.0).round()  # others cancel in Σ w g / Σ w
    for update in (
        UpdateSpec("sample"),
        UpdateSpec("batch", batch_size=1),
        UpdateSpec("window", window_size=1, stride=1, steps=1),
    ):
        model = Model(msgspec.structs.replace(spec, update=update))
        served = forgetting(model, rows)
        model.S[[ROWS_FIRST, ROWS_END]] = 0.0
        states.append((served, model.S.tobytes()))
    assert states[0] == states[1] == states[2]


PROMISES: dict[str, Callable[[ModelSpec], None]] = {
    promise.__name__: promise
    for promise in (
        gradient_equals_finite_differences,
        a_small_step_descends,
        predicts_before_it_learns,
        unlabelled_samples_change_nothing,
        serialises_exactly,
        is_deterministic,
        learns_the_same_after_undo_and_redo,
        refuses_what_is_not_finite,
        dense_equals_sparse,
        a_batch_of_one_is_a_sample,
    )
}
PROMISES_OF_MANY_BLOCKS = {
    promise.__name__: promise for promise in (learns_the_same_after_undo_and_redo, serialises_exactly)
}
"""Those that LARGE is held to: what does not fit into the part of the state that is copied whole."""
