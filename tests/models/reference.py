"""The normative arithmetic once more, written to be read: numpy on whole vectors, nothing incremental.

Means and variances come from the list of all values seen, features are dense vectors of all coordinates,
and each formula stands as in its paper. No code is shared with models/.
"""

from __future__ import annotations

import numpy as np

from models.rows import Rows
from models.spec import ModelSpec


class Reference:
    """A linear model; `theta` is (C, K), coordinates as in models.layout."""

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec
        features = spec.features
        self.standard = [f.scaling == "standard" for f in features.numeric for _ in f.columns()]
        self.d = len(self.standard)
        self.dense = self.d + len(features.products())
        self.hashed = 0 if features.hash_bits is None else 2**features.hash_bits
        shape = (self.dense + 1 + self.hashed, spec.outputs)
        self.theta, self.G, self.z, self.n, self.q = (np.zeros(shape) for _ in range(5))
        self.u = 0.0
        self.seen: list[list[float]] = [[] for _ in range(self.d)]
        self.learned = 0
        self.buffer: list[tuple[np.ndarray, np.ndarray, float, float]] = []

    def predict_and_learn(self, rows: Rows) -> np.ndarray:
        served = []
        for i in range(len(rows)):
            x, _ = self.encode(rows, i)
            served.append(self.mean(x @ self.theta))
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
        x, touched = np.zeros(len(self.theta)), np.zeros(len(self.theta), dtype=bool)
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

    def mean(self, scores: np.ndarray) -> np.ndarray:
        if self.spec.task == "regression":
            return scores
        if self.spec.task == "binary":
            return 1.0 / (1.0 + np.exp(-scores))
        e = np.exp(scores - scores.max())
        return e / e.sum()

    def rate(self) -> float:
        optimizer = self.spec.optimizer
        if optimizer.schedule.name == "constant":
            return optimizer.learning_rate
        return optimizer.learning_rate / (self.learned + 1) ** optimizer.schedule.power

    def step(self, rows: list[tuple[np.ndarray, np.ndarray, float, float]], mean: bool) -> bool:
        """One step; False if there was none."""
        optimizer, rows = self.spec.optimizer, [row for row in rows if row[3] > 0]
        if not rows:
            return False
        touched = np.any([row[1] for row in rows], axis=0)
        penalised = touched.copy()
        penalised[self.dense] = False
        g = np.zeros_like(self.theta)
        for x, _, label, weight in rows:
            target = np.eye(self.spec.outputs)[int(label)] if self.spec.task == "multiclass" else label
            g += weight * np.outer(x, self.mean(x @ self.theta) - target)
        if mean:
            g /= sum(row[3] for row in rows)
        if optimizer.name != "ftrl-proximal":
            g[penalised] += optimizer.l2 * self.theta[penalised]
        if self.spec.update.name == "window" and np.linalg.norm(g[touched]) < self.spec.update.tolerance:
            return False
        if optimizer.name == "ftrl-proximal":
            self.ftrl(g, touched, penalised)
            return True
        if optimizer.name == "sgd":
            self.theta[touched] -= self.rate() * g[touched]
        else:
            self.G[touched] += g[touched] ** 2
            self.theta[touched] -= self.rate() * g[touched] / np.sqrt(self.G[touched] + 1e-8)
        self.u += self.rate() * optimizer.l1
        if optimizer.l1 > 0:
            before = self.theta[penalised]
            up = np.maximum(0, before - (self.u + self.q[penalised]))
            down = np.minimum(0, before + (self.u - self.q[penalised]))
            self.theta[penalised] = np.where(before > 0, up, np.where(before < 0, down, before))
            self.q[penalised] += self.theta[penalised] - before
        return True

    def ftrl(self, g: np.ndarray, touched: np.ndarray, penalised: np.ndarray) -> None:
        optimizer = self.spec.optimizer
        alpha = optimizer.learning_rate
        sigma = (np.sqrt(self.n + g**2) - np.sqrt(self.n)) / alpha
        self.z[touched] += (g - sigma * self.theta)[touched]
        self.n[touched] += g[touched] ** 2
        l1 = optimizer.l1 * penalised[:, None]
        l2 = optimizer.l2 * penalised[:, None]
        divisor = (optimizer.beta + np.sqrt(self.n)) / alpha + l2
        theta = np.where(np.abs(self.z) <= l1, 0.0, -(self.z - np.sign(self.z) * l1) / divisor)
        self.theta[touched] = theta[touched]
