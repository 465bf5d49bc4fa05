"""RMSProp:  v ← ρ v + (1 - ρ) g²,  θ ← θ - α_t g / √(v + ε)   (Tieleman & Hinton, lecture 6.5, 2012)."""

from __future__ import annotations

import math

from models.kernels.jit import part
from models.rows import Float64


@part
def rmsprop_step(
    w: Float64, v: Float64, g: Float64, size: int, rate: float, rho: float, epsilon: float
) -> None:
    """One step on w[:size] and v[:size]."""
    for j in range(size):
        v[j] = rho * v[j] + (1.0 - rho) * (g[j] * g[j])
        w[j] -= rate * g[j] / math.sqrt(v[j] + epsilon)
