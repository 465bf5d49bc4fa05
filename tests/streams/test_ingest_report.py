"""What `gradstream check` says about the last records of a topic."""

from __future__ import annotations

import math

from models.spec import FeatureSpec, ModelSpec, NumericFeature
from streams.ingest import Ingest
from streams.ingest_report import Unread, describe
from tests.streams.kafka_records import sample

SPEC = ModelSpec(
    task="binary",
    features=FeatureSpec(
        numeric=(NumericFeature("distance"), NumericFeature("hour")), categorical=("carrier",), hash_bits=18
    ),
    classes=(0, 1),
)
EVERY = ModelSpec(task="regression", features=FeatureSpec(hash_bits=18, others="include"))
GOOD = sample(id="a", label=1, features={"distance": 1400, "hour": 5, "carrier": "UA"})


def test_nothing_is_said_where_all_is_well() -> None:
    report = describe(Ingest("delay", SPEC), [GOOD, GOOD])
    assert report.lines() == []
    assert (report.records, report.valid, report.labelled_share) == (2, 2, 1.0)


def test_a_misspelt_field_is_named_with_the_right_one() -> None:
    report = describe(Ingest("delay", SPEC), [GOOD, sample(lable=1, features={"distance": 1, "hour": 2})])
    assert report.unread_fields == [Unread("lable", 1, "label")]
    assert report.labelled_share == 0.5
    assert report.lines() == ["lable: in 1 records, and nobody reads it; did you mean label?"]


def test_a_feature_at_the_top_level_is_sent_into_features() -> None:
    report = describe(
        Ingest("delay", SPEC), [sample(distance=3, label=1, features={"hour": 1, "carrier": "UA"})]
    )
    assert report.unread_fields == [Unread("distance", 1, "features.distance")]


def test_a_declared_feature_that_never_comes_is_named_with_what_comes_in_its_place() -> None:
    report = describe(
        Ingest("delay", SPEC), [sample(label=0, features={"Distanse": 3, "hour": 1, "carrier": "B6"})]
    )
    assert report.never_seen == ["distance"]
    assert report.unread_features == [Unread("Distanse", 1, "distance")]
    assert report.lines() == [
        "features.distance: declared, and in no sample",
        "features.Distanse: in 1 records, and nobody reads it; did you mean distance?",
    ]


def test_a_name_like_no_other_has_no_suggestion() -> None:
    report = describe(Ingest("delay", SPEC), [GOOD, sample(zzz=1, features={"qqq": 1})])
    assert report.unread_fields == [Unread("zzz", 1, None)]
    assert report.unread_features == [Unread("qqq", 1, None)]


def test_every_feature_is_read_where_all_are_taken() -> None:
    assert describe(Ingest("m", EVERY), [sample(label=1, features={"a": 1, "b": "x"})]).lines() == []


def test_refused_records_are_counted_by_reason() -> None:
    report = describe(Ingest("delay", SPEC), [b"x", GOOD, None, None])
    assert (report.records, report.valid) == (4, 1)
    assert report.refused == [
        ("value: expected a JSON object, got none (a tombstone)", 2),
        ('value: expected a JSON object, got "x" at character 0 (expecting value)', 1),
    ]
    assert report.lines()[0].startswith("2 of 4 records refused: value: expected a JSON object")


def test_samples_whose_labels_come_late_need_an_id_and_no_label() -> None:
    late = ModelSpec(
        task="regression", features=FeatureSpec(hash_bits=18, others="include"), late_labels=True
    )
    named, unnamed = sample(id="a", features={"a": 1}), sample(features={"a": 1})
    assert describe(Ingest("m", late), [named] * 2).lines() == []
    report = describe(Ingest("m", late), [named, unnamed, unnamed, b"x"])
    assert report.lines()[1:] == ["2 of 3 samples have no id that a label could name"]
    assert describe(Ingest("m", EVERY), [unnamed]).lines() == [
        "none of 1 samples has a label: nothing is learned"
    ]


def test_a_stream_without_labels_is_pointed_out() -> None:
    report = describe(Ingest("m", EVERY), [sample(features={"a": 1})] * 3)
    assert report.labelled_share == 0.0
    assert report.lines() == ["none of 3 samples has a label: nothing is learned"]


def test_an_empty_topic_has_an_empty_report() -> None:
    report = describe(Ingest("delay", SPEC), [])
    assert (report.lines(), report.samples, report.labelled_share) == ([], [], 0.0)


def test_the_last_samples_are_shown_as_they_are_encoded() -> None:
    report = describe(
        Ingest("delay", SPEC), [GOOD, b"x", sample(features={"carrier": 7, "hour": True})], last=1
    )
    ((distance, hour, carrier),) = report.samples
    assert distance[0] == "distance"
    assert math.isnan(distance[1])
    assert (hour, carrier) == (("hour", 1.0), ("carrier=7", 1.0))
    assert len(describe(Ingest("delay", SPEC), [GOOD] * 5).samples) == 3
    assert describe(Ingest("delay", SPEC), [GOOD], last=0).samples == []
