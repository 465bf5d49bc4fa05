"""Several models parse a record once: each makes of it what it makes of it alone."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
import pytest

from models.spec import FeatureSpec, ModelSpec, NumericFeature
from streams.ingest import Ingest, Ingested
from streams.joint import JointBatch, JointDecoder
from tests.streams.kafka_records import kafka_records

SPECS = {
    "numbers": FeatureSpec(numeric=(NumericFeature("a"), NumericFeature("b"))),
    "one number": FeatureSpec(numeric=(NumericFeature("b"),)),
    "hashed": FeatureSpec(numeric=(NumericFeature("a"),), categorical=("k",), hash_bits=10),
    "only a category": FeatureSpec(categorical=("k",), hash_bits=8),
}
OTHER_KIND = FeatureSpec(categorical=("a",), hash_bits=8)
EVERY = FeatureSpec(hash_bits=8, others="include")


def ingest(name: str, features: FeatureSpec, **spec: Any) -> Ingest:
    return Ingest(name, ModelSpec("binary", features, (0, 1), **spec))


def values(count: int) -> list[bytes | None]:
    """Samples, some of them broken, or broken for some of the models only."""
    rng, found = random.Random(3), list[bytes | None]()
    for i in range(count):
        features: dict[str, Any] = {"a": rng.gauss(0, 1), "b": rng.randrange(9), "k": f"k{rng.randrange(5)}"}
        odd = rng.randrange(12)
        if odd == 0:
            features["b"] = "far"
        elif odd == 1:
            del features["k"]
        elif odd == 2:
            features["a"] = None
        body: dict[str, Any] = {
            "id": str(i),
            "features": features,
            "label": rng.randrange(3 if odd == 3 else 2),
        }
        found.append(None if odd == 4 else json.dumps(body).encode()[: -5 if odd == 5 else None])
    return found


def assert_same(one: Ingested, other: Ingested) -> None:
    assert one.ids == other.ids
    assert one.keys == other.keys
    assert [(d.record.offset, d.message, d.exception) for d in one.dead] == [
        (d.record.offset, d.message, d.exception) for d in other.dead
    ]
    for name in ("numeric", "indptr", "indices", "values", "labels", "weights", "timestamps", "offsets"):
        np.testing.assert_array_equal(getattr(one.rows, name), getattr(other.rows, name), err_msg=name)


def test_each_model_makes_of_records_what_it_makes_of_them_alone() -> None:
    records = kafka_records(values(3_000))
    together = {name: ingest(name, features) for name, features in SPECS.items()}
    decoder = JointDecoder(list(together.values()))
    assert decoder.members == list(together.values())
    batch = JointBatch(decoder, records)
    for name, features in SPECS.items():
        for start, stop in ((0, 1_700), (1_700, 3_000)):
            joint = together[name].decode("t", 0, records[start:stop], batch.part(start, stop))
            assert_same(joint, ingest(name, features).decode("t", 0, records[start:stop]))
    assert together["numbers"].decode("t", 0, records, batch.part(0, 3_000)).dead  # some were broken


def test_a_batch_without_its_first_records_is_parsed_no_other_way() -> None:
    records = kafka_records(values(50))
    decoder = JointDecoder([ingest(name, features) for name, features in SPECS.items()])
    batch = JointBatch(decoder, records)
    later = batch.since(20).since(5)
    assert [one and one.id for one in later.part(0, 10)] == [one and one.id for one in batch.part(25, 35)]


@pytest.mark.parametrize("other", [OTHER_KIND, EVERY])
def test_a_model_that_takes_fields_as_something_else_parses_for_itself(other: FeatureSpec) -> None:
    numbers, alone = ingest("numbers", SPECS["numbers"]), ingest("alone", other)
    decoder = JointDecoder([numbers, alone, ingest("hashed", SPECS["hashed"])])
    assert alone not in decoder.members
    assert alone.joint is None
    assert numbers.joint is decoder


def test_models_with_labels_of_other_kinds_do_not_parse_together() -> None:
    binary = ingest("binary", SPECS["numbers"])
    texts = Ingest("texts", ModelSpec("multiclass", SPECS["numbers"], ("x", "y", "z")))
    assert JointDecoder([binary, texts]).members == [binary]
    assert binary.joint is None
