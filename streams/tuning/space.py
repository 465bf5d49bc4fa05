"""What is tuned: for each optimizer, learner and update, the keys that are drawn, and from what.

The whole space stands in this file as tables of settings keys, in the words of gradstream.toml. Every
candidate goes through the check of the settings afterwards (streams.tuning.candidates), so an entry here
need not say what it goes together with: what is no valid model is not raced.

A new optimizer or learner is a line in OPTIMIZERS or LEARNERS. What a model predicts (task, classes, loss,
features) is not tuned, since then its metrics would be of another question.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol


class Draw(Protocol):
    """Where a key's values are drawn from; None leaves the key out, so that its default counts."""

    def draw(self, rng: Random) -> Any:
        """One value."""


@dataclass(frozen=True, slots=True)
class Pick:
    """One of some values, each as likely."""

    values: Sequence[Any]

    def draw(self, rng: Random) -> Any:
        """One value."""
        return self.values[int(rng.random() * len(self.values))]


@dataclass(frozen=True, slots=True)
class Log:
    """A number between two others whose logarithm is uniform, in two digits; None in a share of cases."""

    low: float
    high: float
    left_out: float = 0.0

    def draw(self, rng: Random) -> float | None:
        """One value."""
        left_out, place = rng.random() < self.left_out, rng.random()
        low, high = math.log(self.low), math.log(self.high)
        return None if left_out else two_digits(math.exp(low + place * (high - low)))


def two_digits(value: float) -> float:
    """The value as people would write it: 0.0123 → 0.012."""
    return float(f"{value:.1e}")


Space = Mapping[str, Draw]
"""Key of a table → where its values are drawn from."""

_FALLING = Pick(
    (None, None, {"name": "inverse-scaling", "power": 0.25}, {"name": "inverse-scaling", "power": 0.5})
)
"""A constant rate in half of the cases. No schedule with a horizon: a stream has none."""

OPTIMIZERS: dict[str, Space] = {
    "sgd": {"learning_rate": Log(1e-3, 0.3), "schedule": _FALLING},
    "momentum": {"learning_rate": Log(1e-4, 0.05), "schedule": _FALLING, "momentum": Pick((None, 0.5, 0.95))},
    "nesterov": {"learning_rate": Log(1e-4, 0.05), "schedule": _FALLING, "momentum": Pick((None, 0.5, 0.95))},
    "adagrad": {"learning_rate": Log(0.01, 1.0)},
    "rmsprop": {"learning_rate": Log(1e-4, 0.05), "schedule": _FALLING, "rho": Pick((None, 0.99))},
    "adam": {"learning_rate": Log(1e-4, 0.05), "schedule": _FALLING, "beta2": Pick((None, 0.99))},
    "adamw": {
        "learning_rate": Log(1e-4, 0.05),
        "schedule": _FALLING,
        "weight_decay": Log(1e-5, 0.1, left_out=0.3),
    },
    "ftrl-proximal": {"learning_rate": Log(0.01, 1.0), "beta": Pick((None, 0.1, 10.0))},
    "normalized-adaptive": {"learning_rate": Log(0.05, 8.0)},
}
"""Optimizer → the keys of its table that are drawn, besides those of REGULARISATION."""

REGULARISATION: Space = {
    "l2": Log(1e-8, 1e-3, left_out=0.5),
    "l1": Log(1e-8, 1e-4, left_out=0.8),
}

UPDATES: Sequence[Mapping[str, Any]] = (
    {"name": "sample"},
    {"name": "batch", "batch_size": 8},
    {"name": "batch", "batch_size": 32},
)
"""Half of the candidates keep the model's own update, so `window` is raced where it is used already."""

LEARNERS: dict[str, Space] = {
    "linear": {},
    "factorization-machine": {"factors": Pick((2, 4, 8, 16))},
    "mlp": {
        "hidden": Pick(([16], [32], [64], [32, 16], [64, 32], [128, 64])),
        "activation": Pick(("relu", "tanh", "gelu")),
    },
}
"""Learner → the keys of its table that are drawn. The learner itself stays: it is the user's choice."""


def draw(rng: Random, optimizers: Sequence[str], learner: str, table: Mapping[str, Any]) -> dict[str, Any]:
    """The table of a model with this learner, with new settings for learner, optimizer and update."""
    name = Pick(optimizers).draw(rng)
    optimizer = {"name": name, **_drawn(rng, OPTIMIZERS[name]), **_drawn(rng, REGULARISATION)}
    sizes = {**table.get("learner", {}), **_drawn(rng, LEARNERS.get(learner, {}))}
    changed = {**table, "optimizer": optimizer, "learner": sizes}
    if rng.random() < 0.5:
        changed["update"] = dict(Pick(UPDATES).draw(rng))
    return {key: value for key, value in changed.items() if value}


def _drawn(rng: Random, space: Space) -> dict[str, Any]:
    found = {key: source.draw(rng) for key, source in space.items()}
    return {key: value for key, value in found.items() if value is not None}
