"""gradstream's side: a model exactly as its table in gradstream.toml says, without Kafka and Redis."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import numpy as np

from benchmarks.quality.streams import Stream
from benchmarks.tables import model_spec, toml
from models.features import Encoder
from models.model import Model
from models.rows import Float64, Rows
from models.spec import FeatureSpec, ModelSpec

CHUNK = 1_000
"""Rows that a call of the model learns; the cut changes nothing."""


@dataclass(frozen=True, slots=True)
class OursSetting:
    """Keys of the model's table; those of `features` are added to the stream's own."""

    table: dict[str, Any] = field(default_factory=dict)
    features: dict[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The table as one line of TOML."""
        keys = self.table | ({"features": self.features} if self.features else {})
        return ", ".join(f"{key} = {toml(value)}" for key, value in keys.items()) or "defaults"


class Ours:
    """One stream, encoded once for all settings of the same features."""

    name = "gradstream"
    version = version("gradstream")

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self._encoded: dict[FeatureSpec, Rows] = {}

    def predict(self, family: str, setting: OursSetting, count: int) -> Float64:
        """(count, K) predictions of the first `count` samples, each made before it was learned."""
        spec = self.spec(family, setting)
        rows, model = self._rows(spec.features), Model(spec)
        served = []
        for start in range(0, count, CHUNK):
            learned = model.predict_and_learn(rows.slice(start, min(start + CHUNK, count)))
            if learned.undo is not None:
                model.forget(learned.undo)
            served.append(learned.served)
        return np.concatenate(served)

    def spec(self, family: str, setting: OursSetting) -> ModelSpec:
        """The model; raises infra.settings.SettingsError for a setting that a user could not write."""
        table: dict[str, Any] = {"task": self.stream.task, "learner": family}
        if self.stream.task == "multiclass":
            table["classes"] = list(range(self.stream.classes))
        features = self.stream.features | setting.features
        return model_spec(table | {"features": features} | setting.table)

    def _rows(self, features: FeatureSpec) -> Rows:
        if features not in self._encoded:
            encoder, n = Encoder(features), len(self.stream)
            objects = [encoder.build(sample) for sample in self.stream.samples]
            times = np.zeros(n, dtype=np.int64)
            self._encoded[features] = encoder.encode(
                objects, self.stream.labels, np.ones(n), times, np.arange(n)
            )
        return self._encoded[features]
