"""What the kernels are told: structs of plain numbers and arrays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.layout import Layout
from models.losses import COUNTING, TASKS
from models.optimizers import OPTIMIZERS
from models.rows import Float64, Int16, Int64, UInt32
from models.schedules import SCHEDULES
from models.spec import ModelSpec

SAMPLE, BATCH, WINDOW = 0, 1, 2
UPDATES = {"sample": SAMPLE, "batch": BATCH, "window": WINDOW}

UInt8 = npt.NDArray[np.uint8]


class Plan(NamedTuple):
    """A model specification as codes, sizes and offsets into S (-1: no such tensor)."""

    task: int
    loss: int
    outputs: int
    columns: int
    dense: int
    mask: int  # 2^hash_bits - 1, or -1 for a dense model
    optimizer: int
    schedule: int
    update: int
    block_rows: int  # rows of a batch or a window
    stride: int
    steps: int
    halt_after: int  # refusals in a row; 0: never
    small_end: int
    scaler: int
    weights: int
    state_a: int
    state_b: int
    histograms: int
    recent_histograms: int
    rate: float
    power: float
    l1: float
    l2: float
    beta: float
    tolerance: float
    standard: UInt8  # (d,) 1: standardise this column
    pairs: Int64  # (2 P,) the columns of each product


class Batch(NamedTuple):
    """The arrays of `Rows` that kernels read, flat and read-only."""

    numeric: Float64
    indptr: Int64
    indices: UInt32
    values: Float64
    scaled_by: Int16
    labels: Float64
    weights: Float64


class Stored(NamedTuple):
    """Rows as they were scaled on arrival: see RowBuffer."""

    x: Float64
    labels: Float64
    weights: Float64
    indptr: Int64
    coordinates: UInt32
    values: Float64


class Scratch(NamedTuple):
    """Working memory of one model; nothing in it outlives a row, and none of it is state."""

    z: Float64  # (dense,) features under the old scaler
    scaler: Float64  # (3 d,) the new scaler
    scores: Float64  # (K,)
    penalty: Float64  # (1,) the new cumulative penalty
    slots: UInt32  # (2^hash_bits,) hashed coordinate → compact position; 0 between rows
    touched: Int64  # (n,) compact position → coordinate
    entry_slots: UInt32  # (entries,) compact position of each stored entry of the step
    w: Float64  # (n K,) weights, state and gradient of the touched coordinates
    a: Float64
    b: Float64
    g: Float64


def make_plan(spec: ModelSpec, layout: Layout) -> Plan:
    """The plan of a checked specification."""
    optimizer, update, features = spec.optimizer, spec.update, spec.features
    state = [layout.offset(name) for name in layout.state_names] + [-1, -1]
    standard = [f.scaling == "standard" for f in features.numeric for _ in f.columns()]
    return Plan(
        task=TASKS[spec.task],
        loss=COUNTING if spec.learner.name == "counting" else TASKS[spec.task],
        outputs=layout.outputs,
        columns=layout.columns,
        dense=layout.dense,
        mask=layout.hashed - 1,
        optimizer=OPTIMIZERS[optimizer.name],
        schedule=SCHEDULES[optimizer.schedule.name],
        update=UPDATES[update.name],
        block_rows={"sample": 1, "batch": update.batch_size, "window": update.window_size}[update.name],
        stride=update.stride,
        steps=update.steps if update.name == "window" else 1,
        halt_after=spec.halt_after,
        small_end=layout.small_end,
        scaler=layout.offset("scaler"),
        weights=layout.offset("weights"),
        state_a=state[0],
        state_b=state[1],
        histograms=layout.offset("histograms"),
        recent_histograms=layout.offset("recent_histograms"),
        rate=float(optimizer.learning_rate),
        power=float(optimizer.schedule.power),
        l1=float(optimizer.l1),
        l2=float(optimizer.l2),
        beta=float(optimizer.beta),
        tolerance=float(update.tolerance),
        standard=np.array(standard, dtype=np.uint8),
        pairs=np.array(features.products(), dtype=np.int64).reshape(-1),
    )
