"""Factorization machines of second order (Rendle, ICDM 2010), for each output k:

    s = θ_0 + Σ_i θ_i x_i + Σ_(i<j) ⟨v_i, v_j⟩ x_i x_j
      = θ_0 + Σ_i θ_i x_i + ½ Σ_f [ (Σ_i v_if x_i)² - Σ_i (v_if x_i)² ]

    ∂s/∂θ_i = x_i,    ∂s/∂v_if = x_i (Σ_j v_jf x_j - v_if x_i)

i goes over the dense features and the entries, in this order; two entries of one coordinate are two features.
The params of a coordinate are its K weights and then the f factors of each output. Factors begin at small
numbers (models.learners.initial), because at zero their gradient is zero, too.
"""

from __future__ import annotations

from models.kernels.jit import helper, part
from models.rows import Float64, UInt32


@helper
def begin_sums(sums: Float64, count: int) -> None:
    """sums: count sums of v x, then count sums of their squares."""
    for q in range(2 * count):
        sums[q] = 0.0


@helper
def take_feature(
    params: Float64, p: int, x: float, outputs: int, factors: int, sums: Float64, out: Float64, at: int
) -> None:
    """Add feature x, whose params stand at params[p], to the linear part out[at : at + K] and the sums."""
    count = outputs * factors
    for k in range(outputs):
        out[at + k] += params[p + k] * x
    for q in range(count):
        part = params[p + outputs + q] * x
        sums[q] += part
        sums[count + q] += part * part


@helper
def end_sums(outputs: int, factors: int, sums: Float64, out: Float64, at: int) -> None:
    """Add the pairs' part to out[at : at + K]."""
    count = outputs * factors
    for k in range(outputs):
        total = 0.0
        for f in range(k * factors, (k + 1) * factors):
            total += sums[f] * sums[f] - sums[count + f]
        out[at + k] += 0.5 * total


@part
def stored_scores(
    w: Float64, outputs: int, factors: int, dense: int, x: Float64, xat: int, slots: UInt32, values: Float64,
    first: int, last: int, entries: int, sums: Float64, out: Float64,
) -> None:  # fmt: skip
    """Raw scores of a stored row from compact params; leaves the row's sums behind for `add_gradient`."""
    width, shift = outputs * (1 + factors), entries - first
    for k in range(outputs):
        out[k] = w[dense * width + k]
    begin_sums(sums, outputs * factors)
    for j in range(dense):
        take_feature(w, j * width, x[xat + j], outputs, factors, sums, out, 0)
    for e in range(first, last):
        take_feature(w, slots[e + shift] * width, values[e], outputs, factors, sums, out, 0)
    end_sums(outputs, factors, sums, out, 0)


@helper
def add_feature(
    w: Float64, g: Float64, p: int, x: float, outputs: int, factors: int, sums: Float64,
    derivative: Float64, weight: float,
) -> None:  # fmt: skip
    """Add the gradient by the params of one feature."""
    for k in range(outputs):
        r = weight * derivative[k] * x
        g[p + k] += r
        for f in range(k * factors, (k + 1) * factors):
            g[p + outputs + f] += r * (sums[f] - w[p + outputs + f] * x)


@part
def add_gradient(
    w: Float64, g: Float64, outputs: int, factors: int, dense: int, x: Float64, xat: int, slots: UInt32,
    values: Float64, first: int, last: int, entries: int, sums: Float64, derivative: Float64, weight: float,
) -> None:  # fmt: skip
    """g += weight · ∂J/∂params of the row, after `stored_scores` of the same row."""
    width, shift = outputs * (1 + factors), entries - first
    for k in range(outputs):
        g[dense * width + k] += weight * derivative[k]
    for j in range(dense):
        add_feature(w, g, j * width, x[xat + j], outputs, factors, sums, derivative, weight)
    for e in range(first, last):
        p = slots[e + shift] * width
        add_feature(w, g, p, values[e], outputs, factors, sums, derivative, weight)
