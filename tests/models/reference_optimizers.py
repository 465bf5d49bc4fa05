"""The optimizers once more, as their papers have them: every step on every param, in numpy.

No code is shared with models/, and nothing is put off: a param whose gradient is zero takes its step as all
others do. `state` is what the optimizer keeps, by the names of models.optimizers.
"""

from __future__ import annotations

import numpy as np

from models.spec import OptimizerSpec


class Optimizer:
    """Steps on params of any shape; `free` (a mask) are those that no penalty touches."""

    def __init__(self, spec: OptimizerSpec, shape: tuple[int, ...], free: np.ndarray) -> None:
        self.spec, self.free = spec, free
        self.state = {name: np.zeros(shape) for name in ("m", "v", "G", "n", "z")}
        self.steps = 0

    def begin(self, theta: np.ndarray) -> None:
        """Params that do not begin at zero: FTRL-proximal makes them of z, so z must give them."""
        if self.spec.name == "ftrl-proximal":
            strength, l1 = self.spec.beta / self.spec.learning_rate + self.spec.l2, self.spec.l1
            self.state["z"] = -theta * strength - np.sign(theta) * l1

    def step(self, theta: np.ndarray, g: np.ndarray, rate: float) -> np.ndarray:
        """θ after one step over the gradient g."""
        self.steps += 1
        spec, state = self.spec, self.state
        if spec.name == "sgd":
            return theta - rate * g
        if spec.name in ("momentum", "nesterov"):
            state["m"] = spec.momentum * state["m"] + g
            ahead = g + spec.momentum * state["m"]
            return theta - rate * (ahead if spec.name == "nesterov" else state["m"])
        if spec.name == "adagrad":
            state["G"] += g**2
            return theta - rate * g / np.sqrt(state["G"] + 1e-8)
        if spec.name == "rmsprop":
            state["v"] = spec.rho * state["v"] + (1 - spec.rho) * g**2
            return theta - rate * g / np.sqrt(state["v"] + spec.epsilon)
        if spec.name in ("adam", "adamw"):
            return self._adam(theta, g, rate)
        return self._ftrl(theta, g)

    def _adam(self, theta: np.ndarray, g: np.ndarray, rate: float) -> np.ndarray:
        spec, state = self.spec, self.state
        state["m"] = spec.beta1 * state["m"] + (1 - spec.beta1) * g
        state["v"] = spec.beta2 * state["v"] + (1 - spec.beta2) * g**2
        first = state["m"] / (1 - spec.beta1**self.steps)
        second = state["v"] / (1 - spec.beta2**self.steps)
        decay = np.where(self.free, 0.0, spec.weight_decay if spec.name == "adamw" else 0.0)
        return theta - rate * (first / (np.sqrt(second) + spec.epsilon) + decay * theta)

    def _ftrl(self, theta: np.ndarray, g: np.ndarray) -> np.ndarray:
        spec, state, alpha = self.spec, self.state, self.spec.learning_rate
        l1, l2 = np.where(self.free, 0.0, spec.l1), np.where(self.free, 0.0, spec.l2)
        sigma = (np.sqrt(state["n"] + g**2) - np.sqrt(state["n"])) / alpha
        state["z"] += g - sigma * theta
        state["n"] += g**2
        divisor = (spec.beta + np.sqrt(state["n"])) / alpha + l2
        return np.where(np.abs(state["z"]) <= l1, 0.0, -(state["z"] - np.sign(state["z"]) * l1) / divisor)


def clipped(spec: OptimizerSpec, g: np.ndarray) -> np.ndarray:
    """Elements within ±clip_value, then the norm within clip_norm; 0: they are not clipped."""
    if spec.clip_value:
        g = np.clip(g, -spec.clip_value, spec.clip_value)
    if spec.clip_norm and np.linalg.norm(g) > spec.clip_norm:
        g = g * spec.clip_norm / np.linalg.norm(g)
    return g


def rate_at(spec: OptimizerSpec, t: int) -> float:
    """α_t."""
    s, rate = spec.schedule, spec.learning_rate
    if s.name == "inverse-scaling":
        rate /= (t + 1) ** s.power
    elif s.name == "exponential":
        rate *= s.factor ** (t / s.every)
    elif s.name == "step":
        rate *= s.factor ** (t // s.every)
    elif s.name == "cosine":
        rate *= s.floor + (1 - s.floor) * 0.5 * (1 + np.cos(np.pi * min(t, s.horizon) / s.horizon))
    return rate * min(1.0, (t + 1) / s.warmup) if s.warmup else rate
