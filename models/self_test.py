"""Does this machine compute as the one that began the log? And: are the kernels compiled?

The digest stands in each log's genesis record. It covers every task, optimizer and update on dense and
hashed features, so a processor, compiler or flag (flushed denormals, say) that changes a bit is found out
before it folds anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from itertools import product

import numpy as np
import numpy.typing as npt

from models.model import Model
from models.rows import Float64, Rows
from models.spec import (
    DEFAULT_LOSSES,
    FeatureSpec,
    LossSpec,
    ModelSpec,
    NumericFeature,
    OptimizerSpec,
    ScheduleSpec,
    Task,
    UpdateSpec,
    VocabularySpec,
)
from models.undo import Undo

_ROWS, _COLUMNS, _ENTRIES = 48, 4, 3
_TINY = 1e-310  # a denormal
_VOCABULARY = VocabularySpec(min_count=2, expire_after=4000)
_UPDATES = (
    UpdateSpec("sample"),
    UpdateSpec("batch", batch_size=7),
    UpdateSpec("window", window_size=9, stride=5, steps=2, tolerance=1e-3),
)
_NUMERIC = (
    NumericFeature("a"),
    NumericFeature("b", scaling="none"),
    NumericFeature("c", size=_COLUMNS - 2),
)


def self_test_digest(spec: ModelSpec | None = None) -> str:
    """Hex digest of the states and predictions of small models on built-in data.

    `spec`: a model that has something that the first release did not know is tested on what it has; the
    digest of the others is what it was then, so that their logs go on.
    """
    whole = blake2b(digest_size=16)
    for tested in _specs() if spec is None or _first_release(spec) else _own(spec):
        _take(whole, tested)
    return whole.hexdigest()


def _take(whole: blake2b, spec: ModelSpec) -> None:
    model, rows = Model(spec), _rows(spec)
    whole.update(model.predict_and_learn(rows).served.astype("<f8").tobytes())
    tensors = model.tensors()
    for name in sorted(tensors):
        # Of the histograms, which are mostly zeros, only what is in them.
        array = tensors[name][tensors[name] != 0.0] if "histograms" in name else tensors[name]
        whole.update(array.astype(array.dtype.newbyteorder("<")).tobytes())


def _first_release(spec: ModelSpec) -> bool:
    """Whether the first release could have run the model."""
    optimizer = spec.optimizer
    return (
        spec.learner.name in ("linear", "counting")
        and optimizer.name in ("sgd", "adagrad", "ftrl-proximal")
        and optimizer.schedule.name in ("constant", "inverse-scaling")
        and (optimizer.schedule.warmup, optimizer.clip_value, optimizer.clip_norm) == (0, 0.0, 0.0)
        and spec.loss == LossSpec(DEFAULT_LOSSES[spec.task])
        and not spec.features.encode
        and spec.features.vocabulary is None
    )


def _own(spec: ModelSpec) -> Iterator[ModelSpec]:
    """The model itself with every update, on few small features."""
    for bits, update in product((None, 6), _UPDATES):
        yield ModelSpec(
            spec.task,
            FeatureSpec(
                numeric=_NUMERIC, hash_bits=bits, encode=spec.features.encode,
                vocabulary=_VOCABULARY if spec.features.vocabulary and bits else None,
            ),
            classes=spec.classes, learner=spec.learner, optimizer=spec.optimizer, loss=spec.loss,
            update=update,
        )  # fmt: skip


def warm_up(spec: ModelSpec) -> None:
    """Compile the kernels, or load them from the cache, and run each once on a model of this specification.

    From an empty cache this takes half a minute, afterwards less than a second: numba compiles the kernels
    anew for a model of another family, or with another kind of optimizer.
    """
    model = Model(spec)
    columns = len(spec.features.numeric_columns())
    entries = 1 if spec.features.hash_bits is not None else 0
    rows = _data(2, columns, entries, 2, len(spec.features.encode))
    model.predict(rows)
    model.undo(_undo_of(model, rows))
    first = _undo_of(model, rows)
    model.digest()
    model.metrics()
    model.weights({})
    model.forget(first)


def _undo_of(model: Model, rows: Rows) -> Undo:
    undo = model.predict_and_learn(rows).undo
    assert undo is not None
    return undo


def _specs() -> Iterator[ModelSpec]:
    optimizers = (
        OptimizerSpec("sgd", 0.05, ScheduleSpec("inverse-scaling", 0.3), l1=1e-3, l2=1e-3),
        OptimizerSpec("adagrad", 0.1, l1=1e-3, l2=1e-3),
        OptimizerSpec("ftrl-proximal", 0.1, l1=1e-2, l2=1e-2),
    )
    tasks: tuple[Task, ...] = ("regression", "binary", "multiclass")
    for task, optimizer, update, bits in product(tasks, optimizers, _UPDATES, (None, 6)):
        features = FeatureSpec(numeric=_NUMERIC, interactions=(("a", "b"),), hash_bits=bits)
        classes = ("x", "y", "z") if task == "multiclass" else ()
        yield ModelSpec(task, features, classes=classes, optimizer=optimizer, update=update)


def _rows(spec: ModelSpec) -> Rows:
    entries = 0 if spec.features.hash_bits is None else _ENTRIES
    return _data(_ROWS, _COLUMNS, entries, max(2, spec.outputs), len(spec.features.encode))


def _data(n: int, columns: int, entries: int, classes: int, encoded: int) -> Rows:
    """Rows made of integers alone, so that no generator or libm of the machine has a say in them."""
    numeric = 4.0 * _fractions(n * columns, 1).reshape(n, columns) - 1.0
    numeric[numeric > 2.7] = np.nan
    if columns:
        numeric[n // 2, 0] = _TINY
    scaled_by = (np.arange(n * entries) % 3 - 1).astype(np.int16)
    scaled_by[scaled_by >= columns] = -1
    return Rows(
        numeric=numeric,
        indptr=np.arange(n + 1, dtype=np.int64) * entries,
        indices=(_fractions(n * entries, 2) * 2.0**32).astype(np.uint32),
        values=_fractions(n * entries, 3) + 0.5,
        scaled_by=scaled_by,
        labels=np.floor(_fractions(n, 4) * classes),
        weights=np.floor(_fractions(n, 5) * 4.0) / 2.0,
        timestamps=np.arange(n, dtype=np.int64) * 1000,
        offsets=np.arange(n, dtype=np.int64),
        codes=np.floor(_fractions(n * encoded, 6) * 9.0).astype(np.int64).reshape(n, encoded) - 1,
    )


def _fractions(n: int, seed: int) -> Float64:
    """n numbers in [0, 1) from a multiplicative hash of their positions (Knuth, TAOCP 3, 6.4)."""
    position: npt.NDArray[np.uint64] = np.arange(1, n + 1, dtype=np.uint64) + np.uint64(seed * 7919)
    mixed = (position * np.uint64(2654435761)) % np.uint64(1 << 32)
    mixed = ((mixed >> np.uint64(7)) ^ mixed) * np.uint64(2246822519) % np.uint64(1 << 32)
    return mixed.astype(np.float64) / 2.0**32
