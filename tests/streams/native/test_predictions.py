"""Predictions written from arrays are those that PredictionEncoder writes, in batches that a broker takes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from aiokafka.record.util import encode_varint
from hypothesis import example, given, settings
from hypothesis import strategies as st

from models.kernels.jit import entry_point
from models.spec import ClassLabel, FeatureSpec, ModelSpec, Task
from streams.native import predictions as module
from streams.native.batches import VALUE
from streams.native.predict_write import varint_size, write_varint
from streams.native.predictions import PredictionWriter
from streams.native.raw import RawRecords
from streams.native.raw_ids import RawIds, RawKeys
from streams.native.record_set import RecordSet
from streams.records import PredictionEncoder
from tests.streams.native.fetches import Row, batch, raw_records

TOPIC, PARTITION = "flights", 3
LARGE = 1 << 20


class Sample(NamedTuple):
    """What a prediction says besides the outputs."""

    id: str | None = None
    key: bytes | None = None
    offset: int = 1234
    learned: int = 51200


class Written(NamedTuple):
    """Batches, and the records in them."""

    sets: list[RecordSet]
    keys: list[bytes | None]
    values: list[bytes]


def ids_and_keys(samples: list[Sample], topic: str, partition: int) -> tuple[RawIds, RawKeys]:
    """As the parser finds them in the bytes of the samples."""
    rows = [Row(i, key=one.key, value=(one.id or "").encode()) for i, one in enumerate(samples)]
    (records,) = raw_records(batch(rows)) if rows else (RawRecords.join([]),)
    sizes = np.array([-1 if one.id is None else len(one.id.encode()) for one in samples], np.int64)
    offsets = np.array([one.offset for one in samples], np.int64)
    at = np.ascontiguousarray(records.places[:, VALUE])
    return RawIds(records.data, at, sizes, f"{topic}-{partition}-", offsets), RawKeys(records)


def written(
    writer: PredictionWriter,
    samples: list[Sample],
    served: np.ndarray,
    batch_bytes: int = LARGE,
    topic: str = TOPIC,
    partition: int = PARTITION,
) -> Written:
    """Every batch is valid, and its records are numbered from 0."""
    ids, keys = ids_and_keys(samples, topic, partition)
    learned = np.array([one.learned for one in samples], np.int64)
    sets = writer.write(ids, keys, served, learned, topic, partition, batch_bytes)
    found = Written(sets, [], [])
    for one in sets:
        data = DefaultRecordBatch(bytes(one._build()))
        assert data.validate_crc()
        records = list(data)
        assert [record.offset for record in records] == list(range(one.record_count()))
        assert {record.timestamp for record in records} == {data.max_timestamp}
        assert all(record.headers == [] for record in records)
        assert data.next_offset == one.record_count()
        assert one.size() == len(one._build())
        found.keys.extend(record.key for record in records)
        found.values.extend(record.value for record in records)
    return found


def check(
    task: Task,
    classes: tuple[ClassLabel, ...],
    samples: list[Sample],
    served: list[list[float]],
    *,
    model: str = "delay",
    batch_bytes: int = LARGE,
    topic: str = TOPIC,
    partition: int = PARTITION,
) -> Written:
    """What is written is what PredictionEncoder writes; and the keys are the samples'."""
    spec = ModelSpec(task=task, features=FeatureSpec(), classes=classes)
    outputs = np.array(served, np.float64).reshape(len(samples), -1 if served else 1)
    writer = PredictionWriter(model, spec)
    found = written(writer, samples, outputs, batch_bytes, topic, partition)
    ids = [f"{topic}-{partition}-{one.offset}" if one.id is None else one.id for one in samples]
    learned = np.array([one.learned for one in samples], np.int64)
    offsets = np.array([one.offset for one in samples], np.int64)
    expected = PredictionEncoder(model, spec).encode(ids, outputs, learned, topic, partition, offsets)
    assert found.values == expected
    assert found.keys == [one.key for one in samples]
    return found


def numbered(count: int) -> list[Sample]:
    return [Sample(offset=1000 + i, learned=50 + i) for i in range(count)]


# Values


def test_a_number_is_written_as_the_encoder_writes_it() -> None:
    values = [0.0, -0.0, 1.0, 0.1, -12.5, 1e22, 1.7976931348623157e308, 5e-324, 2.0**53, 1e-5, 123456.789]
    found = check("regression", (), numbered(11), [[value] for value in values])
    assert found.values[4].startswith(b'{"id":"flights-3-1004","model":"delay","prediction":-12.5,')


PAIRS = [(0, 1), (7, -3), (False, True), ("no", "yes"), ('"', "ü\n"), ("\\u0000", "\0"), (-(2**62), 2**62)]


@pytest.mark.parametrize("classes", PAIRS)
def test_one_of_two_classes_is_written_as_it_was_declared(classes: tuple[ClassLabel, ClassLabel]) -> None:
    below = math.nextafter(0.5, 0)
    check("binary", classes, numbered(6), [[0.0], [below], [0.5], [1.0], [-0.0], [0.8731]])


SEVERAL = [
    ("a", "b", "c"),
    (3, 1, 2),
    ('q"', "\\", "é/🙂", "\x7f\x1f"),
    tuple(range(-30, 34)),
    ("one", "two"),
]


@pytest.mark.parametrize("classes", SEVERAL)
def test_of_several_classes_each_has_its_probability(classes: tuple[ClassLabel, ...]) -> None:
    served = np.random.default_rng(1).dirichlet(np.ones(len(classes)), 9)
    check("multiclass", classes, numbered(9), served.tolist())


def test_of_equal_probabilities_the_first_class_is_predicted() -> None:
    check("multiclass", ("a", "b", "c"), numbered(3), [[0.4, 0.2, 0.4], [0.2, 0.4, 0.4], [0.0, -0.0, 0.0]])


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_an_output_that_is_not_finite_is_null_and_its_neighbours_stand(wrong: float) -> None:
    check("regression", (), numbered(3), [[1.0], [wrong], [2.0]])
    check("binary", (0, 1), numbered(3), [[0.1], [wrong], [0.9]])
    check("multiclass", ("a", "b"), numbered(4), [[0.5, 0.5], [wrong, 0.9], [0.9, wrong], [wrong, wrong]])


def test_ids_are_those_given_or_name_the_sample() -> None:
    ids = ["a", None, "", "ünï🙂", "x" * 4096, "/\x7f'", None]
    check("regression", (), [Sample(one, offset=i) for i, one in enumerate(ids)], [[0.5]] * 7)


def test_a_key_may_be_missing_or_empty_or_long() -> None:
    keys = [None, b"", b"key", b"\0\xff", b"k" * 100_000, None]
    check("binary", (0, 1), [Sample(key=key) for key in keys], [[0.5]] * 6)


@pytest.mark.parametrize("topic", ["t", 'quoted "t"', "ü\n"])
def test_names_of_models_and_topics_are_escaped_where_they_have_to_be(topic: str) -> None:
    check("regression", (), [Sample(), Sample("id")], [[1.0]] * 2, model=f"model of {topic}", topic=topic)


def test_one_writer_writes_for_every_topic_and_partition() -> None:
    spec = ModelSpec(task="regression", features=FeatureSpec())
    writer = PredictionWriter("delay", spec)
    for topic, partition in [("a", 0), ("a", 1), ("b", 0), ("a", 0)]:
        (value,) = written(writer, [Sample()], np.ones((1, 1)), topic=topic, partition=partition).values
        place = f'"topic":"{topic}","partition":{partition},'.encode()
        assert place in value
        assert value.startswith(f'{{"id":"{topic}-{partition}-1234"'.encode())


def test_no_predictions_are_no_batches() -> None:
    assert check("regression", (), [], []).sets == []


PLAIN = st.text(st.characters(codec="utf-8", exclude_characters='"\\', exclude_categories=["Cc"]), max_size=6)
"""Ids as the compiled parser leaves them to the writer: none with anything to escape."""
SAMPLES = st.builds(
    Sample,
    id=st.none() | PLAIN,
    key=st.none() | st.binary(max_size=6),
    offset=st.integers(0, 2**63 - 1),
    learned=st.integers(0, 2**63 - 1),
)


@settings(max_examples=150)
@given(st.lists(st.tuples(SAMPLES, st.floats(), st.floats(), st.floats()), max_size=8), st.integers(1, 900))
@example([(Sample("i" * 9, offset=2**63 - 1, learned=2**63 - 1), 5e-324, -1.7976931348623157e308, 1e-9)], 1)
def test_whatever_is_predicted_is_written_as_the_encoder_writes_it(
    rows: list[tuple[Sample, float, float, float]], batch_bytes: int
) -> None:
    samples, served = [row[0] for row in rows], [list(row[1:]) for row in rows]
    check("multiclass", ("a", "b", "c"), samples, served, batch_bytes=batch_bytes)
    for task, classes in [("binary", ("n", "y")), ("regression", ())]:
        one = [row[:1] for row in served]
        check(task, classes, samples, one, batch_bytes=batch_bytes)  # type: ignore[arg-type]


# Batches


@pytest.mark.parametrize("batch_bytes", [1, 300, 1000, 5000, LARGE])
def test_a_batch_holds_as_many_records_as_fit_and_one_at_least(batch_bytes: int) -> None:
    samples = [Sample("i" * (i % 90), b"k" * (i % 40), 1000 + i) for i in range(200)]
    found = check("binary", (0, 1), samples, [[0.25]] * 200, batch_bytes=batch_bytes)
    first = 0
    for one in found.sets:
        after = first + one.record_count()
        assert one.size() <= batch_bytes or one.record_count() == 1
        if after < len(samples):
            builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, 0, LARGE)
            next_one = builder.size_in_bytes(
                one.record_count(), 0, found.keys[after], found.values[after], []
            )
            assert one.size() + next_one > batch_bytes
        first = after


def test_a_batch_is_to_the_byte_what_aiokafka_would_build() -> None:
    samples = [Sample(f"id-{i}", None if i % 3 else b"key", offset=i) for i in range(300)]
    (found,) = check("binary", (0, 1), samples, [[i / 300] for i in range(300)]).sets
    built = bytes(found._build())
    time = DefaultRecordBatch(built).first_timestamp
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, 0, LARGE)
    for i, record in enumerate(DefaultRecordBatch(built)):
        builder.append(i, time, record.key, record.value, [])
    assert built == bytes(builder.build())


CANARY = 0xA5
MARGIN = 64


class Guarded:
    """numpy, whose empty arrays stand between bytes that nobody may write to."""

    def __init__(self) -> None:
        self._arrays: list[np.ndarray] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    def empty(self, size: int, dtype: Any) -> np.ndarray:
        assert dtype is np.uint8
        self._arrays.append(np.full(size + 2 * MARGIN, CANARY, np.uint8))
        return self._arrays[-1][MARGIN : MARGIN + size]

    def edges(self) -> Iterator[np.ndarray]:
        for array in self._arrays:
            yield from (array[:MARGIN], array[-MARGIN:])


@pytest.mark.parametrize("batch_bytes", [1, 64, 2000])
@pytest.mark.parametrize("classes", [(), ("n", "y"), tuple(f"class {i}" for i in range(40))], ids=len)
def test_the_longest_predictions_stay_within_the_room_that_was_made_for_them(
    monkeypatch: pytest.MonkeyPatch, classes: tuple[ClassLabel, ...], batch_bytes: int
) -> None:
    guarded = Guarded()
    monkeypatch.setattr(module, "np", guarded)
    task: Task = "regression" if not classes else "binary" if len(classes) == 2 else "multiclass"
    longest = [-2.2250738585072014e-308, -1.7976931348623157e308, math.nan, -(2.0**60)]
    samples = [
        Sample(one, key, offset, 2**63 - 1)
        for one in (None, "", "i" * 4096)
        for key in (None, b"k", b"k" * 5000)
        for offset in (0, 2**63 - 1)
    ]
    for number in longest:
        outputs = len(classes) if task == "multiclass" else 1
        check(task, classes, samples, [[number] * outputs] * len(samples), batch_bytes=batch_bytes)
    edges = list(guarded.edges())
    assert len(edges) == 4 * len(longest)
    assert all((edge == CANARY).all() for edge in edges)


# Numbers of variable length


@entry_point()
def write_number(out, at, number):
    return write_varint(out, at, number), varint_size(number)


@given(st.integers(-(2**62), 2**62 - 1))
@example(-1)
@example(63)
@example(-64)
@example(64)
@example(2**62 - 1)
@example(-(2**62))
def test_a_number_is_written_as_aiokafka_writes_it(number: int) -> None:
    expected = bytearray()
    encode_varint(number, expected.append)
    out = np.full(14, CANARY, np.uint8)
    end, size = write_number(out, 2, number)
    assert out.tobytes() == bytes([CANARY] * 2) + expected + bytes([CANARY] * (12 - len(expected)))
    assert (end, size) == (2 + len(expected), len(expected))
