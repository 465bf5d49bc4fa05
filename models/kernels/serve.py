"""Predictions with scaler and params as they are; nothing changes."""

from __future__ import annotations

from models.kernels.categories import write_columns
from models.kernels.family import served_scores
from models.kernels.jit import entry_point, helper
from models.kernels.plan import STRUCTS, Batch, Plan
from models.losses import to_prediction
from models.rows import Float64


@helper
def serve(
    S: Float64, plan: Plan, batch: Batch, i: int, columns: Float64, z: Float64, units: Float64,
    slopes: Float64, out: Float64, at: int,
) -> None:  # fmt: skip
    """Write the prediction of row i, with these columns, to out[at : at + K]; the rest is scratch."""
    served_scores(plan.fm, plan.net, S, plan, batch, i, columns, z, units, slopes, out, at)
    to_prediction(plan.task, plan.loss, plan.outputs, out, at)


@entry_point(*STRUCTS, Batch)
def serve_rows(
    S: Float64, plan: Plan, batch: Batch, columns: Float64, z: Float64, units: Float64, slopes: Float64,
    out: Float64,
) -> None:  # fmt: skip
    """Write the predictions of all rows to the flat (n K,) array `out`; columns … slopes are scratch."""
    for i in range(batch.labels.size):
        write_columns(plan.coded, S, plan, batch, i, columns)
        serve(S, plan, batch, i, columns, z, units, slopes, out, i * plan.outputs)
