"""Losses from predictions: one code for every system, so that nobody's own way of counting matters."""

from __future__ import annotations

import numpy as np

from models.rows import Float64, Int64
from models.spec import Task

CLIP = 1e-15
"""Probabilities are taken to be within [CLIP, 1 - CLIP], as in gradstream's own metrics."""
CHOSEN_BY: dict[Task, str] = {"binary": "log_loss", "multiclass": "log_loss", "regression": "rmse"}
"""What a setting is chosen by; less is better."""

Scores = dict[str, float | None]
"""By name; None: the learner has diverged."""


def score(task: Task, predictions: Float64, labels: Float64) -> Scores:
    """Every sample has weight 1.

    `predictions` (n, K): a number (regression), the probability of the second class (binary), those of all
    classes (multiclass); `labels` (n,): a number, or the position of the class. With a prediction that is
    not finite, or a number beyond 1e100, the learner has diverged.
    """
    if not (np.abs(predictions) < 1e100).all():
        return dict.fromkeys(("rmse", "mae") if task == "regression" else ("log_loss", "error"))
    if task == "regression":
        residuals = predictions[:, 0] - labels
        return {"rmse": float(np.sqrt(np.mean(residuals**2))), "mae": float(np.mean(np.abs(residuals)))}
    positions = labels.astype(np.int64)
    if task == "binary":
        predictions = np.column_stack([1.0 - predictions[:, 0], predictions[:, 0]])
    of_truth = predictions[np.arange(len(labels)), positions]
    return {
        "log_loss": float(-np.mean(np.log(np.clip(of_truth, CLIP, 1.0 - CLIP)))),
        "error": float(np.mean(_classes(task, predictions) != positions)),
    }


def _classes(task: Task, predictions: Float64) -> Int64:
    """The most probable class; of two equally probable ones the second, as gradstream decides."""
    best = predictions[:, 1] >= 0.5 if task == "binary" else predictions.argmax(axis=1)
    return np.asarray(best, dtype=np.int64)


def mean(scores: list[Scores]) -> Scores:
    """The mean of each score over several orders of the same samples."""
    values = {name: [one[name] for one in scores] for name in scores[0]}
    return {name: None if None in found else float(np.mean(found)) for name, found in values.items()}  # type: ignore[arg-type]
