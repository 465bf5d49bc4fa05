"""Learning rates over time; t = samples learned before.

constant          α_t = α
inverse-scaling   α_t = α / (t + 1)^power      (Robbins & Monro 1951; scikit-learn's `invscaling`)
"""

from __future__ import annotations

from models.kernels.elementary import power as to_the_power
from models.kernels.jit import helper

CONSTANT, INVERSE_SCALING = 0, 1
SCHEDULES = {"constant": CONSTANT, "inverse-scaling": INVERSE_SCALING}


@helper
def rate_at(schedule: int, rate: float, power: float, t: float) -> float:
    """α_t."""
    if schedule == INVERSE_SCALING:
        return rate / to_the_power(t + 1.0, power)
    return rate
