"""Where each number of a model's state stands in its one flat float64 vector S.

    scalars      18: counts, cumulative penalty, row counters, histogram scale, metric sums, refusals in a row
    scaler       3 × d: count, mean, m2 of each numeric column
    weights      C × K: coordinate i, output k at i · K + k
    state        C × K each: what the optimizer keeps (G; z, n; q)
    histograms   2 × 2 × 10,000 (binary): scores of the first and second class, in total and recent

Coordinates: d numeric columns, P products of two, the intercept, then 2^hash_bits hashed ones.

S[:small_end] is copied whole at a batch's start, so that the batch can be undone; writes behind it are
journaled. A region is small as a whole or not at all, and the optimizer's state goes with the weights.
"""

from __future__ import annotations

import math

import numpy as np

from models.errors import SpecError
from models.optimizers import state_names
from models.rows import Float64
from models.spec import ModelSpec, OptimizerSpec

BLOCK = 8192
"""Floats in a block (64 KiB): the unit of dirty flags, partial saves and digests."""

SMALL = 4096
"""At most this many floats are copied at each batch's start."""

# Scalars, the same in every model.
SAMPLES, REFUSED, PENALTY, ROWS_FIRST, ROWS_END, HIST_SCALE = 0, 1, 2, 3, 4, 5
TOTAL, RECENT = 6, 11
"""First of the five metric sums, since the start and recent."""
RUN, SKIPPED = 16, 17
"""Updates refused in a row, and samples that came while learning was halted for that."""
SCALARS = 18

BINS = 10_000
"""Bins of a histogram of scores: its AUC is off by at most the share of pairs that fall into one bin."""


class Layout:
    """Names, offsets and shapes of the tensors of one model's state.

    `tensors` is name → (offset, shape), in order, without gaps; `size` the length of S; `dense` the number
    of dense features (numeric columns and products), which is also the intercept's coordinate;
    `coordinates` C; `outputs` K.
    """

    def __init__(self, spec: ModelSpec) -> None:
        check_spec(spec)
        features = spec.features
        self.columns = len(features.numeric_columns())
        self.dense = self.columns + len(features.products())
        self.hashed = 0 if features.hash_bits is None else 1 << features.hash_bits
        self.coordinates = self.dense + 1 + self.hashed
        self.outputs = spec.outputs
        self.tensors: dict[str, tuple[int, tuple[int, ...]]] = {}
        self.size = 0
        self._add("scalars", SCALARS)
        small = [self.size]
        self._add("scaler", 3, self.columns)
        small.append(self.size)
        self.state_names = state_names(spec.optimizer.name, spec.optimizer.l1)
        for name in ("weights", *self.state_names):
            self._add(name, self.coordinates, self.outputs)
        small.append(self.size)
        if spec.task == "binary":
            self._add("histograms", 2, BINS)
            self._add("recent_histograms", 2, BINS)
        self.small_end = max(end for end in small if end <= SMALL)
        self.blocks = -(-self.size // BLOCK)

    def _add(self, name: str, *shape: int) -> None:
        self.tensors[name] = (self.size, shape)
        self.size += math.prod(shape)

    def offset(self, name: str) -> int:
        """Where tensor `name` begins; -1 if this model has none of that name."""
        return self.tensors[name][0] if name in self.tensors else -1

    def view(self, vector: Float64, name: str) -> Float64:
        """Tensor `name` as a view into a vector of the shape of S."""
        offset, shape = self.tensors[name]
        return vector[offset : offset + math.prod(shape)].reshape(shape)

    def zeros(self) -> Float64:
        """The state of a model that has learned nothing."""
        vector = np.zeros(self.size)
        vector[HIST_SCALE] = 1.0
        return vector

    def block_range(self, block: int) -> tuple[int, int]:
        """First and past-the-last position of a block; the last block may be short."""
        return block * BLOCK, min(self.size, (block + 1) * BLOCK)


def check_spec(spec: ModelSpec) -> None:
    """Raise SpecError if the fold cannot run this specification."""
    optimizer, update = spec.optimizer, spec.update
    if spec.task == "multiclass" and len(spec.classes) < 2:
        raise SpecError(
            f"classes: found {len(spec.classes)}, a multiclass model needs two or more; name them all"
        )
    bits = spec.features.hash_bits
    if bits is not None and not 1 <= bits <= 30:
        raise SpecError(f"features.hash_bits: expected 1 to 30, found {bits}; 18 is a good start")
    if not (0.0 < optimizer.learning_rate < math.inf):
        raise SpecError(
            f"optimizer.learning_rate: expected a number above 0, found {optimizer.learning_rate}"
        )
    for name in ("l1", "l2", "beta"):
        if not (0.0 <= getattr(optimizer, name) < math.inf):
            raise SpecError(f"optimizer.{name}: expected 0 or more, found {getattr(optimizer, name)}")
    if optimizer.name == "ftrl-proximal" and optimizer.schedule.name != "constant":
        raise SpecError(
            f"optimizer.schedule: found {optimizer.schedule.name}, but ftrl-proximal adapts its own rates; "
            "leave the schedule out"
        )
    if spec.halt_after < 0:
        raise SpecError(f"halt_after: expected 0 or more, found {spec.halt_after}")
    counts = OptimizerSpec("sgd", 1.0)
    if spec.learner.name == "counting" and (spec.task, optimizer) != ("regression", counts):
        raise SpecError("learner: 'counting' is for task 'regression' with plain sgd at rate 1")
    for name in ("batch_size", "window_size", "stride", "steps"):
        if getattr(update, name) < 1:
            raise SpecError(f"update.{name}: expected 1 or more, found {getattr(update, name)}")
