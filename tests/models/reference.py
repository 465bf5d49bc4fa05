"""The normative arithmetic once more, written to be read: numpy on whole vectors, nothing incremental.

Means and variances come from the list of all values seen, features are dense vectors of all coordinates,
every step moves every param, and each formula stands as in its paper. No code is shared with models/.
"""

from __future__ import annotations

import numpy as np

from models.rows import Rows
from models.spec import ModelSpec
from tests.models.reference_losses import gradient, mean
from tests.models.reference_optimizers import Optimizer, clipped, rate_at

Row = tuple[np.ndarray, np.ndarray, float, float]
"""x (C,), touched (C,), label, weight."""


class Reference:
    """A linear model; `theta` is (C, K), coordinates as in models.layout."""

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec
        features = spec.features
        self.standard = [f.scaling == "standard" for f in features.numeric for _ in f.columns()]
        self.d = len(self.standard)
        self.dense = self.d + len(features.products())
        self.hashed = 0 if features.hash_bits is None else 2**features.hash_bits
        self.coordinates = self.dense + 1 + self.hashed
        self.begin(np.zeros((self.coordinates, spec.outputs)))
        self.seen: list[list[float]] = [[] for _ in range(self.d)]
        self.learned = 0
        self.buffer: list[Row] = []

    def begin(self, theta: np.ndarray) -> None:
        """Params to begin with."""
        self.theta, self.q, self.u = theta, np.zeros(theta.shape), 0.0
        self.free = self.free_params()
        self.optimizer = Optimizer(self.spec.optimizer, theta.shape, self.free)
        self.optimizer.begin(theta)

    def free_params(self) -> np.ndarray:
        """A mask of those that no penalty touches."""
        free = np.zeros(self.theta.shape, dtype=bool)
        free[self.dense] = True
        return free

    def params_of(self, touched: np.ndarray) -> np.ndarray:
        """A mask of the params of the coordinates `touched` (a mask)."""
        return np.broadcast_to(touched[:, None], self.theta.shape)

    def predict_and_learn(self, rows: Rows) -> np.ndarray:
        served = []
        for i in range(len(rows)):
            x, _ = self.encode(rows, i)
            served.append(mean(self.spec.loss, self.scores(x)))
            if not np.isnan(rows.labels[i]):
                self.learn(rows, i)
        return np.array(served).reshape(len(rows), self.spec.outputs)

    def learn(self, rows: Rows, i: int) -> None:
        for values, value in zip(self.seen, rows.numeric[i], strict=True):
            if not np.isnan(value):
                values.append(value)
        x, touched = self.encode(rows, i)
        self.buffer.append((x, touched, rows.labels[i], rows.weights[i]))
        update = self.spec.update
        if update.name == "sample":
            self.step(self.buffer, mean=False)
            self.buffer = []
        elif update.name == "batch" and len(self.buffer) == update.batch_size:
            self.step(self.buffer, mean=True)
            self.buffer = []
        elif update.name == "window":
            self.buffer = self.buffer[-update.window_size :]
            if (self.learned + 1) % update.stride == 0:
                for _ in range(update.steps):
                    if not self.step(self.buffer, mean=True):
                        break
        self.learned += 1

    def encode(self, rows: Rows, i: int) -> tuple[np.ndarray, np.ndarray]:
        x, touched = np.zeros(self.coordinates), np.zeros(self.coordinates, dtype=bool)
        touched[: self.dense + 1] = True
        for c, value in enumerate(rows.numeric[i]):
            x[c] = self.scaled(c, value)
        for j, (a, b) in enumerate(self.spec.features.products()):
            x[self.d + j] = x[a] * x[b]
        x[self.dense] = 1.0
        for e in range(rows.indptr[i], rows.indptr[i + 1]):
            coordinate = self.dense + 1 + int(rows.indices[e]) % self.hashed
            by = rows.scaled_by[e]
            x[coordinate] += rows.values[e] * (x[by] if by >= 0 else 1.0)
            touched[coordinate] = True
        return x, touched

    def scaled(self, c: int, value: float) -> float:
        seen = self.seen[c]
        if not self.standard[c]:
            return value if not np.isnan(value) else float(np.mean(seen)) if seen else 0.0
        if np.isnan(value) or len(set(seen)) < 2:
            return 0.0
        return float((value - np.mean(seen)) / np.std(seen))

    def scores(self, x: np.ndarray) -> np.ndarray:
        """Raw scores by which a sample is served."""
        return x @ self.theta

    def rate(self) -> float:
        """By the samples learned before; with an optimizer that has a clock, by its steps."""
        clocked = self.spec.optimizer.name in ("momentum", "nesterov", "rmsprop", "adam", "adamw")
        return rate_at(self.spec.optimizer, self.optimizer.steps if clocked else self.learned)

    def row_gradient(self, x: np.ndarray, label: float) -> np.ndarray:
        """∂J/∂θ of one sample."""
        return np.outer(x, gradient(self.spec.loss, x @ self.theta, label))

    def gradient(self, rows: list[Row], mean: bool) -> np.ndarray:
        """Σ w g, or Σ w g / Σ w."""
        g = np.zeros_like(self.theta)
        for x, _, label, weight in rows:
            g += weight * self.row_gradient(x, label)
        return g / sum(row[3] for row in rows) if mean else g

    def step(self, rows: list[Row], mean: bool) -> bool:
        """One step; False if there was none."""
        spec, rows = self.spec.optimizer, [row for row in rows if row[3] > 0]
        if not rows:
            return False
        touched = self.params_of(np.any([row[1] for row in rows], axis=0))
        penalised = touched & ~self.free
        g = clipped(spec, self.gradient(rows, mean))
        if spec.name != "ftrl-proximal":
            g[penalised] += spec.l2 * self.theta[penalised]
        if self.spec.update.name == "window" and np.linalg.norm(g[touched]) < self.spec.update.tolerance:
            return False
        rate = self.rate()
        self.theta = self.optimizer.step(self.theta, g, rate)
        if spec.name != "ftrl-proximal":
            self.penalise(penalised, rate)
        return True

    def penalise(self, penalised: np.ndarray, rate: float) -> None:
        """L1 by cumulative penalty (Tsuruoka et al. 2009, figure 2), on a mask of params."""
        self.u += rate * self.spec.optimizer.l1
        if self.spec.optimizer.l1 > 0:
            before = self.theta[penalised]
            up = np.maximum(0, before - (self.u + self.q[penalised]))
            down = np.minimum(0, before + (self.u - self.q[penalised]))
            self.theta[penalised] = np.where(before > 0, up, np.where(before < 0, down, before))
            self.q[penalised] += self.theta[penalised] - before
