"""`gradstream tail`: records as JSON and as lines for people."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streams.commands._shown import LONGEST_VALUE, Shown, printable


def record(value: bytes | None, key: bytes | None = None, headers: Any = ()) -> Shown:
    return Shown("t", 3, 14, 1_700_000_000_000, key, value, headers)


def test_json_is_one_object_on_one_line_with_the_value_as_it_was_written() -> None:
    line = record(b'{"a": 1e999,\n "b": 12345678901234567890123}', b"k", [("h", b"x")]).as_json()
    assert line == (
        b'{"topic":"t","partition":3,"offset":14,"timestamp":1700000000000,"key":"k",'
        b'"value":{"a":1e999,"b":12345678901234567890123},"headers":{"h":"x"}}'
    )


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, None),
        (b"", ""),
        (b"far", "far"),
        (b'{"a": tru', '{"a": tru'),
        (b"\xff\x00", {"base64": "/wA="}),
        (b'"\xff"', {"base64": "Iv8i"}),
        (b"null", None),
        (b"[1, 2]", [1, 2]),
    ],
)
def test_any_value_has_a_json_form(value: bytes | None, shown: Any) -> None:
    assert json.loads(record(value, value, [("h", value)]).as_json())["value"] == shown


def test_of_equal_headers_the_last_counts_and_a_header_may_be_null() -> None:
    found = json.loads(record(b"1", headers=[("a", b"1"), ("a", b"2"), ("n", None)]).as_json())
    assert found["headers"] == {"a": "2", "n": None}


def test_a_prediction_is_told_with_its_sample() -> None:
    body = {"id": "UA-1", "model": "m", "prediction": 1, "probability": 0.87314, "samples_learned": 51200,
            "topic": "flights", "partition": 0, "offset": 9}  # fmt: skip
    line = record(json.dumps(body).encode(), b"UA").as_line().plain
    assert line.endswith("3:14 UA UA-1 → 1  p=0.8731  flights-0 @9  after 51,200")


def test_a_prediction_of_several_classes_has_all_their_probabilities() -> None:
    body = {"id": "1", "model": "m", "prediction": "a", "probabilities": {"a": 0.75, "b": 0.25},
            "samples_learned": 0, "topic": "t", "partition": 0, "offset": 0}  # fmt: skip
    assert "→ a  a=0.7500  b=0.2500" in record(json.dumps(body).encode()).as_line().plain


def test_a_dead_letter_is_told_with_reason_and_coordinates() -> None:
    headers = [
        ("__connect.errors.topic", b"flights"),
        ("__connect.errors.partition", b"2"),
        ("__connect.errors.offset", b"77"),
        ("__connect.errors.connector.name", b"delay"),
        ("__connect.errors.stage", b"VALUE_CONVERTER"),
        ("__connect.errors.exception.class.name", b"gradstream.InvalidFeature"),
        ("__connect.errors.exception.message", b'features.distance: expected a finite number, got "far"'),
    ]
    line = record(b'{"features": {"distance": "far"}}', headers=headers).as_line().plain
    assert (
        'features.distance: expected a finite number, got "far"  flights-2 @77  delay VALUE_CONVERTER' in line
    )
    assert line.endswith('{"features": {"distance": "far"}}')


def test_a_sample_is_told_by_id_label_and_features() -> None:
    line = record(b'{"id": "a", "label": true, "features": {"x": 1.5, "c": "UA", "n": null}}').as_line().plain
    assert line.endswith("3:14 a label=true x=1.5 c=UA n=null")


def test_a_label_is_told_by_its_sample_s_id() -> None:
    line = record(b'{"id": "a", "label": 1, "correction": false}', b"a").as_line().plain
    assert line.endswith("3:14 a a label=1")
    line = record(
        b'{"id": "a", "label": "x", "weight": 0.5, "timestamp": "2013-01-01T05:15:00Z", "correction": true}'
    )
    assert line.as_line().plain.endswith(
        "3:14 a label=x weight=0.5 timestamp=2013-01-01T05:15:00Z correction"
    )
    long = record(b'{"id": "a", "label": "' + b"x" * 10_000 + b'"}').as_line().plain
    assert len(long) < LONGEST_VALUE + 50


def test_nothing_in_a_record_can_control_the_terminal() -> None:
    line = record(b"\x1b[2J\x07\n{", b"\x1b]0;x\x07").as_line().plain
    assert line.isprintable()
    assert "\\x1b[2J\\x07\\x0a{" in line


def test_a_long_value_is_cut_and_says_how_long_it_was() -> None:
    assert printable(b"x" * 2_000_000) == "x" * LONGEST_VALUE + "… (2,000,000 bytes)"
