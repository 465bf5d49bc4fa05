"""Where each number of a model's state stands in its one flat float64 vector S.

    scalars      18: counts, cumulative penalty, row counters, histogram scale, metric sums, refusals in a row
    clock        4: steps, decay, N and t (optimizers.catch_up), where the optimizer needs them
    scaler       3 × d: count, mean, m2 of each numeric column
    network      a network's weights and biases, and network.STATE each, where the learner has one
    weights      C × W: coordinate i, its params from i · W on (learners); named embeddings in a network
    STATE        C × W each: what the optimizer keeps (optimizers); with normalized-adaptive a param's numbers
                 stand side by side, the param first, so that a step has one place in memory to fetch
    categories   1 + K: weight and labels learned, and categories.COLUMN, 2^bits × (1 + sums), of each encoded
                 feature, where there are any (kernels.categories)
    vocabulary   2^hash_bits × 2: how often and when last each hashed coordinate came, where that is asked for
                 (kernels.vocabulary)
    histograms   2 × 2 × 10,000 (binary): scores of the first and second class, in total and recent

Coordinates: d numeric columns (those of a row, then those made of categories), P products of two, the
intercept (none of these in a network), then 2^hash_bits hashed ones.

S[:small_end] is copied whole at a batch's start, so that the batch can be undone; writes behind it are
journaled. A region is small as a whole or not at all, and the optimizer's state goes with the weights. A
network is small, however large it is: each sample changes all of it, and a batch has more samples than one.
"""

from __future__ import annotations

import math

import numpy as np

from models.checks import check_spec
from models.learners import shape_of
from models.learners.initial import initial_network, initial_table
from models.optimizers import CLOCK, CLOCKED, state_names
from models.rows import Float64
from models.spec import ModelSpec

BLOCK = 256
"""Floats in a block (2 KiB): the unit of dirty flags, partial saves and digests.

Smaller ones would cost more by their number than they save; of larger ones a thousand samples touch most of a
large table.
"""

SMALL = 4096
"""At most this many floats are copied at each batch's start."""

_LINE = 64
"""Bytes of a cache line."""

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

    `tensors` is name → (offset, shape), in order, without gaps; `spacing` name → floats from one number to
    the next, where that is not 1; `size` the length of S; `given` the number of a row's numeric columns,
    `columns` that of all; `dense` the number of dense features (columns and products), which is also the
    intercept's coordinate; `coordinates` C; `outputs` K.
    """

    def __init__(self, spec: ModelSpec) -> None:
        check_spec(spec)
        features = spec.features
        self._spec = spec
        self.given = len(features.numeric_columns())
        self.columns = len(features.dense_columns())
        self.dense = self.columns + len(features.products())
        self.hashed = 0 if features.hash_bits is None else 1 << features.hash_bits
        self.shape = shape_of(spec, self.dense)
        self.coordinates = self.shape.always + self.hashed
        self.outputs = spec.outputs
        self.tensors: dict[str, tuple[int, tuple[int, ...]]] = {}
        self.spacing: dict[str, int] = {}
        self.size = 0
        self.state_names = state_names(spec.optimizer)
        self.table = "embeddings" if self.shape.sizes else "weights"
        self.small_end = self._add_all()
        self.blocks = -(-self.size // BLOCK)

    def _add_all(self) -> int:
        """Lay the tensors out; where the small part ends."""
        self._add("scalars", SCALARS)
        if self._spec.optimizer.name in CLOCKED:
            self._add("clock", CLOCK)
        ends = [self.size]
        self._add("scaler", 3, self.columns)
        ends.append(self.size)
        if self.shape.sizes:
            for name in ("network", *(f"network.{state}" for state in self.state_names)):
                self._add(name, self.shape.network)
        network_end = self.size
        if self.coordinates:
            prefix = "embeddings." if self.shape.sizes else ""
            names = (self.table, *(prefix + state for state in self.state_names))
            add = (
                self._add_side_by_side
                if self._spec.optimizer.name == "normalized-adaptive"
                else self._add_each
            )
            add(names, self.coordinates, self.shape.width)
        ends.append(self.size)
        if self._spec.features.encode:
            self._add("categories", 1 + self.outputs)
            for one in self._spec.features.encode:
                sums = len(one.columns()) if one.encoding == "target" else 0
                self._add(f"categories.{one.column}", 1 << one.bits, 1 + sums)
            ends.append(self.size)
        if self._spec.features.vocabulary is not None:
            self._add("vocabulary", self.hashed, 2)
            ends.append(self.size)
        if self._spec.task == "binary":
            self._add("histograms", 2, BINS)
            self._add("recent_histograms", 2, BINS)
        small = max(end for end in ends if end <= SMALL)
        return max(small, network_end) if self.shape.sizes else small

    def states(self, network: bool) -> list[int]:
        """Where the optimizer's numbers of the network, or of the table, begin; -1: there are none."""
        prefix = "network." if network else "embeddings." if self.shape.sizes else ""
        return [self.offset(prefix + name) for name in self.state_names]

    def _add(self, name: str, *shape: int) -> None:
        self.tensors[name] = (self.size, shape)
        self.size += math.prod(shape)

    def _add_each(self, names: tuple[str, ...], *shape: int) -> None:
        for name in names:
            self._add(name, *shape)

    def _add_side_by_side(self, names: tuple[str, ...], *shape: int) -> None:
        for i, name in enumerate(names):
            self.tensors[name], self.spacing[name] = (self.size + i, shape), len(names)
        self.size += len(names) * math.prod(shape)

    def offset(self, name: str) -> int:
        """Where tensor `name` begins; -1 if this model has none of that name."""
        return self.tensors[name][0] if name in self.tensors else -1

    def view(self, vector: Float64, name: str) -> Float64:
        """Tensor `name` as a view into a vector of the shape of S."""
        return vector[self.place(name)].reshape(self.tensors[name][1])

    def place(self, name: str) -> slice:
        """The positions of tensor `name` in S."""
        offset, shape = self.tensors[name]
        spacing = self.spacing.get(name, 1)
        return slice(offset, offset + max(0, spacing * (math.prod(shape) - 1) + 1), spacing)

    def zeros(self) -> Float64:
        """The state of a model that has learned nothing."""
        vector, learner = _aligned(self.size, max(0, self.offset(self.table))), self._spec.learner
        vector[HIST_SCALE] = 1.0
        if self.shape.sizes:
            self.view(vector, "network")[...] = initial_network(learner, self.shape)
        if learner.name in ("factorization-machine", "mlp") and self.coordinates:
            table = initial_table(learner, self.outputs, self.coordinates, self.shape)
            self.view(vector, self.table)[...] = table
        if self._spec.optimizer.name == "ftrl-proximal" and learner.name != "linear":
            self._let_ftrl_begin(vector)
        return vector

    def _let_ftrl_begin(self, vector: Float64) -> None:
        """z that gives the params to begin with: FTRL-proximal makes params of z (optimizers.ftrl)."""
        o = self._spec.optimizer
        for params, z in (("network", "network.z"), (self.table, self.table.replace("weights", "") + ".z")):
            z = z.lstrip(".")
            if params in self.tensors:
                begun = self.view(vector, params)
                self.view(vector, z)[...] = -begun * (o.beta / o.learning_rate + o.l2) - np.sign(begun) * o.l1

    def block_range(self, block: int) -> tuple[int, int]:
        """First and past-the-last position of a block; the last block may be short."""
        return block * BLOCK, min(self.size, (block + 1) * BLOCK)


def _aligned(size: int, at: int) -> Float64:
    """That many zeros, of which the one at `at` begins a cache line."""
    vector = np.zeros(size + _LINE // 8)
    first = (-(vector.ctypes.data + 8 * at) % _LINE) // 8
    return vector[first : first + size]
