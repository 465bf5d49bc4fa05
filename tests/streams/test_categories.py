"""Encoded categories on the stream: from JSON to rows, through the learning log, and into the fold."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.hashing import feature_hash
from models.model import Model
from models.spec import EncodedFeature, FeatureSpec, ModelSpec, NumericFeature, TextFeature, UpdateSpec
from streams.data_codec import DataCodec
from streams.fold import Fold
from streams.ingest import Ingest
from streams.ingest_report import describe
from streams.log_format import Undecodable
from streams.view import View
from tests.rows import assert_same_rows
from tests.streams.kafka_records import kafka_records, sample
from tests.streams.test_ingest_agreement import CarefulOnly, mutated, outcome
from tests.streams.test_ingest_bad_input import refuse

ENCODE = (
    EncodedFeature("dest", "frequency", bits=6),
    EncodedFeature("dest", "target", bits=6),
    EncodedFeature("origin", "target", of="from", scaling="none"),
)
HASHED = FeatureSpec(
    (NumericFeature("price"),), ("dest",), (("dest", "origin#target"), ("price", "dest#frequency")), 12,
    text=(TextFeature("title"),), encode=ENCODE,
)  # fmt: skip
OPEN = FeatureSpec(hash_bits=12, others="include", encode=ENCODE)
SPECS = {
    "dense": ModelSpec("regression", FeatureSpec((NumericFeature("price"),), encode=ENCODE)),
    "hashed": ModelSpec("binary", HASHED, (0, 1), update=UpdateSpec("batch", batch_size=7)),
    "open": ModelSpec("multiclass", OPEN, ("x", "y"), update=UpdateSpec("window", 1, 30, 11, 2)),
}
each = pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)


def values(spec: ModelSpec, n: int) -> list[bytes]:
    rng, found = random.Random(3), []
    for i in range(n):
        features: dict[str, Any] = {"price": rng.choice([None, rng.random()]), "title": "a b"}
        features["dest"] = rng.choice(["LAX", "JFK", 7, 7.0, True, None])
        if i % 5:
            features["from"] = f"airport {rng.randrange(40)}"
        label = None if i % 9 == 4 else rng.choice(spec.classes) if spec.classes else rng.gauss(0, 1)
        found.append(sample(features=features, label=label, weight=rng.choice([0.0, 0.5, 1.0])))
    return found


def test_a_category_is_the_hash_of_its_name_and_value() -> None:
    batch = [{"dest": "LAX", "from": "Zürich"}, {"dest": 7.0}, {"dest": True, "from": None}, {}]
    for spec in SPECS.values():
        rows = Ingest("m", spec).decode("t", 0, kafka_records([sample(features=one) for one in batch])).rows
        hashes = [[feature_hash(f"dest={value}")] * 2 for value in ("LAX", "7", "true")] + [[-1, -1]]
        assert rows.codes[:, :2].tolist() == hashes
        assert rows.codes[:, 2].tolist() == [feature_hash("origin=Zürich"), -1, -1, -1]
        assert not any("origin" in name and "*" not in name for name in rows.names.values())


@each
@pytest.mark.parametrize("value", [[1], {"a": 1}])
def test_a_value_that_is_no_category_is_a_dead_letter(spec: ModelSpec, value: object) -> None:
    stage, exception, message = refuse(spec, sample(features={"from": value}))
    assert (stage, exception) == ("TRANSFORMATION", "gradstream.InvalidFeature")
    assert message.startswith("features.from: expected text, a finite number or a boolean, got ")


@each
def test_mutated_records_never_raise_and_the_fast_path_agrees_with_the_careful_look(spec: ModelSpec) -> None:
    rng = random.Random(1)
    base = [
        b'{"features":{"price":1400,"dest":"LAX","from":12,"title":"a"},"timestamp":1357017300000}',
        '{"features":{"dest":1e20,"from":"北京","x":[1,2]},"label":null,"weight":0.5}'.encode(),
    ]
    records = kafka_records([mutated(rng, rng.choice(base)) for _ in range(2_000)])
    fast = Ingest("m", spec).decode("t", 0, records)
    assert outcome(fast) == outcome(CarefulOnly("m", spec).decode("t", 0, records))
    assert min(len(fast.ids), len(fast.dead)) > 100, "mutations must leave valid samples and break others"


@each
def test_categories_survive_the_learning_log_and_the_fold_of_them_is_that_of_the_stream(
    spec: ModelSpec,
) -> None:
    rows = Ingest("m", spec).decode("t", 0, kafka_records(values(spec, 300))).rows
    rows = rows.select(~np.isnan(rows.labels))
    live, again, codec = Model(spec), Model(spec), DataCodec(spec)
    learned = live.predict_and_learn(rows)
    assert learned.undo is not None
    live.forget(learned.undo)
    body = codec.encode(rows, learned.served, rows.names)
    decoded, served = codec.decode(body)
    assert_same_rows(decoded, rows)
    again.learn(decoded, served, keep_undo=False)
    assert again.digest() == live.digest()
    with pa.ipc.open_stream(body) as reader:
        table = reader.read_all()
    assert table.column_names[-3:] == ["dest#frequency", "dest#target", "origin#target"]
    assert [str(table.schema.field(name).type) for name in table.column_names[-3:]] == ["uint32"] * 3
    missing = [column.null_count for column in table.columns[-3:]]
    assert missing == (rows.codes < 0).sum(axis=0).tolist()
    assert min(missing) > 10


def test_a_model_without_them_writes_the_columns_that_it_always_wrote() -> None:
    spec = ModelSpec("binary", FeatureSpec((NumericFeature("price"),), ("dest",), hash_bits=8), (0, 1))
    names = ["offset", "timestamp", "label", "weight", "prediction", "indices", "values", "price"]
    assert DataCodec(spec).schema.names == names


@each
def test_what_no_encoder_writes_is_refused(spec: ModelSpec) -> None:
    other = SPECS["hashed" if spec is SPECS["dense"] else "dense"]
    rows = Ingest("m", other).decode("t", 0, kafka_records(values(other, 20))).rows
    rows = rows.select(~np.isnan(rows.labels))
    with pytest.raises(Undecodable, match="are not this model's"):
        DataCodec(spec).decode(DataCodec(other).encode(rows, np.zeros((len(rows), other.outputs)), {}))


@each
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_damaged_body_is_read_or_refused_but_never_breaks_the_reader(
    spec: ModelSpec, data: st.DataObject
) -> None:
    rows = Ingest("m", spec).decode("t", 0, kafka_records(values(spec, 12))).rows
    rows, codec = rows.select(~np.isnan(rows.labels)), DataCodec(spec)
    body = bytearray(codec.encode(rows, np.zeros((len(rows), spec.outputs)), {1: "c=a"}))
    for _ in range(data.draw(st.integers(1, 6))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        found, served = codec.decode(bytes(body))
    except Undecodable:
        return
    assert len(found) == len(served) == len(found.codes)
    assert found.codes.min(initial=0) >= -1
    Model(spec).learn(found, served, keep_undo=False)


@each
def test_cuts_of_1_7_100_and_all_records_give_the_same_bytes(spec: ModelSpec) -> None:
    records, found = kafka_records(values(spec, 400)), []
    for cut in (1, 7, 100, 400):
        ingest, served = Ingest("m", spec), []
        view = View(Fold(Model(spec), DataCodec(spec)), "w")
        for start in range(0, len(records), cut):
            learned = view.predict_and_learn(ingest.decode("t", 0, records[start : start + cut]).rows)
            served.append(learned.served)
            view.model.forget(learned.undo)
        found.append((np.concatenate(served).tobytes(), view.model.digest()))
    assert found.count(found[0]) == 4


def test_they_have_no_value_before_they_are_folded_so_the_report_leaves_them_out() -> None:
    report = describe(
        Ingest("m", SPECS["hashed"]), [sample(features={"dest": "LAX", "from": "x", "price": 2})]
    )
    assert report.samples == [[("price", 2.0), ("dest=LAX", 1.0), ("dest=LAX*origin#target", 1.0)]]
    assert report.never_seen == ["title"]
