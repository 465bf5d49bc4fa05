"""Reasons to refuse an update, and what counts as exploding."""

from __future__ import annotations

from models.kernels.jit import helper, unsigned
from models.rows import Float64
from models.scaling import LIMIT

ACCEPTED, BAD_LABEL, BAD_WEIGHT, BAD_FEATURES, BAD_SCORE, BAD_GRADIENT, BAD_PARAMS = 0, 1, 2, 3, 4, 5, 6
REASONS = {
    BAD_LABEL: "label is none of the task",
    BAD_WEIGHT: "weight is not finite or negative",
    BAD_FEATURES: "features are not finite or explode",
    BAD_SCORE: "raw score is not finite or explodes",
    BAD_GRADIENT: "gradient is not finite or explodes",
    BAD_PARAMS: "params or optimizer state are not finite or explode",
}


@helper
def explodes(values: Float64, size: int) -> bool:
    """Whether one of values[:size] is not finite or beyond ±1e150."""
    return explodes_from(values, 0, size)


@helper
def explodes_from(values: Float64, at: int, size: int) -> bool:
    """The same of values[at : at + size]."""
    bad = 0
    for j in range(at, at + size):
        if not abs(values[unsigned(j)]) <= LIMIT:
            bad += 1
    return bad > 0
