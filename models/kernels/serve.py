"""Predictions with scaler and params as they are; nothing changes."""

from __future__ import annotations

from models.kernels.jit import entry_point, helper
from models.kernels.plan import Batch, Plan
from models.losses import to_prediction
from models.rows import Float64
from models.scaling import multiply, scale


@helper
def serve(S: Float64, plan: Plan, batch: Batch, i: int, z: Float64, out: Float64, at: int) -> None:
    """Write the prediction of row i to out[at : at + K]; z is scratch for the dense features.

    Sums run in the order of `learners.linear.raw_scores`.
    """
    d, outputs, base = plan.columns, plan.outputs, plan.weights
    scale(S, plan.scaler, batch.numeric, i * d, d, plan.standard, z, 0)
    multiply(plan.pairs, d, z, 0)
    hashed = base + (plan.dense + 1) * outputs
    for k in range(outputs):
        s = S[base + plan.dense * outputs + k]
        for j in range(plan.dense):
            s += S[base + j * outputs + k] * z[j]
        for e in range(batch.indptr[i], batch.indptr[i + 1]):
            c = batch.scaled_by[e]
            value = batch.values[e] * z[c] if c >= 0 else batch.values[e]
            s += S[hashed + (batch.indices[e] & plan.mask) * outputs + k] * value
        out[at + k] = s
    to_prediction(plan.task, outputs, out, at)


@entry_point(Plan, Batch)
def serve_rows(S: Float64, plan: Plan, batch: Batch, z: Float64, out: Float64) -> None:
    """Write the predictions of all rows to the flat (n K,) array `out`; z is (dense,) scratch."""
    for i in range(batch.labels.size):
        serve(S, plan, batch, i, z, out, i * plan.outputs)
