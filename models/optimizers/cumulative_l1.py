"""L1 by cumulative penalty (Tsuruoka, Tsujii & Ananiadou, ACL 2009, figure 2).

u is the penalty that every weight could have received so far (Σ α_t λ1), q_i what weight i did receive:

    θ_i > 0:  θ_i ← max(0, θ_i - (u + q_i))
    θ_i < 0:  θ_i ← min(0, θ_i + (u - q_i))
    q_i ← q_i + (θ_i after - θ_i before)

so a weight that is touched seldom catches up when it is touched.
"""

from __future__ import annotations

from models.kernels.jit import helper
from models.rows import Float64


@helper
def apply_penalty(w: Float64, q: Float64, at: int, start: int, stop: int, u: float) -> None:
    """Penalise w[start:stop]; q_j stands at q[at + j]."""
    for j in range(start, stop):
        before = w[j]
        after = before
        if before > 0.0:
            after = max(0.0, before - (u + q[at + j]))
        elif before < 0.0:
            after = min(0.0, before + (u - q[at + j]))
        w[j] = after
        q[at + j] += after - before
