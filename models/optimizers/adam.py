"""Adam (Kingma & Ba, ICLR 2015), and AdamW, whose weights decay apart from the gradient (Loshchilov & Hutter,
ICLR 2019). t counts the optimizer's steps from 1.

    m ← β1 m + (1 - β1) g
    v ← β2 v + (1 - β2) g²
    θ ← θ - α_t ( m / (1 - β1^t) / (√(v / (1 - β2^t)) + ε)  +  λ θ )        λ = 0 for Adam

λ is not for the intercept and not for a network's biases.
"""

from __future__ import annotations

import math

from models.kernels.jit import part
from models.rows import Float64


@part
def adam_step(
    w: Float64, state: Float64, room: int, g: Float64, size: int, rate: float, beta1: float, beta2: float,
    epsilon: float, left1: float, left2: float,
) -> None:  # fmt: skip
    """One step on w[:size] without the decay; m_j stands at state[j], v_j at state[room + j].

    left1, left2: 1 - β1^t and 1 - β2^t.
    """
    for j in range(size):
        first = beta1 * state[j] + (1.0 - beta1) * g[j]
        second = beta2 * state[room + j] + (1.0 - beta2) * (g[j] * g[j])
        state[j] = first
        state[room + j] = second
        w[j] -= rate * ((first / left1) / (math.sqrt(second / left2) + epsilon))
