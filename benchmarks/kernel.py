"""The expert's learner: logistic regression, standardised online, AdaGrad; one numba kernel."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

Float64 = npt.NDArray[np.float64]

EPSILON = 1e-8


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def test_then_train(
    x: Float64, labels: Float64, state: Float64, count: float, learning_rate: float, probabilities: Float64
) -> float:
    """Predict, then learn, each of the n rows in order; returns the new count of samples.

    `x` (n, d); `labels` (n,) 0 or 1; `state` (4, d + 1) is changed in place: rows mean, M2 (sum of squared
    deviations, Welford 1962), θ and G, the last column the intercept's; `probabilities` (n,) is filled.

    z = (x − mean) / √(M2 / count), 0 where M2 is 0; p = σ(θ·z + b); g = (p − y) z;
    G ← G + g²; θ ← θ − α g / √(G + ε) (Duchi, Hazan, Singer 2011). p as served comes before x enters
    mean and M2, the gradient after it: as River's pipelines and gradstream do.
    """
    n, d = x.shape
    mean, m2, theta, squares = state[0], state[1], state[2], state[3]
    z = np.empty(d)
    for i in range(n):
        score = theta[d]
        for j in range(d):
            if m2[j] > 0.0:
                score += theta[j] * (x[i, j] - mean[j]) / math.sqrt(m2[j] / count)
        probabilities[i] = 1.0 / (1.0 + math.exp(-score))
        count += 1.0
        score = theta[d]
        for j in range(d):
            delta = x[i, j] - mean[j]
            mean[j] += delta / count
            m2[j] += delta * (x[i, j] - mean[j])
            z[j] = (x[i, j] - mean[j]) / math.sqrt(m2[j] / count) if m2[j] > 0.0 else 0.0
            score += theta[j] * z[j]
        error = 1.0 / (1.0 + math.exp(-score)) - labels[i]
        for j in range(d):
            gradient = error * z[j]
            squares[j] += gradient * gradient
            theta[j] -= learning_rate * gradient / math.sqrt(squares[j] + EPSILON)
        squares[d] += error * error
        theta[d] -= learning_rate * error / math.sqrt(squares[d] + EPSILON)
    return count
