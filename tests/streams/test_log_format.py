"""The learning log's wire format: what is written can be read, anything else is refused alike by all."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.rows import Rows
from models.spec import FeatureSpec, ModelSpec, NumericFeature
from streams.data_codec import DataCodec
from streams.log_format import LogRecord, PartitionId, Undecodable, UnknownFormat, envelope, parse_record
from tests.rows import assert_same_rows

DENSE = ModelSpec(
    task="regression", features=FeatureSpec(numeric=(NumericFeature("x"), NumericFeature("v", size=2)))
)
HASHED = ModelSpec(
    task="multiclass",
    classes=("a", "b", "c"),
    features=FeatureSpec(
        numeric=(NumericFeature("weight"),), categorical=("c",), interactions=(("c", "weight"),), hash_bits=10
    ),
)


def random_rows(spec: ModelSpec, n: int, seed: int) -> tuple[Rows, np.ndarray]:
    generator = np.random.default_rng(seed)
    columns = len(spec.features.numeric_columns())
    numeric = generator.normal(size=(n, columns))
    numeric[generator.random(numeric.shape) < 0.2] = np.nan
    lengths = generator.integers(0, 4, size=n) if spec.features.hash_bits else np.zeros(n, dtype=np.int64)
    total = int(lengths.sum())
    labels = generator.integers(0, len(spec.classes), n) if spec.classes else generator.normal(size=n)
    rows = Rows(
        numeric=numeric,
        indptr=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        indices=generator.integers(0, 2**32, total, dtype=np.uint32),
        values=generator.normal(size=total),
        scaled_by=generator.integers(-1, columns, total).astype(np.int16),
        labels=labels.astype(np.float64),
        weights=generator.random(n),
        timestamps=generator.integers(0, 2**41, n),
        offsets=np.arange(n, dtype=np.int64) * 3,
    )
    return rows, generator.random((n, spec.outputs))


@pytest.mark.parametrize("spec", [DENSE, HASHED], ids=["dense", "hashed"])
@given(n=st.integers(0, 40), seed=st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_what_is_encoded_is_decoded_bit_for_bit(spec: ModelSpec, n: int, seed: int) -> None:
    rows, served = random_rows(spec, n, seed)
    codec = DataCodec(spec)
    decoded, served_again = codec.decode(codec.encode(rows, served, {7: "c=é"}))
    assert_same_rows(rows, decoded)
    np.testing.assert_array_equal(served, served_again)
    assert decoded.names == {7: "c=é"}


@pytest.mark.parametrize("spec", [DENSE, HASHED], ids=["dense", "hashed"])
def test_several_batches_in_one_record_are_their_concatenation(spec: ModelSpec) -> None:
    codec = DataCodec(spec)
    whole, served = random_rows(spec, 50, 1)
    parts = [(whole.slice(a, b), served[a:b]) for a, b in ((0, 10), (10, 10), (10, 37), (37, 50))]
    decoded, served_again = codec.decode(codec.encode_all(parts, {}))
    assert_same_rows(whole, decoded)
    np.testing.assert_array_equal(served, served_again)


def test_any_arrow_library_reads_the_columns_by_name() -> None:
    rows, served = random_rows(DENSE, 5, 3)
    table = pa.ipc.open_stream(DataCodec(DENSE).encode(rows, served, {})).read_all()
    assert table.column_names == ["offset", "timestamp", "label", "weight", "prediction", "x", "v[0]", "v[1]"]
    missing = [value is None for value in table["x"].to_pylist()]
    assert missing == np.isnan(rows.numeric[:, 0]).tolist()


@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_a_damaged_body_is_read_or_refused_but_never_breaks_the_reader(data: st.DataObject) -> None:
    spec = data.draw(st.sampled_from([DENSE, HASHED]))
    codec = DataCodec(spec)
    body = bytearray(codec.encode(*random_rows(spec, 6, 5), {1: "c=a"}))
    for _ in range(data.draw(st.integers(1, 6))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    body = body[: data.draw(st.integers(0, len(body)))] if data.draw(st.booleans()) else body
    try:
        rows, served = codec.decode(bytes(body))
    except Undecodable:
        return
    assert len(rows) == len(served)


@pytest.mark.parametrize("value", [None, b"", b"garbage", b"{}"])
def test_a_body_that_is_no_arrow_stream_is_undecodable(value: bytes | None) -> None:
    with pytest.raises(Undecodable):
        DataCodec(DENSE).decode(value)


def test_another_models_body_is_undecodable() -> None:
    body = DataCodec(HASHED).encode(*random_rows(HASHED, 3, 0), {})
    with pytest.raises(Undecodable, match="columns"):
        DataCodec(DENSE).decode(body)


@pytest.mark.parametrize("bad", [-1.0, 3.0, 0.5, np.nan])
def test_a_label_outside_the_classes_is_undecodable(bad: float) -> None:
    rows, served = random_rows(HASHED, 3, 0)
    rows.labels[1] = bad
    with pytest.raises(Undecodable):
        DataCodec(HASHED).decode(DataCodec(HASHED).encode(rows, served, {}))


def test_an_envelope_round_trips() -> None:
    headers = envelope("w", 3, topic="t", topic_id="i", partition=2, from_=5, to=9)
    record = parse_record(11, b"data", b"body", headers)
    assert (record.offset, record.kind, record.worker, record.seq, record.value) == (
        11,
        "data",
        "w",
        3,
        b"body",
    )
    assert record.partition() == PartitionId("t", "i", 2)
    assert (record.number("from"), record.number("to")) == (5, 9)


@pytest.mark.parametrize(
    ("key", "headers"),
    [
        (b"data", [("format", b"2"), ("worker", b"w"), ("seq", b"0")]),
        (b"rewind", [("format", b"1"), ("worker", b"w"), ("seq", b"0")]),
        (None, [("format", b"1")]),
        (b"data", []),
    ],
)
def test_a_record_of_another_release_stops_the_reader(
    key: bytes | None, headers: list[tuple[str, bytes]]
) -> None:
    with pytest.raises(UnknownFormat, match="offset 4"):
        parse_record(4, key, b"", headers)


@pytest.mark.parametrize("seq", [b"", b"-1", b"x", "٣".encode(), b"9" * 30])
def test_an_envelope_without_a_readable_seq_is_undecodable_for_all_alike(seq: bytes) -> None:
    record = parse_record(0, b"data", b"", [("format", b"1"), ("worker", b"w"), ("seq", seq)])
    assert record.seq == -1
    with pytest.raises(Undecodable):
        record.partition()


@pytest.mark.parametrize("text", ["-1", "1.0", "", "1e3"])
def test_a_header_that_is_no_natural_number_is_undecodable(text: str) -> None:
    with pytest.raises(Undecodable):
        LogRecord(0, "data", "w", 0, {"from": text}, None).number("from")
