"""How a stream is cut into fetches changes no byte: neither of a prediction, nor of the state."""

from __future__ import annotations

import json

import numpy as np
import pytest

from models.model import Model
from models.spec import FeatureSpec, ModelSpec, NumericFeature, UpdateSpec
from streams.data_codec import DataCodec
from streams.fold import Fold
from streams.ingest import Ingest
from streams.records import PredictionEncoder
from streams.view import View
from tests.streams.kafka_records import kafka_records

N = 4000
FEATURES = FeatureSpec(
    numeric=(NumericFeature("a"), NumericFeature("b", scaling="none")),
    categorical=("k",),
    interactions=(("k", "a"), ("a", "b")),
    hash_bits=12,
    others="include",
)
SPECS = {
    "sample": ModelSpec(task="binary", classes=(0, 1), features=FEATURES),
    "batch": ModelSpec(task="regression", features=FEATURES, update=UpdateSpec(name="batch", batch_size=7)),
    "window": ModelSpec(
        task="multiclass",
        classes=("x", "y", "z"),
        features=FEATURES,
        update=UpdateSpec(name="window", window_size=50, stride=33, steps=2),
    ),
}


def values(spec: ModelSpec) -> list[bytes]:
    dice = np.random.default_rng(3)
    found = []
    for i in range(N):
        features = {"a": dice.normal(), "b": dice.normal(), "k": f"k{dice.integers(9)}", "new": f"n{i % 400}"}
        label = spec.classes[int(dice.integers(len(spec.classes)))] if spec.classes else dice.normal()
        body = {"features": features} if i % 9 == 4 else {"features": features, "label": label}
        if i % 31 == 7:
            del features["a"]
        found.append(b"broken" if i % 101 == 50 else json.dumps(body).encode())
    return found


def run(spec: ModelSpec, cut: int) -> tuple[list[bytes], str, dict[int, str]]:
    records = kafka_records(values(spec))
    ingest, encoder = Ingest("m", spec), PredictionEncoder("m", spec)
    view = View(Fold(Model(spec), DataCodec(spec)), "w")
    served_bytes: list[bytes] = []
    for start in range(0, N, cut):
        ingested = ingest.decode("t", 0, records[start : start + cut])
        learned = view.predict_and_learn(ingested.rows)
        served, before, undo = learned.served, learned.learned_before, learned.undo
        served_bytes += encoder.encode(ingested.ids, served, before, "t", 0, ingested.rows.offsets)
        view.model.forget(undo)
    return served_bytes, view.model.digest(), view.unsent_names


@pytest.mark.parametrize("name", SPECS)
def test_cuts_of_1_100_1000_and_4000_records_give_the_same_bytes(name: str) -> None:
    whole = run(SPECS[name], N)
    assert len(whole[0]) == N - sum(i % 101 == 50 for i in range(N))
    for cut in (1, 100, 1000):
        assert run(SPECS[name], cut) == whole
