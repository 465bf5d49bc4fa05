"""The losses once more in numpy, as their formulas stand in papers; no code is shared with models/."""

from __future__ import annotations

import numpy as np
from scipy.special import expit, log_expit, log_softmax, softmax

from models.spec import LossSpec


def loss_value(spec: LossSpec, s: np.ndarray, label: float) -> float:
    """J of the raw scores s (K,)."""
    if spec.name == "cross-entropy":
        return float(-log_softmax(s)[int(label)])
    sign, error = 2.0 * label - 1.0, s[0] - label
    if spec.name == "log":
        return float(-log_expit(sign * s[0]))
    if spec.name == "huber":
        small = abs(error) <= spec.delta
        return 0.5 * error**2 if small else spec.delta * (abs(error) - 0.5 * spec.delta)
    return float(
        {
            "squared": 0.5 * error**2,
            "absolute": abs(error),
            "quantile": max(spec.quantile * -error, (spec.quantile - 1.0) * -error),
            "poisson": np.exp(s[0]) - label * s[0],
            "hinge": max(0.0, 1.0 - sign * s[0]),
            "squared-hinge": max(0.0, 1.0 - sign * s[0]) ** 2,
        }[spec.name]
    )


def gradient(spec: LossSpec, s: np.ndarray, label: float) -> np.ndarray:
    """∂J/∂s (K,); 0 at a kink."""
    if spec.name == "cross-entropy":
        return softmax(s) - np.eye(len(s))[int(label)]
    sign, error = 2.0 * label - 1.0, s - label
    margin = 1.0 - sign * s
    return {
        "squared": error,
        "absolute": np.sign(error),
        "huber": np.clip(error, -spec.delta, spec.delta),
        "quantile": np.where(error > 0, 1.0 - spec.quantile, np.where(error < 0, -spec.quantile, 0.0)),
        "poisson": np.exp(s) - label,
        "log": expit(s) - label,
        "hinge": np.where(margin > 0, -sign, 0.0),
        "squared-hinge": -2.0 * sign * np.maximum(margin, 0.0),
    }[spec.name]


def mean(spec: LossSpec, s: np.ndarray) -> np.ndarray:
    """The prediction that raw scores s (K,) make."""
    if spec.name == "cross-entropy":
        return softmax(s)
    if spec.name in ("log", "hinge", "squared-hinge"):
        return expit(s)
    return np.exp(s) if spec.name == "poisson" else s
