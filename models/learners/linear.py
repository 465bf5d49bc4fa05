"""The linear model: s_k = θ_0k + Σ_i θ_ik x_i, summed in the order intercept, dense features, entries.

A row's features are x[xat : xat + dense] and, for e in [first, last), values[e] at coordinate
`coordinates[e]` (which counts from the dense features on). The same functions run on S and on the compact
arrays of a step, where `coordinates` are compact positions.
"""

from __future__ import annotations

from models.kernels.jit import helper, unsigned
from models.rows import Float64, UInt32


@helper
def raw_scores(
    params: Float64,
    base: int,
    spacing: int,
    outputs: int,
    dense: int,
    x: Float64,
    xat: int,
    coordinates: UInt32,
    values: Float64,
    first: int,
    last: int,
    entries: int,
    out: Float64,
    at: int,
) -> None:
    """Write the K raw scores of a row to out[at : at + K].

    The weight of coordinate i and output k is params[base + spacing (i K + k)]; the coordinate of the row's
    first entry is coordinates[entries].
    """
    shift = entries - first
    if outputs == 1:
        s = params[unsigned(base + spacing * dense)]
        for j in range(dense):
            s += params[unsigned(base + spacing * j)] * x[unsigned(xat + j)]
        for e in range(first, last):
            s += params[unsigned(base + spacing * coordinates[e + shift])] * values[unsigned(e)]
        out[at] = s
        return
    for k in range(outputs):
        out[at + k] = params[base + spacing * (dense * outputs + k)]
    for j in range(dense):
        for k in range(outputs):
            out[at + k] += params[base + spacing * (j * outputs + k)] * x[xat + j]
    for e in range(first, last):
        p = coordinates[e + shift] * outputs
        for k in range(outputs):
            out[at + k] += params[base + spacing * (p + k)] * values[e]


@helper
def add_gradient(
    g: Float64,
    outputs: int,
    dense: int,
    x: Float64,
    xat: int,
    slots: UInt32,
    values: Float64,
    first: int,
    last: int,
    entries: int,
    derivative: Float64,
    weight: float,
) -> None:
    """g_ik += (weight ∂J/∂s_k) x_i for the row's coordinates, in compact positions."""
    shift = entries - first
    for k in range(outputs):
        r = weight * derivative[k]
        g[dense * outputs + k] += r
        for j in range(dense):
            g[j * outputs + k] += r * x[unsigned(xat + j)]
        for e in range(first, last):
            g[slots[e + shift] * outputs + k] += r * values[e]


@helper
def row_explodes(
    x: Float64,
    xat: int,
    dense: int,
    values: Float64,
    first: int,
    last: int,
    derivative: Float64,
    outputs: int,
    weight: float,
    limit: float,
) -> bool:
    """Whether an element of the row's own gradient is not finite or beyond ±limit."""
    bad = 0
    for k in range(outputs):
        r = weight * derivative[k]
        if not abs(r) <= limit:
            bad += 1
        for j in range(dense):
            if not abs(r * x[unsigned(xat + j)]) <= limit:
                bad += 1
        for e in range(first, last):
            if not abs(r * values[e]) <= limit:
                bad += 1
    return bad > 0
