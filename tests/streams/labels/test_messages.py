"""Label messages: each is a label, or a dead letter that says why not; fast path and careful path agree."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.spec import FeatureSpec, LossSpec, ModelSpec, NumericFeature
from streams.labels.messages import LabelBatch, LabelIngest
from tests.streams.kafka_records import TIMESTAMP, kafka_records

FEATURES = FeatureSpec(numeric=(NumericFeature("x"),))


def spec(task: Any = "binary", classes: tuple[Any, ...] = (0, 1), loss: Any = None) -> ModelSpec:
    chosen = None if loss is None else LossSpec(loss)
    return ModelSpec(task=task, classes=classes, features=FEATURES, loss=chosen, late_labels=True)


REGRESSION = spec("regression", ())


def message(**fields: Any) -> bytes:
    return json.dumps({"id": "a", "label": 1, **fields}).encode()


def decode(values: list[bytes | None], model: ModelSpec | None = None) -> LabelBatch:
    records = kafka_records(values, first_offset=10, key=b"k", headers=[("h", b"1")])
    return LabelIngest(model or spec()).decode(10, 10 + len(values), records)


GOOD = [
    (message(), ("a", 1.0, 1.0, TIMESTAMP, False)),
    (message(label=0, weight=2.5), ("a", 0.0, 2.5, TIMESTAMP, False)),
    (message(label=True), ("a", 1.0, 1.0, TIMESTAMP, False)),
    (message(label=1.0, weight=0), ("a", 1.0, 0.0, TIMESTAMP, False)),
    (message(weight=None, timestamp=None), ("a", 1.0, 1.0, TIMESTAMP, False)),
    (message(timestamp=5), ("a", 1.0, 1.0, 5, False)),
    (message(timestamp=-5), ("a", 1.0, 1.0, -5, False)),
    (message(timestamp=5.0), ("a", 1.0, 1.0, 5, False)),
    (message(timestamp="1970-01-01T01:00:00.0079+01:00"), ("a", 1.0, 1.0, 7, False)),
    (message(correction=True), ("a", 1.0, 1.0, TIMESTAMP, True)),
    (message(correction=None), ("a", 1.0, 1.0, TIMESTAMP, False)),
    (message(id=""), ("", 1.0, 1.0, TIMESTAMP, False)),
    (message(id="日本 \u0000"), ("日本 \u0000", 1.0, 1.0, TIMESTAMP, False)),
    (message(id="x" * 4096), ("x" * 4096, 1.0, 1.0, TIMESTAMP, False)),
    (message(more={"of": ["it"]}), ("a", 1.0, 1.0, TIMESTAMP, False)),
    (b' {"label": 1, "id": "a"}\n', ("a", 1.0, 1.0, TIMESTAMP, False)),
]  # fmt: skip
BAD = [
    (None, "EmptyValue", "value: expected a JSON object, got none (a tombstone)"),
    (b"", "EmptyValue", "value: expected a JSON object, got an empty value"),
    (b"{", "NotJson", "value: expected a JSON object, got the end at character 1 "
     "(expecting property name enclosed in double quotes)"),
    (b'{"id":"\xff","label":1}', "NotJson",
     "value: expected a JSON object in UTF-8, got byte 0xff at position 7"),
    (b'{"id":"a","label":NaN}', "NotJson", "label: expected a finite number, got NaN, which is not JSON"),
    (b'{"id":"\\ud800","label":1}', "NotJson", "value: expected whole characters, got half of one: \\ud800"),
    (b"[1]", "NotAnObject", "value: expected a JSON object, got [1]"),
    (b"1", "NotAnObject", "value: expected a JSON object, got 1"),
    (b'{"label":1}', "InvalidSample", "id: expected the id of a sample, got none"),
    (message(id=None), "InvalidSample", "id: expected the id of a sample, got none"),
    (message(id=7), "InvalidSample", "id: expected text of at most 4096 characters, got 7"),
    (message(id=["a"]), "InvalidSample", 'id: expected text of at most 4096 characters, got ["a"]'),
    (message(id="x" * 4097), "InvalidSample",
     "id: expected text of at most 4096 characters, got 4097 characters"),
    (message(id="x" * 2**20), "InvalidSample",
     "id: expected text of at most 4096 characters, got 1048576 characters"),
    (b'{"id":"a"}', "InvalidLabel", "label: expected one of 0, 1 (or false, true), got none"),
    (message(label=None), "InvalidLabel", "label: expected one of 0, 1 (or false, true), got none"),
    (message(label=2), "InvalidLabel", "label: expected one of 0, 1 (or false, true), got 2"),
    (message(label=0.5), "InvalidLabel", "label: expected one of 0, 1 (or false, true), got 0.5"),
    (message(label="1"), "InvalidLabel", 'label: expected one of 0, 1 (or false, true), got "1"'),
    (message(weight=-1), "InvalidSample", "weight: expected a finite number that is not negative, got -1"),
    (message(weight="1"), "InvalidSample", 'weight: expected a finite number that is not negative, got "1"'),
    (b'{"id":"a","label":1,"weight":1e999}', "InvalidSample",
     "weight: expected a finite number that is not negative, got 1e999"),
    (message(timestamp="2013-01-01T05:15:00"), "InvalidSample",
     "timestamp: expected RFC 3339 with a zone (2013-01-01T05:15:00Z) or milliseconds since 1970, "
     'got "2013-01-01T05:15:00"'),
    (message(timestamp=10**18), "InvalidSample",
     "timestamp: expected RFC 3339 with a zone (2013-01-01T05:15:00Z) or milliseconds since 1970, "
     "got 1000000000000000000"),
    (message(correction=1), "InvalidSample", "correction: expected true or false, got 1"),
    (message(correction="yes"), "InvalidSample", 'correction: expected true or false, got "yes"'),
]  # fmt: skip


@pytest.mark.parametrize(("value", "expected"), GOOD)
def test_a_label_message_is_a_label(value: bytes, expected: tuple[Any, ...]) -> None:
    found = decode([value])
    assert not found.dead
    assert found.labels.tolist() == [expected[1]]
    assert (found.ids, found.weights.tolist()) == ([expected[0]], [expected[2]])
    assert (found.times.tolist(), found.corrections) == ([expected[3]], [expected[4]])


@pytest.mark.parametrize(("value", "name", "text"), BAD)
def test_what_is_no_label_message_is_a_dead_letter_that_says_why(
    value: bytes | None, name: str, text: str
) -> None:
    found = decode([value])
    (letter,) = found.dead
    assert (letter.exception, letter.message) == (f"gradstream.{name}", text)
    assert letter.record.value == value
    assert len(found) == 0
    assert len(letter.message) < 300


@pytest.mark.parametrize(
    ("model", "good", "bad"),
    [
        (REGRESSION, [1, -2.5, 1e308], ["1", True, None]),
        (spec("regression", (), "poisson"), [0, 2], [-1, -0.5]),
        (spec("multiclass", ("a", "b", "c")), ["a", "c"], ["d", 0, ""]),
        (spec(classes=(False, True)), [False, True], [0, 1, "true"]),
        (spec(classes=("no", "yes")), ["no"], ["NO"]),
    ],
    ids=["regression", "counts", "multiclass", "booleans", "texts"],
)
def test_labels_are_those_of_the_models_task(model: ModelSpec, good: list[Any], bad: list[Any]) -> None:
    found = decode([message(label=one) for one in [*good, *bad]], model)
    assert len(found) == len(good)
    assert [letter.exception for letter in found.dead] == ["gradstream.InvalidLabel"] * len(bad)


def test_each_bad_message_is_a_letter_of_its_own_and_the_others_stay_labels() -> None:
    values = [
        value for pair in zip([one[0] for one in BAD], [message()] * len(BAD), strict=True) for value in pair
    ]
    found = decode(values)
    assert [letter.record.offset for letter in found.dead] == list(range(10, 10 + len(values), 2))
    assert [record.offset for record in found.records] == list(range(11, 11 + len(values), 2))
    assert found.times.tolist() == [TIMESTAMP + i for i in range(1, len(values), 2)]
    assert (found.start, found.stop) == (10, 10 + len(values))


def test_no_records_are_no_labels() -> None:
    found = decode([])
    assert (len(found), found.start, found.stop, found.dead) == (0, 10, 10, [])


some = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.just([1])
fields = st.dictionaries(st.sampled_from(["id", "label", "weight", "timestamp", "correction", "other"]), some)
messages = fields.map(lambda body: json.dumps(body).encode())
whole = st.builds(
    message, id=st.text(st.characters(codec="utf-8"), max_size=3), label=st.integers(-1, 2) | some,
    weight=some | st.floats(0, 3), timestamp=some | st.integers(0, 10**13), correction=st.booleans() | some,
)  # fmt: skip
values = st.one_of(messages, whole, st.none(), st.binary(max_size=12), st.just(message()))


@given(
    given_=st.lists(values, max_size=8), model=st.sampled_from([spec(), REGRESSION, spec(classes=("a", "b"))])
)
@settings(max_examples=400)
def test_fast_path_and_careful_path_agree(given_: list[bytes | None], model: ModelSpec) -> None:
    together = decode(given_, model)
    ingest = LabelIngest(model)
    records = kafka_records(given_, first_offset=10, key=b"k", headers=[("h", b"1")])
    alone = [ingest.decode(record.offset, record.offset + 1, [record]) for record in records]
    found, kept, dead = ingest._sift(records)  # the careful path
    labels, weights, times = ingest._columns(found, kept)
    for one, other in ((labels, together.labels), (weights, together.weights), (times, together.times)):
        np.testing.assert_array_equal(one, other)
    assert [one.id for one in found] == together.ids == [id_ for batch in alone for id_ in batch.ids]
    assert [one.correction for one in found] == together.corrections
    letters = [(one.record.offset, one.exception, one.message) for one in together.dead]
    assert letters == [(one.record.offset, one.exception, one.message) for one in dead]
    assert letters == [(l.record.offset, l.exception, l.message) for batch in alone for l in batch.dead]  # noqa: E741
    singly = np.concatenate([np.zeros(0), *(batch.labels for batch in alone)])
    np.testing.assert_array_equal(singly, together.labels)


@given(given_=st.lists(values, max_size=10), count=st.integers(1, 10))
def test_a_batch_that_is_cut_is_the_same_in_two_parts(given_: list[bytes | None], count: int) -> None:
    batch = decode(given_)
    first, rest = batch.cut(count)
    parts = [first] if rest is None else [first, rest]
    assert (first.start, parts[-1].stop) == (batch.start, batch.stop)
    assert rest is None or (first.stop == rest.start and len(first) == count)
    for name in ("ids", "corrections"):
        assert [one for part in parts for one in getattr(part, name)] == getattr(batch, name)
    for name in ("labels", "weights", "times"):
        np.testing.assert_array_equal(np.concatenate([getattr(p, name) for p in parts]), getattr(batch, name))
    assert [one for part in parts for one in part.dead] == batch.dead
    for part in parts:
        within = [record.offset for record in part.records] + [one.record.offset for one in part.dead]
        assert all(part.start <= offset < part.stop for offset in within)
