"""Normalized adaptive, importance-aware steps once more: Ross et al. 2013 and Karampatziakis & Langford 2011.

Written on whole vectors and without the kernels' tricks; no code is shared with models/.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq

from models.spec import LossSpec, ModelSpec
from tests.models.reference import Reference, Row
from tests.models.reference_losses import gradient
from tests.models.reference_optimizers import rate_at


def importance_step(spec: LossSpec, p: float, label: float, h: float, q: float) -> float:
    """(p - p(h)) / Q, where dp/dh = -Q ∂J/∂p begins at p(0) = p; h ∂J/∂p for Q → 0."""
    slope = float(gradient(spec, np.array([p]), label)[0])
    if slope == 0.0 or q * h < 1e-12:
        return h * slope
    sign, error, move = 2.0 * label - 1.0, p - label, h * q
    if spec.name == "squared":
        return -error * np.expm1(-move) / q
    if spec.name == "squared-hinge":
        return -0.5 * slope * np.expm1(-2.0 * move) / q
    if spec.name == "log":  # the margin m grows by d:  d + e^m (e^d - 1) = h Q
        e = np.exp(sign * p)
        most = min(move, np.log1p(move / e))
        return -sign * brentq(lambda d: d + e * np.expm1(d) - move, 0.0, most, xtol=1e-16, rtol=1e-14) / q
    if spec.name == "poisson":
        if label == 0.0:
            return np.log1p(np.exp(p) * move) / q
        return np.log1p((np.exp(p) / label - 1.0) * -np.expm1(-label * move)) / q
    if spec.name == "huber":
        outside = max(0.0, abs(error) - spec.delta)
        straight = min(h, outside / (spec.delta * q))
        left = error - np.sign(error) * straight * spec.delta * q
        return (error - left * np.exp(-(h - straight) * q)) / q if straight < h else slope * h
    distance = 1.0 - sign * p if spec.name == "hinge" else abs(error)  # to where the slope ends
    return slope * min(h, distance / (abs(slope) * q))


class NormalizedReference(Reference):
    """A linear model that learns so; G is (C, K), s and the values seen of each feature (C,)."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__(spec)
        self.rms = spec.optimizer.norm == "rms"
        self.G, self.s, self.N, self.t = np.zeros(self.theta.shape), np.zeros(len(self.theta)), 0.0, 0.0
        self.values: list[list[float]] = [[] for _ in self.theta]
        self.by_error = self.rms and spec.loss.name in ("squared", "absolute", "huber", "quantile")
        self.errors = 0.0  # Σ of squared errors by weight

    def scores(self, x: np.ndarray) -> np.ndarray:
        most = 40 * self.s if self.rms else self.s
        return np.where(self.s > 0, np.clip(x, -most, most), x) @ self.theta

    def meet(self, x: np.ndarray, weight: float) -> np.ndarray:
        """Take a sample's features into s, N and t; the features as they were taken."""
        has, x = x != 0, x.copy()
        for i in np.flatnonzero(has):
            if self.rms:
                before = self.s[i]
                near = np.clip(x[i], -40 * before, 40 * before) if self.values[i] else x[i]
                self.values[i].append(near)
                self.s[i] = np.sqrt(np.mean(np.square(self.values[i])))
                if near != x[i]:
                    self.theta[i] *= before / self.s[i]
                x[i] = near
            elif abs(x[i]) > self.s[i]:
                self.theta[i] *= self.s[i] / abs(x[i])
                self.s[i] = abs(x[i])
        self.N += weight * ((x[has] / self.s[has]) ** 2).sum()
        self.t += weight
        return x

    def own_rates(self) -> np.ndarray:
        """(C, K) ρ √(t / N) / (s √(G + s² D)); 0 where there was no gradient yet."""
        prior = 50 * self.G[self.dense] / self.t if self.rms else np.zeros(self.G.shape[1])
        divisor = self.s[:, None] * np.sqrt(self.G + np.outer(self.s**2, prior))
        rho = np.sqrt(self.errors / self.t) if self.by_error else 1.0
        rate = rho * np.sqrt(self.t / self.N)
        return np.divide(rate, divisor, out=np.zeros_like(divisor), where=(self.G > 0) & (divisor > 0))

    def step(self, rows: list[Row], mean: bool) -> bool:
        rows = [row for row in rows if row[3] > 0]
        if not rows:
            return False
        rate = rate_at(self.spec.optimizer, self.learned)
        touched = np.any([row[1] for row in rows], axis=0)
        touched[self.dense] = False
        if self.spec.outputs == 1 and self.spec.update.name == "sample":
            self.step_on_one(*rows[0], rate)
            own = rate * self.own_rates()[touched]
            self.theta[touched] /= 1.0 + own * self.spec.optimizer.l2
        else:
            self.step_on_gradient(rows, mean, touched, rate)
        self.penalise(touched, rate)
        return True

    def step_on_one(self, x: np.ndarray, _: np.ndarray, label: float, weight: float, rate: float) -> None:
        x = self.meet(x, weight)
        p = x @ self.theta
        self.errors += weight * float(p[0] - label) ** 2
        self.G += weight * np.outer(x, gradient(self.spec.loss, p, label)) ** 2
        rates = self.own_rates()
        q = float((x**2) @ rates[:, 0])
        step = importance_step(self.spec.loss, float(p[0]), label, rate * weight, q)
        self.theta -= step * x[:, None] * rates

    def step_on_gradient(self, rows: list[Row], mean: bool, touched: np.ndarray, rate: float) -> None:
        total = sum(row[3] for row in rows)
        for x, _, label, weight in rows:
            share = weight / total if mean else weight
            self.meet(x, share)
            self.errors += share * float((x @ self.theta)[0] - label) ** 2
        g = self.gradient(rows, mean)
        g[touched] += self.spec.optimizer.l2 * self.theta[touched]
        self.G += g**2
        self.theta -= rate * self.own_rates() * g
