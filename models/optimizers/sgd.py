"""Stochastic gradient descent: θ ← θ - α_t g   (Robbins & Monro 1951)."""

from __future__ import annotations

from models.kernels.jit import helper
from models.rows import Float64


@helper
def sgd_step(w: Float64, g: Float64, size: int, rate: float) -> None:
    """One step on w[:size]."""
    for j in range(size):
        w[j] -= rate * g[j]
