"""FTRL-proximal, per coordinate (McMahan et al., Ad Click Prediction: a View from the Trenches, KDD 2013).

    σ = (√(n + g²) - √n) / α
    z ← z + g - σ θ
    n ← n + g²
    θ = 0                                              if |z| ≤ λ1
        -(z - sign(z) λ1) / ((β + √n) / α + λ2)        otherwise

θ is stored as soon as z and n change, so that the next prediction uses it. (River applies the last line
at the start of its next step, so its predictions trail by one step.)
"""

from __future__ import annotations

import math

from models.kernels.jit import helper
from models.rows import Float64


@helper
def ftrl_step(
    w: Float64,
    z: Float64,
    squares: Float64,
    g: Float64,
    n: int,
    outputs: int,
    free: int,
    alpha: float,
    beta: float,
    l1: float,
    l2: float,
) -> None:
    """One step on n coordinates × outputs; `free` is not penalised."""
    for i in range(n):
        l1_i = 0.0 if i == free else l1
        l2_i = 0.0 if i == free else l2
        for j in range(i * outputs, (i + 1) * outputs):
            total = squares[j] + g[j] * g[j]
            root = math.sqrt(total)
            sigma = (root - math.sqrt(squares[j])) / alpha
            z_j = z[j] + (g[j] - sigma * w[j])
            z[j] = z_j
            squares[j] = total
            if abs(z_j) <= l1_i:
                w[j] = 0.0
            else:
                shrunk = z_j - l1_i if z_j > 0.0 else z_j + l1_i
                w[j] = -shrunk / ((beta + root) / alpha + l2_i)
