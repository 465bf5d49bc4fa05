"""Predictions and dead letters as other services read them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.hashing import SEED, feature_hash
from models.spec import ClassLabel, FeatureSpec, ModelSpec, Task
from streams.dead_letters import InvalidRecord
from streams.ingest import Ingest
from streams.records import Prediction, PredictionEncoder, dead_letter_headers
from tests.streams.kafka_records import kafka_records


def predictions(
    task: Task, classes: tuple[ClassLabel, ...], served: list[list[float]], ids: list[str] | None = None
) -> list[dict[str, Any]]:
    """The messages for these served predictions, read as any JSON client does."""
    n = len(served)
    encoder = PredictionEncoder("delay", ModelSpec(task=task, features=FeatureSpec(), classes=classes))
    values = encoder.encode(
        ids or [f"id-{i}" for i in range(n)],
        np.array(served, dtype=np.float64).reshape(n, len(served[0]) if served else 1),
        np.arange(n) + 51200,
        "flights",
        3,
        np.arange(n) + 1234,
    )
    for value in values:
        msgspec.json.decode(value, type=Prediction)
    return [json.loads(value, parse_constant=pytest.fail) for value in values]


def test_a_binary_prediction_is_the_class_and_the_probability_of_the_second() -> None:
    assert predictions("binary", (0, 1), [[0.8731]]) == [
        {
            "id": "id-0",
            "model": "delay",
            "prediction": 1,
            "probability": 0.8731,
            "samples_learned": 51200,
            "topic": "flights",
            "partition": 3,
            "offset": 1234,
        }
    ]


def test_the_fields_stand_in_the_documented_order() -> None:
    (found,) = predictions("binary", (0, 1), [[0.5]])
    order = ["id", "model", "prediction", "probability", "samples_learned", "topic", "partition", "offset"]
    assert list(found) == order


def test_the_second_class_is_predicted_from_one_half_on() -> None:
    below = math.nextafter(0.5, 0)
    found = predictions("binary", ("no", "yes"), [[below], [0.5], [0.0], [1.0]])
    assert [one["prediction"] for one in found] == ["no", "yes", "no", "yes"]


@pytest.mark.parametrize("classes", [(0, 1), (7, -3), (False, True), ("no", "yes"), ('"', "ü\n")])
def test_a_class_is_written_as_it_was_declared(classes: tuple[ClassLabel, ClassLabel]) -> None:
    found = predictions("binary", classes, [[0.2], [0.7]])
    assert [(type(one["prediction"]), one["prediction"]) for one in found] == [(type(c), c) for c in classes]


def test_a_regression_prediction_is_a_number_alone() -> None:
    (found,) = predictions("regression", (), [[-12.5]])
    assert found["prediction"] == -12.5
    assert not found.keys() & {"probability", "probabilities"}


@pytest.mark.parametrize(
    ("classes", "names"), [(("a", "b", "c"), ["a", "b", "c"]), ((3, 1, 2), ["3", "1", "2"])]
)
def test_a_multiclass_prediction_has_the_probability_of_each_class_under_its_text(
    classes: tuple[ClassLabel, ...], names: list[str]
) -> None:
    found = predictions("multiclass", classes, [[0.2, 0.5, 0.3], [0.4, 0.2, 0.4]])
    assert [one["prediction"] for one in found] == [classes[1], classes[0]]
    assert found[0]["probabilities"] == dict(zip(names, [0.2, 0.5, 0.3], strict=True))
    assert "probability" not in found[0]


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_an_output_that_is_not_finite_is_null_and_its_neighbours_stand(wrong: float) -> None:
    regression = predictions("regression", (), [[1.0], [wrong]])
    assert [one["prediction"] for one in regression] == [1.0, None]
    binary = predictions("binary", (0, 1), [[wrong], [0.9]])
    assert [(one["prediction"], one["probability"]) for one in binary] == [(None, None), (1, 0.9)]
    multi = predictions("multiclass", ("a", "b"), [[0.5, wrong], [0.1, 0.9]])
    assert [one["prediction"] for one in multi] == [None, "b"]
    assert [one["probabilities"] for one in multi] == [None, {"a": 0.1, "b": 0.9}]


def test_no_predictions_are_no_messages() -> None:
    assert predictions("binary", (0, 1), []) == []


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.text(), st.floats(allow_nan=False, allow_infinity=False)), min_size=1, max_size=20)
)
def test_ids_and_numbers_survive_the_round_trip(rows: list[tuple[str, float]]) -> None:
    found = predictions("regression", (), [[number] for _, number in rows], [one for one, _ in rows])
    assert [(one["id"], one["prediction"]) for one in found] == rows
    assert [one["offset"] for one in found] == [1234 + i for i in range(len(rows))]


# Dead letters

SPEC = ModelSpec(task="regression", features=FeatureSpec(hash_bits=18, others="include"))


def letter(value: bytes | None, headers: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    records = kafka_records([value], first_offset=77, headers=headers)
    (dead,) = Ingest("delay", SPEC).decode("flights", 3, records).dead
    return dead_letter_headers(dead, "flights", 3, "delay")


def test_a_dead_letter_has_the_headers_of_kafka_connect() -> None:
    assert letter(b'{"features":{"x":["\xc3\xbc"]}}', []) == [
        ("__connect.errors.topic", b"flights"),
        ("__connect.errors.partition", b"3"),
        ("__connect.errors.offset", b"77"),
        ("__connect.errors.connector.name", b"delay"),
        ("__connect.errors.stage", b"TRANSFORMATION"),
        ("__connect.errors.exception.class.name", b"gradstream.InvalidFeature"),
        (
            "__connect.errors.exception.message",
            'features.x[0]: expected a finite number, got "ü"'.encode(),
        ),
    ]


def test_bytes_that_are_no_json_failed_in_the_value_converter() -> None:
    headers = dict(letter(b"garbage", []))
    assert headers["__connect.errors.stage"] == b"VALUE_CONVERTER"


def test_the_records_own_headers_are_kept_in_front() -> None:
    own = [("trace", b"\x00\x01"), ("trace", b"again"), ("__connect.errors.topic", b"before")]
    headers = letter(None, own)
    assert headers[:3] == own
    assert headers[3] == ("__connect.errors.topic", b"flights")


# The reference


def test_the_message_reference_names_each_class_of_error_with_its_stage() -> None:
    text = (Path(__file__).parents[2] / "docs" / "messages.md").read_text(encoding="utf-8")
    kinds = InvalidRecord.__subclasses__()
    assert len(kinds) == 10
    for kind in kinds:
        assert f"| `{kind.public_name()}` | `{kind.stage}` |" in text


def test_the_message_reference_gives_the_hash_seed() -> None:
    text = (Path(__file__).parents[2] / "docs" / "messages.md").read_text(encoding="utf-8")
    assert f"{SEED:#x}" in text
    assert f'"carrier=UA".encode(), {SEED:#x})  # {feature_hash("carrier=UA"):#x}' in text
