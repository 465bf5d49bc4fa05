"""The factorization machine and the perceptron once more, in numpy and with nothing clever.

The machine sums over all pairs, the network is matrices. Both learn as Reference does; no code is shared with
models/, but for where the params begin.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from models.layout import Layout
from models.spec import ModelSpec
from tests.models.reference import Reference
from tests.models.reference_losses import gradient


class MachineReference(Reference):
    """`theta` is (C, K + K f): each coordinate's weights, then the factors of each output."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__(spec)
        layout = Layout(spec)
        self.begin(layout.view(layout.zeros(), "weights").copy())

    def factors(self, k: int) -> np.ndarray:
        """(C, f) factors of output k; the intercept has none."""
        K, f = self.spec.outputs, self.spec.learner.factors
        v = self.theta[:, K + k * f : K + (k + 1) * f].copy()
        v[self.dense] = 0.0
        return v

    def scores(self, x: np.ndarray) -> np.ndarray:
        s = x @ self.theta[:, : self.spec.outputs]
        for k in range(self.spec.outputs):
            products = np.outer(x, x) * (self.factors(k) @ self.factors(k).T)
            s[k] += np.triu(products, 1).sum()
        return s

    def row_gradient(self, x: np.ndarray, label: float) -> np.ndarray:
        K, f = self.spec.outputs, self.spec.learner.factors
        slopes, g = gradient(self.spec.loss, self.scores(x), label), np.zeros_like(self.theta)
        g[:, :K] = np.outer(x, slopes)
        partners = np.outer(x, x) * (1.0 - np.eye(len(x)))
        for k in range(K):
            g[:, K + k * f : K + (k + 1) * f] = slopes[k] * (partners @ self.factors(k))
        g[self.dense, K:] = 0.0
        return g


class NetworkReference(Reference):
    """`theta` is flat: W and b of each layer, then the (2^bits, E) embeddings."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__(spec)
        layout = Layout(spec)
        self.sizes, state = layout.shape.sizes, layout.zeros()
        self.network = sum(a * b + b for a, b in pairwise(self.sizes))
        names = [name for name in ("network", "embeddings") if name in layout.tensors]
        self.begin(np.concatenate([layout.view(state, name).reshape(-1) for name in names]))

    def free_params(self) -> np.ndarray:
        free = np.zeros(self.theta.shape, dtype=bool)
        if not hasattr(self, "sizes"):
            return free
        for _, bias in self.layers(free):
            bias[:] = True
        return free

    def params_of(self, touched: np.ndarray) -> np.ndarray:
        mask = np.ones(self.theta.shape, dtype=bool)
        if self.hashed:
            width = self.spec.learner.embedding
            mask[self.network :] = np.repeat(touched[self.dense + 1 :], width)
        return mask

    def layers(self, theta: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """Views of W (in, out) and b (out,) of each layer."""
        result, at = [], 0
        for a, b in pairwise(self.sizes):
            result.append((theta[at : at + a * b].reshape(a, b), theta[at + a * b : at + a * b + b]))
            at += a * b + b
        return result

    def embeddings(self, theta: np.ndarray) -> np.ndarray:
        return theta[self.network :].reshape(self.hashed, self.spec.learner.embedding)

    def activate(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(φ, φ')."""
        if self.spec.learner.activation == "relu":
            return np.maximum(z, 0.0), (z > 0.0).astype(float)
        if self.spec.learner.activation == "tanh":
            return np.tanh(z), 1.0 / np.cosh(z) ** 2
        root = np.sqrt(2.0 / np.pi)
        inner = np.tanh(root * (z + 0.044715 * z**3))
        slope = (1.0 - inner**2) * root * (1.0 + 3 * 0.044715 * z**2)
        return 0.5 * z * (1.0 + inner), 0.5 * (1.0 + inner) + 0.5 * z * slope

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, list[np.ndarray], list[np.ndarray]]:
        """Raw scores, the inputs of each layer, and φ' of each hidden one."""
        a = x[: self.dense]
        if self.hashed:
            a = np.concatenate([a, x[self.dense + 1 :] @ self.embeddings(self.theta)])
        inputs, slopes = [a], []
        for w, b in self.layers(self.theta)[:-1]:
            a, slope = self.activate(a @ w + b)
            inputs.append(a)
            slopes.append(slope)
        w, b = self.layers(self.theta)[-1]
        return a @ w + b, inputs, slopes

    def scores(self, x: np.ndarray) -> np.ndarray:
        return self.forward(x)[0]

    def row_gradient(self, x: np.ndarray, label: float) -> np.ndarray:
        s, inputs, slopes = self.forward(x)
        g, delta = np.zeros_like(self.theta), gradient(self.spec.loss, s, label)
        layers = self.layers(self.theta)
        for layer in reversed(range(len(layers))):
            into_w, into_b = self.layers(g)[layer]
            into_w[:], into_b[:] = np.outer(inputs[layer], delta), delta
            delta = layers[layer][0] @ delta
            if layer > 0:
                delta = delta * slopes[layer - 1]
        if self.hashed:
            self.embeddings(g)[:] = np.outer(x[self.dense + 1 :], delta[self.dense :])
        return g
