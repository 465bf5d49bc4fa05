"""Gradient descent with momentum (Polyak 1964; Nesterov 1983, as in Sutskever et al., ICML 2013).

m ← μ m + g
momentum   θ ← θ - α_t m
nesterov   θ ← θ - α_t (g + μ m)
"""

from __future__ import annotations

from models.kernels.jit import part
from models.rows import Float64


@part
def momentum_step(w: Float64, m: Float64, g: Float64, size: int, rate: float, mu: float, ahead: bool) -> None:
    """One step on w[:size] and m[:size]; `ahead`: Nesterov's."""
    if ahead:
        for j in range(size):
            m[j] = mu * m[j] + g[j]
            w[j] -= rate * (g[j] + mu * m[j])
    else:
        for j in range(size):
            m[j] = mu * m[j] + g[j]
            w[j] -= rate * m[j]
