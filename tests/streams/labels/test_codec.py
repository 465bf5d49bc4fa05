"""Rows of late-label models in the learning log: what is written is read, what nobody writes is refused."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.spec import FeatureSpec, ModelSpec, NumericFeature
from streams.data_codec import DataCodec
from streams.labels.codec import AT_ONCE, EXPIRED, JOINED, OWN, WAITS, EarlyLabel, LateCodec, LateRows, Part
from streams.log_format import Undecodable
from tests.rows import assert_same_rows
from tests.streams.test_log_format import random_rows

NUMBERS = (NumericFeature("weight"), NumericFeature("v", size=2))
SPECS = {
    "dense": ModelSpec(task="regression", features=FeatureSpec(numeric=NUMBERS), late_labels=True),
    "hashed": ModelSpec(
        task="multiclass",
        classes=("a", "b", "c"),
        features=FeatureSpec(
            numeric=NUMBERS[:1], categorical=("id",), interactions=(("id", "weight"),), hash_bits=10
        ),
        late_labels=True,
    ),
}
specs = pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)

texts = st.text(st.characters(codec="utf-8"), max_size=8)
headers = st.lists(st.tuples(texts, st.binary(max_size=5)), max_size=2)
early_labels = st.builds(
    EarlyLabel, texts, st.floats(allow_nan=False, allow_infinity=False), st.floats(0, 1e300),
    st.integers(-(2**52), 2**52), st.integers(0, 2**62), st.none() | st.binary(max_size=5),
    st.binary(max_size=9), headers,
)  # fmt: skip
parts = st.builds(Part, st.integers(0, 5), st.lists(early_labels, max_size=2), st.lists(texts, max_size=2),
                  st.lists(texts, max_size=2))  # fmt: skip


def late_rows(spec: ModelSpec, n: int, seed: int, part: list[Part] | None = None) -> LateRows:
    """n rows of all events, in one part unless parts are given."""
    rows, served = random_rows(spec, n, seed)
    generator = np.random.default_rng(seed)
    events = generator.integers(WAITS, AT_ONCE + 1, n).astype(np.int8)
    rows.labels[events == WAITS] = np.nan
    joined = (events == JOINED) | (events == AT_ONCE)
    times = np.where(joined, generator.integers(-(2**40), 2**40, n), 0)
    ids = [f"é{i}\n" * int(generator.integers(0, 3)) for i in range(n)]
    return LateRows(rows, served, ids, events, times, [Part(n)] if part is None else part)


def assert_same(a: LateRows, b: LateRows) -> None:
    assert_same_rows(a.rows, b.rows)
    for found, expected in ((a.served, b.served), (a.events, b.events), (a.label_times, b.label_times)):
        np.testing.assert_array_equal(found, expected)
    assert (a.ids, a.parts) == (b.ids, b.parts)


@specs
@given(changes=st.lists(parts, max_size=4), seed=st.integers(0, 10**6))
@settings(max_examples=60)
def test_what_is_encoded_is_decoded_bit_for_bit(spec: ModelSpec, changes: list[Part], seed: int) -> None:
    late = late_rows(spec, sum(part.rows for part in changes), seed, changes)
    body = LateCodec(spec).encode_late([late], {7: "id=é"})
    again = LateCodec(spec).decode_late(body)
    assert_same(again, late)
    assert again.rows.names == {7: "id=é"}
    assert LateCodec(spec).encode_late([again], {7: "id=é"}) == body


@specs
def test_several_batches_in_one_record_are_told_apart_again(spec: ModelSpec) -> None:
    batches = [late_rows(spec, n, seed=n) for n in (3, 0, 5, 1)]
    again = LateCodec(spec).decode_late(LateCodec(spec).encode_late(batches, {}))
    for batch, (part, rows) in zip(batches, again.split(), strict=True):
        assert part == batch.parts[0]
        assert again.ids[rows] == batch.ids
        np.testing.assert_array_equal(again.served[rows], batch.served)


@specs
def test_a_record_may_have_no_rows_at_all(spec: ModelSpec) -> None:
    kept = EarlyLabel("a", 1.0, 1.0, 5, 0, None, b"{}", [])
    late = late_rows(spec, 0, 0, [Part(0, early=[kept], given_up=["b"], gone=["c"])])
    assert_same(LateCodec(spec).decode_late(LateCodec(spec).encode_late([late], {})), late)


@specs
def test_only_rows_that_wait_are_not_learned(spec: ModelSpec) -> None:
    late = late_rows(spec, 50, 3)
    assert late.labelled.tolist() == (~np.isnan(late.rows.labels)).tolist()


def test_any_arrow_library_reads_the_columns_in_the_order_that_is_documented() -> None:
    late = late_rows(SPECS["dense"], 40, 3)
    table = pa.ipc.open_stream(LateCodec(SPECS["dense"]).encode_late([late], {})).read_all()
    fixed = ["offset", "timestamp", "label", "weight", "prediction", "id", "event", "label_timestamp"]
    assert table.column_names == [*fixed, "weight", "v[0]", "v[1]"]
    assert [x is None for x in table.column(2).to_pylist()] == (late.events == WAITS).tolist()
    joined = np.isin(late.events, (JOINED, AT_ONCE))
    assert [x is None for x in table.column(7).to_pylist()] == (~joined).tolist()
    assert msgspec.json.decode(table.schema.metadata[b"parts"])[0]["rows"] == 40


def _label_a_waiting(late: LateRows) -> None:
    late.rows.labels[late.events == WAITS] = 1.0


def _unlabel_a_joined(late: LateRows) -> None:
    late.rows.labels[late.events == JOINED] = np.nan


def _unknown_event(late: LateRows) -> None:
    late.events[0] = AT_ONCE + 1


def _event_below(late: LateRows) -> None:
    late.events[0] = -1


def _parts_too_short(late: LateRows) -> None:
    late.parts = [Part(len(late.rows) - 1)]


def _parts_too_long(late: LateRows) -> None:
    late.parts = [Part(len(late.rows)), Part(1)]


def _negative_part(late: LateRows) -> None:
    late.parts = [Part(len(late.rows) + 1), Part(-1)]


def _no_class(late: LateRows) -> None:
    late.rows.labels[late.events != WAITS] = 2.5


def _negative_weight(late: LateRows) -> None:
    late.rows.weights[0] = -1.0


MISTAKES = (
    _label_a_waiting, _unlabel_a_joined, _unknown_event, _event_below, _parts_too_short, _parts_too_long,
    _negative_part, _no_class, _negative_weight,
)  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda one: one.__name__[1:])
def test_a_body_that_contradicts_itself_is_undecodable(mistake: Callable[[LateRows], None]) -> None:
    spec = SPECS["hashed"]
    late = late_rows(spec, 30, 5)
    mistake(late)
    body = LateCodec(spec).encode_late([late], {})
    with pytest.raises(Undecodable):
        LateCodec(spec).decode_late(body)


def _table(late: LateRows) -> tuple[pa.RecordBatch, dict[bytes, bytes]]:
    with pa.ipc.open_stream(LateCodec(SPECS["dense"]).encode_late([late], {})) as reader:
        batch = reader.read_next_batch()
    return batch, dict(batch.schema.metadata)


def _body(batch: pa.RecordBatch, metadata: dict[bytes, bytes]) -> bytes:
    sink = pa.BufferOutputStream()
    schema = batch.schema.with_metadata(metadata)
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays(batch.columns, schema=schema))
    value: bytes = sink.getvalue().to_pybytes()
    return value


@pytest.mark.parametrize("text", [b"", b"{}", b"[", b'[{"rows":"9"}]', b'[{"early":[]}]', b"\xff",
                                  b'[{"rows":9,"early":[["a"]]}]', b'[{"rows":9,"gone":[1]}]'])  # fmt: skip
def test_a_body_whose_parts_cannot_be_read_is_undecodable(text: bytes) -> None:
    batch, metadata = _table(late_rows(SPECS["dense"], 9, 1))
    with pytest.raises(Undecodable):
        LateCodec(SPECS["dense"]).decode_late(_body(batch, {**metadata, b"parts": text}))


def test_a_body_without_parts_is_undecodable() -> None:
    batch, _ = _table(late_rows(SPECS["dense"], 9, 1))
    with pytest.raises(Undecodable):
        LateCodec(SPECS["dense"]).decode_late(_body(batch, {}))


@pytest.mark.parametrize("column", [0, 1, 3, 4, 5, 6])
def test_a_null_where_there_is_none_is_undecodable(column: int) -> None:
    batch, metadata = _table(late_rows(SPECS["dense"], 9, 1))
    columns = list(batch.columns)
    columns[column] = pa.nulls(9, columns[column].type)
    damaged = pa.RecordBatch.from_arrays(columns, schema=batch.schema)
    with pytest.raises(Undecodable):
        LateCodec(SPECS["dense"]).decode_late(_body(damaged, metadata))


@pytest.mark.parametrize("event", [WAITS, EXPIRED, OWN, JOINED, AT_ONCE])
def test_a_label_time_stands_with_joined_rows_and_with_no_others(event: int) -> None:
    late = late_rows(SPECS["dense"], 1, 1)
    late.events[0] = event
    late.rows.labels[0] = np.nan if event == WAITS else 1.0
    batch, metadata = _table(late)
    LateCodec(SPECS["dense"]).decode_late(_body(batch, metadata))
    columns = list(batch.columns)
    columns[7] = pa.array([5 if event in (WAITS, EXPIRED, OWN) else None], type=pa.int64())
    damaged = pa.RecordBatch.from_arrays(columns, schema=batch.schema)
    with pytest.raises(Undecodable):
        LateCodec(SPECS["dense"]).decode_late(_body(damaged, metadata))


@specs
def test_a_body_of_a_model_without_late_labels_is_undecodable_and_the_other_way_round(
    spec: ModelSpec,
) -> None:
    plain = DataCodec(msgspec.structs.replace(spec, late_labels=False))
    with pytest.raises(Undecodable, match="columns"):
        LateCodec(spec).decode_late(plain.encode(*random_rows(spec, 3, 0), {}))
    with pytest.raises(Undecodable, match="columns"):
        plain.decode(LateCodec(spec).encode_late([late_rows(spec, 3, 0)], {}))


@pytest.mark.parametrize("value", [None, b"", b"garbage", b"{}"])
def test_a_body_that_is_no_arrow_stream_is_undecodable(value: bytes | None) -> None:
    with pytest.raises(Undecodable):
        LateCodec(SPECS["dense"]).decode_late(value)


@given(data=st.data())
@settings(max_examples=400)
def test_a_damaged_body_is_read_or_refused_but_never_breaks_the_reader(data: st.DataObject) -> None:
    spec = data.draw(st.sampled_from(list(SPECS.values())))
    body = bytearray(LateCodec(spec).encode_late([late_rows(spec, 6, 5)], {1: "id=a"}))
    for _ in range(data.draw(st.integers(1, 6))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    body = body[: data.draw(st.integers(0, len(body)))] if data.draw(st.booleans()) else body
    try:
        late = LateCodec(spec).decode_late(bytes(body))
    except Undecodable:
        return
    assert len(late.rows) == len(late.served) == len(late.ids) == len(late.events) == len(late.label_times)
    assert sum(rows.stop - rows.start for _, rows in late.split()) == len(late.rows)
