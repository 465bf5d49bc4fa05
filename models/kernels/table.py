"""Params for people: where the optimizer moves them in every step, they are brought up to date."""

from __future__ import annotations

from models.kernels.family import param
from models.kernels.jit import entry_point
from models.kernels.plan import STRUCTS, Plan
from models.rows import Float64, Int64


@entry_point(*STRUCTS)
def read_table(S: Float64, plan: Plan, coordinates: Int64, out: Float64) -> None:
    """Write the first K params of each coordinate to the flat (n K,) array `out`."""
    for i in range(coordinates.size):
        for k in range(plan.outputs):
            j = coordinates[i] * plan.width + k
            if coordinates[i] < plan.always:
                out[i * plan.outputs + k] = param(None, plan.nag, S, plan, j)
            else:
                out[i * plan.outputs + k] = param(plan.lazy, plan.nag, S, plan, j)
