"""Each bad record gets a dead letter that says what is wrong and where, and its neighbours do not notice."""

from __future__ import annotations

import random
from typing import Any

import pytest

from models.spec import FeatureSpec, ModelSpec, NumericFeature
from streams.ingest import Ingest
from streams.ingest_text import SHOWN_LENGTH
from streams.records import MAX_ID_LENGTH
from tests.streams.kafka_records import kafka_records, sample

SPEC = ModelSpec(
    task="binary",
    features=FeatureSpec(
        numeric=(NumericFeature("distance"), NumericFeature("v", size=2)),
        categorical=("carrier",),
        hash_bits=18,
    ),
    classes=(0, 1),
)
EVERY = ModelSpec(task="regression", features=FeatureSpec(hash_bits=18, others="include"))
GOOD = sample(id="good", features={"distance": 1})

JSON = "value: expected a JSON object"
TIME = "timestamp: expected RFC 3339 with a zone (2013-01-01T05:15:00Z) or milliseconds since 1970"
NULS = ("\\u0000" * 20)[: SHOWN_LENGTH - 1]
DEEP = b'{"features":{"distance":' + b"[" * 200_000

NO_OBJECT = [
    (None, "EmptyValue", f"{JSON}, got none (a tombstone)"),
    (b"", "EmptyValue", f"{JSON}, got an empty value"),
    (b" \r\n", "EmptyValue", f"{JSON}, got an empty value"),
    (b"not json", "NotJson", f'{JSON}, got "not json" at character 0 (expecting value)'),
    (b'{"features":{}', "NotJson", f"{JSON}, got the end at character 14 (expecting ',' delimiter)"),
    (b'{"features":{}} {}', "NotJson", f'{JSON}, got "{{}}" at character 16 (extra data)'),
    (b"\xff\xfe{}", "NotJson", f"{JSON} in UTF-8, got byte 0xff at position 0"),
    (b'{"features":{},"x":"\xe9"}', "NotJson", f"{JSON} in UTF-8, got byte 0xe9 at position 20"),
    (
        b'{"features":{"carrier":"\\ud800"}}',
        "NotJson",
        "value: expected whole characters, got half of one: \\ud800",
    ),
    (
        b'{"features":{"carrier":"a\nb"}}',
        "NotJson",
        f'{JSON}, got "\\nb\\"}}}}" at character 25 (invalid control character at)',
    ),
    (DEEP, "NotJson", f"{JSON}, got one that is nested too deep"),
    (b"\x00" * 2_000_000, "NotJson", f'{JSON}, got "{NULS}…" at character 0 (expecting value)'),
    (
        b'{"features":{"distance":NaN}}',
        "NotJson",
        "features.distance: expected a finite number, got NaN, which is not JSON",
    ),
    (
        b'{"features":{"v":[1,-Infinity]}}',
        "NotJson",
        "features.v[1]: expected a finite number, got -Infinity, which is not JSON",
    ),
    (b"NaN", "NotJson", "value: expected a finite number, got NaN, which is not JSON"),
    (b"[1, 2]", "NotAnObject", f"{JSON}, got [1, 2]"),
    (b'"text"', "NotAnObject", f'{JSON}, got "text"'),
    (b"null", "NotAnObject", f"{JSON}, got null"),
]

NUMBER = "features.distance: expected a finite number"
VECTOR = "features.v: expected a list of 2 numbers"
CATEGORY = "features.carrier: expected text, a finite number or a boolean"
LABEL = "label: expected one of 0, 1 (or false, true)"
WEIGHT = "weight: expected a finite number that is not negative"
ID = f"id: expected text of at most {MAX_ID_LENGTH} characters"

NO_SAMPLE = [
    (b"{}", "InvalidSample", "features: expected an object of names and values, got none"),
    (sample(features=None), "InvalidSample", "features: expected an object of names and values, got null"),
    (sample(features=[1]), "InvalidSample", "features: expected an object of names and values, got [1]"),
    (sample(features={"distance": "far"}), "InvalidFeature", f'{NUMBER}, got "far"'),
    (sample(features={"distance": "NaN"}), "InvalidFeature", f'{NUMBER}, got "NaN"'),
    (sample(features={"distance": "12"}), "InvalidFeature", f'{NUMBER}, got "12"'),
    (sample(features={"distance": [12]}), "InvalidFeature", f"{NUMBER}, got [12]"),
    (sample(features={"distance": {"km": 1}}), "InvalidFeature", f'{NUMBER}, got {{"km": 1}}'),
    (b'{"features":{"distance":1e999}}', "InvalidFeature", f"{NUMBER}, got 1e999"),
    (b'{"features":{"distance":-1e999}}', "InvalidFeature", f"{NUMBER}, got -1e999"),
    (b'{"features":{"distance":1' + b"0" * 400 + b"}}", "InvalidFeature", f"{NUMBER}, got 1{'0' * 98}…"),
    (b'{"features":{"distance":1' + b"0" * 5000 + b"}}", "InvalidFeature", f"{NUMBER}, got 1{'0' * 98}…"),
    (sample(features={"v": 3}), "InvalidFeature", f"{VECTOR}, got 3"),
    (sample(features={"v": "3"}), "InvalidFeature", f'{VECTOR}, got "3"'),
    (sample(features={"v": [1, 2, 3]}), "InvalidFeature", f"{VECTOR}, got a list of 3"),
    (sample(features={"v": []}), "InvalidFeature", f"{VECTOR}, got a list of 0"),
    (sample(features={"v": [1, "x"]}), "InvalidFeature", 'features.v[1]: expected a finite number, got "x"'),
    (
        sample(features={"v": [None, 1]}),
        "InvalidFeature",
        "features.v[0]: expected a finite number, got null",
    ),
    (
        sample(features={"v": [1, True]}),
        "InvalidFeature",
        "features.v[1]: expected a finite number, got true",
    ),
    (b'{"features":{"v":[1,1e999]}}', "InvalidFeature", "features.v[1]: expected a finite number, got 1e999"),
    (sample(features={"carrier": ["UA"]}), "InvalidFeature", f'{CATEGORY}, got ["UA"]'),
    (sample(features={"carrier": {}}), "InvalidFeature", f"{CATEGORY}, got {{}}"),
    (b'{"features":{"carrier":1e999}}', "InvalidFeature", f"{CATEGORY}, got 1e999"),
    (sample(label=2), "InvalidLabel", f"{LABEL}, got 2"),
    (sample(label=0.5), "InvalidLabel", f"{LABEL}, got 0.5"),
    (sample(label="1"), "InvalidLabel", f'{LABEL}, got "1"'),
    (sample(label=[1]), "InvalidLabel", f"{LABEL}, got [1]"),
    (b'{"features":{},"label":1e999}', "InvalidLabel", f"{LABEL}, got 1e999"),
    (sample(weight=-1), "InvalidSample", f"{WEIGHT}, got -1"),
    (sample(weight=-0.5), "InvalidSample", f"{WEIGHT}, got -0.5"),
    (sample(weight="1"), "InvalidSample", f'{WEIGHT}, got "1"'),
    (sample(weight=True), "InvalidSample", f"{WEIGHT}, got true"),
    (b'{"features":{},"weight":1e999}', "InvalidSample", f"{WEIGHT}, got 1e999"),
    (sample(id=12), "InvalidSample", f"{ID}, got 12"),
    (sample(id="x" * (MAX_ID_LENGTH + 1)), "InvalidSample", f"{ID}, got {MAX_ID_LENGTH + 1} characters"),
    (sample(timestamp="yesterday"), "InvalidSample", f'{TIME}, got "yesterday"'),
    (sample(timestamp="2013-01-01T05:15:00"), "InvalidSample", f'{TIME}, got "2013-01-01T05:15:00"'),
    (sample(timestamp="2013-01-01T05:15:60Z"), "InvalidSample", f'{TIME}, got "2013-01-01T05:15:60Z"'),
    (
        sample(timestamp="0001-01-01T00:00:00+01:00"),
        "InvalidSample",
        f'{TIME}, got "0001-01-01T00:00:00+01:00"',
    ),
    (sample(timestamp=1.5), "InvalidSample", f"{TIME}, got 1.5"),
    (sample(timestamp=True), "InvalidSample", f"{TIME}, got true"),
    (sample(timestamp=1_700_000_000_000_000_000), "InvalidSample", f"{TIME}, got 1700000000000000000"),
    (sample(timestamp=10**30), "InvalidSample", f"{TIME}, got 1{'0' * 30}"),
    (
        sample(features={"distance": "a" * 2_000_000}),
        "InvalidFeature",
        f'{NUMBER}, got "{"a" * (SHOWN_LENGTH - 1)}…"',
    ),
    (
        b'{"features":{"distance":"a\\u0000\\n\\u2028\\u202e\\""}}',
        "InvalidFeature",
        f'{NUMBER}, got "a\\u0000\\n\\u2028\\u202e\\""',
    ),
]

UNDECLARED = [
    (
        {"x": {"y": 1}},
        'features.x: expected a number, text, a boolean, null or a list of numbers, got {"y": 1}',
    ),
    ({"x": [1, "a"]}, 'features.x[1]: expected a finite number, got "a"'),
    ({"x": [[1]]}, "features.x[0]: expected a finite number, got [1]"),
    ({"x": 10**400}, f"features.x: expected a finite number, got 1{'0' * 98}…"),
    ({"a\nb": {}}, "features.a\\nb: expected a number, text, a boolean, null or a list of numbers, got {}"),
]


def refuse(spec: ModelSpec, value: bytes | None) -> tuple[str, str, str]:
    """Stage, class and message of the one dead letter among two good samples."""
    good = GOOD if spec is SPEC else sample(id="good", features={"x": 1})
    found = Ingest("delay", spec).decode("flights", 0, kafka_records([good, value, good]))
    assert found.ids == ["good", "good"]
    assert found.rows.offsets.tolist() == [0, 2]
    (dead,) = found.dead
    assert (dead.record.offset, dead.record.value) == (1, value)
    return dead.stage, dead.exception, dead.message


@pytest.mark.parametrize(("value", "exception", "message"), NO_OBJECT, ids=[m[:60] for _, _, m in NO_OBJECT])
def test_bytes_that_are_no_object_are_refused(value: bytes | None, exception: str, message: str) -> None:
    assert refuse(SPEC, value) == ("VALUE_CONVERTER", f"gradstream.{exception}", message)


@pytest.mark.parametrize(("value", "exception", "message"), NO_SAMPLE, ids=[m[:60] for _, _, m in NO_SAMPLE])
def test_an_object_that_is_no_sample_is_refused(value: bytes, exception: str, message: str) -> None:
    assert refuse(SPEC, value) == ("TRANSFORMATION", f"gradstream.{exception}", message)


@pytest.mark.parametrize(("features", "message"), UNDECLARED)
def test_an_undeclared_feature_that_cannot_be_taken_is_refused(
    features: dict[str, Any], message: str
) -> None:
    assert refuse(EVERY, sample(features=features)) == (
        "TRANSFORMATION",
        "gradstream.InvalidFeature",
        message,
    )


def test_a_label_that_is_no_number_is_refused_in_a_regression() -> None:
    for label, shown in (("12", '"12"'), (True, "true"), (10**400, f"1{'0' * 98}…")):
        message = f"label: expected a finite number, got {shown}"
        assert refuse(EVERY, sample(label=label)) == ("TRANSFORMATION", "gradstream.InvalidLabel", message)


def test_a_sample_that_the_learning_log_cannot_take_is_refused() -> None:
    entries = 300_000
    size = 40 + 14 * entries + sum(len(f"v[{i}]") for i in range(entries))
    assert refuse(EVERY, sample(features={"v": [0] * entries})) == (
        "TRANSFORMATION",
        "gradstream.SampleTooLarge",
        f"features: expected at most 4194304 bytes in encoded form, got {size}; send fewer features",
    )


def test_every_message_is_one_printable_line_of_limited_length() -> None:
    rng = random.Random(5)
    values = [value for value, _, _ in [*NO_OBJECT, *NO_SAMPLE]]
    values += [sample(features={"distance": rng.randbytes(300).decode("latin-1")}) for _ in range(50)]
    values += [rng.randbytes(300) for _ in range(50)]
    found = Ingest("delay", SPEC).decode("flights", 0, kafka_records(values))
    assert len(found.dead) == len(values)
    assert all(dead.message.isprintable() and len(dead.message) < 300 for dead in found.dead)
