"""AdaGrad, diagonal:  G ← G + g²,  θ ← θ - α_t g / √(G + ε),  ε = 1e-8   (Duchi, Hazan & Singer 2011)."""

from __future__ import annotations

import math

from models.kernels.jit import helper
from models.rows import Float64

EPSILON = 1e-8


@helper
def adagrad_step(w: Float64, squares: Float64, g: Float64, size: int, rate: float) -> None:
    """One step on w[:size] and G = squares[:size]."""
    for j in range(size):
        total = squares[j] + g[j] * g[j]
        squares[j] = total
        w[j] -= rate * g[j] / math.sqrt(total + EPSILON)
