"""What comes of valid records: ids, keys, labels, weights, times, in order."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from models.errors import SpecError
from models.spec import ClassLabel, FeatureSpec, ModelSpec, NumericFeature, Task
from streams.ingest import CHUNK, Ingest, Ingested
from tests.streams.kafka_records import TIMESTAMP, kafka_records, sample

DENSE = FeatureSpec(numeric=(NumericFeature("distance"),))
EVERY = FeatureSpec(hash_bits=18, others="include")


def ingest(
    *values: bytes | None,
    task: Task = "binary",
    classes: tuple[ClassLabel, ...] = (0, 1),
    features: FeatureSpec = DENSE,
) -> Ingested:
    """Decode records of these values at offsets 100, 101 … of flights-3."""
    model = Ingest("delay", ModelSpec(task=task, features=features, classes=classes))
    return model.decode("flights", 3, kafka_records(values, first_offset=100))


def labels(*values: bytes, **model: Any) -> list[float]:
    found = ingest(*values, **model)
    assert found.dead == []
    return found.rows.labels.tolist()


def test_a_sample_without_an_id_is_named_after_its_place() -> None:
    found = ingest(sample(id="a"), sample(), sample(id=None), sample(id=""))
    assert found.ids == ["a", "flights-3-101", "flights-3-102", ""]


def test_ids_keys_and_rows_are_those_of_the_valid_samples_in_order() -> None:
    found = ingest(
        sample(id="a", features={"distance": 1}),
        b"garbage",
        sample(id="b", features={"distance": 2}),
        None,
        sample(id="c", features={"distance": 3}, label=1),
    )
    assert found.ids == ["a", "b", "c"]
    assert found.keys == [b"key"] * 3
    assert found.rows.offsets.tolist() == [100, 102, 104]
    assert found.rows.numeric[:, 0].tolist() == [1.0, 2.0, 3.0]
    assert [dead.record.offset for dead in found.dead] == [101, 103]
    assert (found.topic, found.partition) == ("flights", 3)


def test_a_batch_of_nothing_gives_rows_of_nothing() -> None:
    found = ingest()
    assert (len(found.rows), found.ids, found.keys, found.dead) == (0, [], [], [])


def test_a_batch_of_dead_letters_alone_gives_rows_of_nothing() -> None:
    found = ingest(None, b"x")
    assert (len(found.rows), len(found.dead)) == (0, 2)
    assert found.rows.numeric.shape == (0, 1)


@pytest.mark.parametrize("features", [DENSE, EVERY])
def test_batches_longer_than_a_chunk_come_out_whole(features: FeatureSpec) -> None:
    n = 2 * CHUNK + 5
    values = [sample(id=str(i), features={"distance": i}, label=i % 2) for i in range(n)]
    values[CHUNK] = b"garbage"
    found = ingest(*values, features=features)
    expected = [i for i in range(n) if i != CHUNK]
    assert found.ids == [str(i) for i in expected]
    assert found.rows.offsets.tolist() == [100 + i for i in expected]
    column = found.rows.numeric[:, 0] if features is DENSE else found.rows.values
    assert column.tolist() == expected
    assert found.rows.labels.tolist() == [i % 2 for i in expected]
    assert len(found.dead) == 1


def test_what_is_decoded_does_not_depend_on_where_batches_are_cut() -> None:
    values = [
        sample(features={"distance": i, "x": f"t{i % 5}", "y": [1.0] * (i % 3)}) if i % 7 else b"garbage"
        for i in range(60)
    ]
    records = kafka_records(values)
    spec = ModelSpec(task="regression", features=EVERY)
    whole = Ingest("m", spec).decode("t", 0, records)
    cut = Ingest("m", spec)
    parts = [cut.decode("t", 0, records[i : i + 4]) for i in range(0, 60, 4)]
    for field in ("indices", "values", "offsets", "timestamps"):
        joined = np.concatenate([getattr(part.rows, field) for part in parts])
        assert joined.tolist() == getattr(whole.rows, field).tolist()
    assert {h: name for part in parts for h, name in part.rows.names.items()} == whole.rows.names


# Labels


def test_a_sample_without_a_label_or_with_null_is_unlabelled() -> None:
    for task, classes in (("regression", ()), ("binary", (0, 1)), ("multiclass", ("a", "b", "c"))):
        found = labels(sample(), sample(label=None), task=task, classes=classes)
        assert all(map(math.isnan, found))


def test_a_regression_label_is_its_number() -> None:
    found = labels(sample(label=-3), sample(label=0.25), sample(label=2**70), task="regression", classes=())
    assert found == [-3.0, 0.25, 2.0**70]


def test_labels_of_the_default_classes_are_numbers_or_booleans() -> None:
    assert labels(*(sample(label=one) for one in (0, 1, 1.0, False, True, -0.0))) == [0, 1, 1, 0, 1, 0]


def test_a_label_is_the_position_of_its_class() -> None:
    found = labels(sample(label="c"), sample(label="a"), task="multiclass", classes=("a", "b", "c"))
    assert found == [2.0, 0.0]
    assert labels(sample(label=3), sample(label=7.0), classes=(7, 3)) == [1.0, 0.0]
    assert labels(sample(label=True), sample(label=False), classes=(True, False)) == [0.0, 1.0]


@pytest.mark.parametrize(
    ("label", "classes"), [(True, (1, 2)), (1, (False, True)), ("1", (0, 1)), (0, ("0", "1"))]
)
def test_a_label_of_another_kind_is_no_class(label: Any, classes: tuple[ClassLabel, ...]) -> None:
    assert [dead.exception for dead in ingest(sample(label=label), classes=classes).dead] == [
        "gradstream.InvalidLabel"
    ]


@pytest.mark.parametrize("classes", [(), (0, False), (1, "a"), ("a", "a")])
def test_classes_that_are_not_told_apart_are_refused(classes: tuple[ClassLabel, ...]) -> None:
    with pytest.raises(SpecError, match="classes: expected different texts, integers or booleans"):
        Ingest("m", ModelSpec(task="multiclass", features=DENSE, classes=classes))


# Weights


def test_the_weight_is_1_unless_given() -> None:
    found = ingest(sample(), sample(weight=None), sample(weight=0), sample(weight=2.5))
    assert found.rows.weights.tolist() == [1.0, 1.0, 0.0, 2.5]


# Event time


def test_the_event_time_is_the_samples_else_the_records() -> None:
    found = ingest(
        sample(), sample(timestamp=5), sample(timestamp="1970-01-01T00:00:01Z"), sample(timestamp=None)
    )
    assert found.rows.timestamps.tolist() == [TIMESTAMP, 5, 1000, TIMESTAMP + 3]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2013-01-01T05:15:00Z", 1_357_017_300_000),
        ("2013-01-01t05:15:00z", 1_357_017_300_000),
        ("2013-01-01T05:15:00+01:00", 1_357_013_700_000),
        ("2013-01-01T05:15:00.1239Z", 1_357_017_300_123),
        ("1969-12-31T23:59:59.9995Z", -1),
        ("0001-01-01T00:00:00Z", -62_135_596_800_000),
        ("9999-12-31T23:59:59.999Z", 253_402_300_799_999),
    ],
)
def test_a_time_is_read_to_the_millisecond_rounded_down(text: str, expected: int) -> None:
    assert ingest(sample(timestamp=text)).rows.timestamps.tolist() == [expected]


def test_whole_milliseconds_may_be_written_with_a_point() -> None:
    assert ingest(b'{"features":{},"timestamp":1357017300000.0}').rows.timestamps.tolist() == [
        1_357_017_300_000
    ]


# What is let through


@pytest.mark.parametrize(
    "value",
    [
        b'{"features":{"distance":1},"extra":{"deep":[1,{"a":null}]},"label":null}',
        b'{"features":{"distance":"far","distance":1}}',
        b'{"features":{"distance":{}},"features":{"distance":1}}',
        b'  {"features": {"distance": 1}}\r\n',
        b'{"features":{"distance":1.0e0,"undeclared":{"a":[[]]}},"nobody reads":1e999}',
        b'{"\\u0066eatures":{"dist\\u0061nce":1}}',
    ],
)
def test_unknown_fields_and_repeated_names_do_no_harm(value: bytes) -> None:
    found = ingest(value)
    assert (found.dead, found.rows.numeric.tolist()) == ([], [[1.0]])


def test_an_integer_beyond_64_bits_is_a_number() -> None:
    found = ingest(b'{"features":{"distance":1' + b"0" * 30 + b',"x":1' + b"0" * 40 + b"}}", features=EVERY)
    assert found.rows.values.tolist() == [1e30, 1e40]


def test_a_long_vector_is_a_sample_like_any_other() -> None:
    vector = [i / 7 for i in range(3_000)]
    found = ingest(sample(features={"v": vector}), sample(), features=EVERY)
    assert found.rows.values.tolist() == vector
