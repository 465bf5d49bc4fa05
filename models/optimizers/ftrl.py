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

from models.kernels.jit import part
from models.rows import Float64


@part
def ftrl_step(
    w: Float64, state: Float64, room: int, g: Float64, start: int, stop: int, alpha: float, beta: float,
    l1: float, l2: float,
) -> None:  # fmt: skip
    """One step on w[start:stop]; z_j stands at state[j], n_j at state[room + j]."""
    for j in range(start, stop):
        total = state[room + j] + g[j] * g[j]
        root = math.sqrt(total)
        sigma = (root - math.sqrt(state[room + j])) / alpha
        z_j = state[j] + (g[j] - sigma * w[j])
        state[j] = z_j
        state[room + j] = total
        if abs(z_j) <= l1:
            w[j] = 0.0
        else:
            shrunk = z_j - l1 if z_j > 0.0 else z_j + l1
            w[j] = -shrunk / ((beta + root) / alpha + l2)
