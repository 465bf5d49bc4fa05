"""River's side: its own estimators and scaler on the same features, in River's order of things."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np
from river import facto, linear_model, multiclass, optim, preprocessing

from benchmarks.quality.named import Named
from benchmarks.quality.streams import Stream
from models.rows import Float64

SEED = 1


@dataclass(frozen=True, slots=True)
class RiverSetting:
    """An optimizer of river.optim with its rate; None: everything as River has it.

    `constant`: the intercept is a feature that is always 1, so that it has the same optimizer as the others;
    River's own has a plain rate of 0.01. `latent_rate` and `factors`: of a factorization machine.
    """

    optimizer: str | None = None
    rate: float = 0.0
    constant: bool = False
    latent_rate: float | None = None
    factors: int | None = None

    @property
    def text(self) -> str:
        """As one line."""
        if self.optimizer is None:
            return "defaults"
        parts = [f"{self.optimizer}({self.rate:g})"]
        if self.latent_rate is not None:
            parts.append(f"latent {self.latent_rate:g}")
        if self.factors is not None:
            parts.append(f"{self.factors} factors")
        return ", ".join([*parts, *["constant feature"] * self.constant])

    def make(self, rate: float) -> Any:
        """A new optimizer."""
        return getattr(optim, str(self.optimizer))(rate)


class River:
    """One stream, its features by name."""

    name = "River"
    version = version("river")

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        named = Named(stream)
        self._numeric = [dict(zip(named.columns, row, strict=True)) for row in named.numeric.tolist()]
        self._indicators = [dict.fromkeys(names, 1.0) for names in named.indicators]
        labels = stream.labels.tolist()
        self._labels: list[Any] = {
            "binary": [label == 1.0 for label in labels],
            "multiclass": list(map(int, labels)),
            "regression": labels,
        }[stream.task]

    def predict(self, family: str, setting: RiverSetting, count: int) -> Float64:
        """(count, K) predictions of the first `count` samples, each made before it was learned."""
        model = _model(family, self.stream.task, setting)
        scaler: Any = preprocessing.StandardScaler()
        read = self._reader(model)
        fixed = {"constant": 1.0} if setting.constant else {}
        served = []
        for k in range(self.stream.classes if self.stream.task == "multiclass" else 0):
            model.learn_one({}, k)  # nothing but that there is this class, as the others are told
        for i in range(count):
            numeric, rest = self._numeric[i], self._indicators[i] | fixed
            served.append(read({**scaler.transform_one(numeric), **rest}))
            if served[-1] != served[-1]:  # NaN: it has diverged, and will not come back
                return np.full((count, 1), np.nan)
            scaler.learn_one(numeric)
            model.learn_one({**scaler.transform_one(numeric), **rest}, self._labels[i])
        return np.array(served).reshape(count, -1)

    def _reader(self, model: Any) -> Callable[[dict[str, float]], float | list[float]]:
        if self.stream.task == "regression":
            return lambda x: model.predict_one(x)
        if self.stream.task == "binary":
            return lambda x: model.predict_proba_one(x).get(True, 0.5)

        def of_all(x: dict[str, float]) -> list[float]:
            probabilities = model.predict_proba_one(x)
            return [probabilities[k] for k in range(self.stream.classes)]

        return of_all


def _model(family: str, task: str, setting: RiverSetting) -> Any:
    arguments: dict[str, Any] = {}
    if family == "linear":
        if setting.optimizer is not None:
            arguments["optimizer"] = setting.make(setting.rate)
        if setting.constant and task != "multiclass":  # SoftmaxRegression has no intercept of its own
            arguments["intercept_lr"] = 0.0
        kinds = {
            "binary": linear_model.LogisticRegression,
            "multiclass": linear_model.SoftmaxRegression,
            "regression": linear_model.LinearRegression,
        }
        return kinds[task](**arguments)
    if setting.optimizer is not None:
        latent = setting.rate if setting.latent_rate is None else setting.latent_rate
        arguments["weight_optimizer"] = setting.make(setting.rate)
        arguments["latent_optimizer"] = setting.make(latent)
    if setting.factors is not None:
        arguments["n_factors"] = setting.factors
    if task == "regression":
        return facto.FMRegressor(seed=SEED, **arguments)
    classifier = partial(facto.FMClassifier, seed=SEED, **arguments)
    return multiclass.OneVsRestClassifier(classifier()) if task == "multiclass" else classifier()
