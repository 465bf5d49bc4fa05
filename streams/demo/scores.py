"""How good predictions are, as plain formulas: computed from what a consumer of the topic has in hand."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from models.rows import Float64

CLIP = 1e-15


class Score(NamedTuple):
    """None where it is undefined: no labelled sample (all), or one class only (roc_auc)."""

    log_loss: float | None
    roc_auc: float | None
    accuracy: float | None


def score(labels: Float64, probabilities: Float64) -> Score:
    """Of the samples that have a label (0 or 1) and a probability of 1; NaN where not. Both (n,)."""
    known = np.isfinite(labels) & np.isfinite(probabilities)
    y, p = labels[known], probabilities[known]
    if not len(y):
        return Score(None, None, None)
    return Score(log_loss(y, p), roc_auc(y, p), float(np.mean((p >= 0.5) == (y == 1))))


def log_loss(y: Float64, p: Float64) -> float:
    """−mean(y ln p + (1 − y) ln(1 − p)), with p clipped to [1e-15, 1 − 1e-15]."""
    p = np.clip(p, CLIP, 1 - CLIP)
    return float(-np.mean(np.where(y == 1, np.log(p), np.log1p(-p))))


def roc_auc(y: Float64, p: Float64) -> float | None:
    """The share of pairs, one of each class, in the right order; ties count half (Mann and Whitney 1947)."""
    positives, negatives = np.sort(p[y == 1]), np.sort(p[y == 0])
    if not len(positives) or not len(negatives):
        return None
    below, not_above = (np.searchsorted(negatives, positives, side).sum() for side in ("left", "right"))
    return float(below + not_above) / 2 / (len(positives) * len(negatives))
