"""What the kernels are told: structs of plain numbers and arrays."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.kernels.jit import Mark, helper
from models.layout import Layout
from models.learners.mlp import ACTIVATIONS
from models.losses import TASKS, Loss, make_loss
from models.optimizers import CLOCKED, DRIFTING, OPTIMIZERS, constant, memory
from models.optimizers.catch_up import Optimizer
from models.rows import Float64, Int16, Int64, UInt32
from models.scaling import SCALINGS
from models.schedules import Schedule, make_schedule
from models.spec import IN_UNITS_OF_THE_LABEL, LossName, ModelSpec, OptimizerSpec, VocabularySpec

SAMPLE, BATCH, WINDOW = 0, 1, 2
SIDE = 8
"""Columns that kernels.plain works on side by side: as many as the widest registers take."""
UPDATES = {"sample": SAMPLE, "batch": BATCH, "window": WINDOW}

UInt8 = npt.NDArray[np.uint8]


class Categories(NamedTuple):
    """The tables of encoded features: see kernels.categories."""

    totals: int  # weight and labels of all samples
    numbers: int  # how many a sample changes at most
    outputs: int
    tables: Int64  # (e,) where the table of each feature begins
    masks: Int64  # (e,) 2^bits - 1
    sums: Int64  # (e,) sums of labels in a slot: 0 for a frequency
    prior_weights: Float64  # (e,)


class Vocabulary(NamedTuple):
    """When hashed features take part: see kernels.vocabulary."""

    table: int  # (2^hash_bits, 2) n and seen
    least: float
    age: float  # ms; 0: for ever
    initial: Float64  # S before anything was learned; empty without an age


class Plan(NamedTuple):
    """A model specification as codes, sizes and offsets into S (-1: no such tensor)."""

    fm: Mark  # a factorization machine
    net: Mark  # a network
    lazy: Mark  # an optimizer that makes up for missed steps
    nag: Mark  # normalized adaptive steps
    coded: Mark  # categories as numbers
    known: Mark  # a bounded vocabulary

    task: int
    loss: Loss
    outputs: int
    given: int  # columns that a row has
    columns: int  # those, and the ones made of categories
    dense: int
    mask: int  # 2^hash_bits - 1, or -1 for a dense model
    width: int  # params of a coordinate
    always: int  # coordinates that every row touches
    factors: int
    factor_rate: float
    activation: int
    sizes: Int64  # units of the network's layers; (0,) without one
    optimizer: Optimizer
    categories: Categories
    vocabulary: Vocabulary
    update: int
    block_rows: int  # rows of a batch or a window
    stride: int
    steps: int
    halt_after: int  # refusals in a row; 0: never
    small_end: int
    clock: int
    scaler: int
    network: int
    network_size: int
    network_states: Int64  # (states,)
    table: int  # params of the coordinates
    table_states: Int64  # (states,)
    spacing: int  # floats from one number of the table's tensors to the next
    histograms: int
    recent_histograms: int
    tolerance: float
    side: int  # columns side by side in kernels.plain: loops over a number that is known would be unrolled
    standard: UInt8  # (d,) how each column is scaled: models.scaling
    pairs: Int64  # (2 P,) the columns of each product
    free: Int64  # pairs (start, stop) of compact params that penalties leave alone


@helper
def place(nag: Mark, plan: Plan, j: int) -> int:
    """Where number j of one of the table's tensors stands, from its first on."""
    return j if nag is None else j * plan.spacing


STRUCTS = (Plan, Loss, Optimizer, Schedule, Categories, Vocabulary)
"""Plan and the structs in it, for kernels' fingerprints."""


class Batch(NamedTuple):
    """The arrays of `Rows` that kernels read, flat and read-only."""

    numeric: Float64
    indptr: Int64
    indices: UInt32
    values: Float64
    scaled_by: Int16
    labels: Float64
    weights: Float64
    codes: Int64
    timestamps: Int64


class Stored(NamedTuple):
    """Rows as they were scaled on arrival: see RowBuffer."""

    x: Float64
    labels: Float64
    weights: Float64
    indptr: Int64
    coordinates: UInt32
    values: Float64


class Scratch(NamedTuple):
    """Working memory of one model; nothing in it outlives a row, and none of it is state.

    The compact params of a step are the network's, then those of the coordinates that every row touches, then
    those of the others that these rows do.
    """

    columns: Float64  # (d,) a row's numbers before scaling
    z: Float64  # (dense,) features under the old scaler
    scaler: Float64  # (3 d,) the new scaler
    scores: Float64  # (K,)
    penalty: Float64  # (1,) the new cumulative penalty
    clock: Float64  # (4,) the new clock
    slots: UInt32  # (2^hash_bits,) hashed coordinate → compact position + 1; 0 between rows
    touched: Int64  # (n,) compact position → coordinate
    entry_slots: UInt32  # (entries,) compact position of each stored entry of the step
    w: Float64  # (room,) compact params
    state: Float64  # (states · room,) the optimizer's numbers of them
    g: Float64  # (room,) their gradient
    before: Float64  # (room,) a factorization machine's params before the step, where they are asked for
    units: Float64  # a network's units; sums of a factorization machine
    slopes: Float64  # and what comes back
    lanes: Float64  # a plain model's scaler and params (kernels.plain)


def make_optimizer(spec: OptimizerSpec, layout: Layout, loss: LossName) -> Optimizer:
    """What the kernels are told of an optimizer."""
    names = layout.state_names
    return Optimizer(
        code=OPTIMIZERS[spec.name],
        states=len(names),
        drifts=spec.name in DRIFTING,
        constant=constant(spec),
        memory=memory(spec),
        clock=layout.offset("clock"),
        rms=spec.norm == "rms",
        by_error=spec.name == "normalized-adaptive" and spec.norm == "rms" and loss in IN_UNITS_OF_THE_LABEL,
        penalised=names.index("q") if "q" in names else -1,
        l1=float(spec.l1),
        l2=float(spec.l2),
        beta=float(spec.beta),
        mu=float(spec.momentum),
        rho=float(spec.rho),
        beta1=float(spec.beta1),
        beta2=float(spec.beta2),
        epsilon=float(spec.epsilon),
        decay=float(spec.weight_decay) if spec.name == "adamw" else 0.0,
        clip_value=float(spec.clip_value),
        clip_norm=float(spec.clip_norm),
        schedule=make_schedule(spec.schedule, spec.learning_rate),
    )


def make_categories(spec: ModelSpec, layout: Layout) -> Categories:
    """What the kernels are told of encoded features."""
    encode = spec.features.encode
    shapes = [layout.tensors[f"categories.{one.column}"][1] for one in encode]
    return Categories(
        totals=layout.offset("categories"),
        numbers=1 + layout.outputs + sum(width for _, width in shapes) if encode else 0,
        outputs=layout.outputs,
        tables=np.array([layout.offset(f"categories.{one.column}") for one in encode], dtype=np.int64),
        masks=np.array([slots - 1 for slots, _ in shapes], dtype=np.int64),
        sums=np.array([width - 1 for _, width in shapes], dtype=np.int64),
        prior_weights=np.array([one.prior_weight for one in encode], dtype=np.float64),
    )


def make_vocabulary(spec: ModelSpec, layout: Layout) -> Vocabulary:
    """What the kernels are told of a bounded vocabulary."""
    given = spec.features.vocabulary or VocabularySpec()
    initial = layout.zeros() if given.expire_after else np.empty(0)
    return Vocabulary(layout.offset("vocabulary"), float(given.min_count), float(given.expire_after), initial)


def _free(layout: Layout) -> list[tuple[int, int]]:
    """The intercept's params, or each layer's biases, among the compact ones."""
    shape = layout.shape
    if not shape.sizes:
        return [(layout.dense * shape.width, (layout.dense + 1) * shape.width)]
    free, at = [], 0
    for inputs, outputs in pairwise(shape.sizes):
        at += inputs * outputs
        free.append((at, at + outputs))
        at += outputs
    return free


def make_plan(spec: ModelSpec, layout: Layout) -> Plan:
    """The plan of a checked specification."""
    update, features, learner = spec.update, spec.features, spec.learner
    standard = [SCALINGS[scaling] for scaling in features.scalings()]
    assert spec.loss is not None  # ModelSpec fills it in
    name = spec.optimizer.name
    return Plan(
        fm=1 if learner.name == "factorization-machine" else None,
        net=1 if learner.name == "mlp" else None,
        lazy=1 if name in CLOCKED and name != "normalized-adaptive" else None,
        nag=1 if name == "normalized-adaptive" else None,
        coded=1 if features.encode else None,
        known=1 if features.vocabulary else None,
        task=TASKS[spec.task],
        loss=make_loss(spec.loss, learner.name == "counting"),
        outputs=layout.outputs,
        given=layout.given,
        columns=layout.columns,
        dense=layout.dense,
        mask=layout.hashed - 1,
        width=layout.shape.width,
        always=layout.shape.always,
        factors=learner.factors,
        factor_rate=float(learner.factor_rate),
        activation=ACTIVATIONS[learner.activation],
        sizes=np.array(layout.shape.sizes or (0,), dtype=np.int64),
        optimizer=make_optimizer(spec.optimizer, layout, spec.loss.name),
        categories=make_categories(spec, layout),
        vocabulary=make_vocabulary(spec, layout),
        update=UPDATES[update.name],
        block_rows={"sample": 1, "batch": update.batch_size, "window": update.window_size}[update.name],
        stride=update.stride,
        steps=update.steps if update.name == "window" else 1,
        halt_after=spec.halt_after,
        small_end=layout.small_end,
        clock=layout.offset("clock"),
        scaler=layout.offset("scaler"),
        network=layout.offset("network"),
        network_size=layout.shape.network,
        network_states=np.array(layout.states(network=True), dtype=np.int64),
        table=layout.offset(layout.table),
        table_states=np.array(layout.states(network=False), dtype=np.int64),
        spacing=layout.spacing.get(layout.table, 1),
        histograms=layout.offset("histograms"),
        recent_histograms=layout.offset("recent_histograms"),
        tolerance=float(update.tolerance),
        side=SIDE,
        standard=np.array(standard, dtype=np.uint8),
        pairs=np.array(features.products(), dtype=np.int64).reshape(-1),
        free=np.array(_free(layout), dtype=np.int64).reshape(-1),
    )
