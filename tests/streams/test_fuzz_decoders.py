"""Whatever bytes come in, a decoder gives what they say or refuses them; nothing else, and never a crash."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.memory_store import MemoryStore
from infra.store import Checkpoint, StoreCorrupt
from models.model import Model
from models.spec import FeatureSpec, ModelSpec, NumericFeature, OptimizerSpec, UpdateSpec
from streams.checkpoints import Checkpoints
from streams.data_codec import DataCodec
from streams.fold import Fold, GenesisError, genesis_value
from streams.ingest import Ingest
from streams.log_format import Undecodable, UnknownFormat, envelope, parse_record
from streams.records import PredictionEncoder, dead_letter_headers
from streams.verify import new_view
from streams.view import View
from tests.streams.kafka_records import kafka_records
from tests.streams.machine_contract import State
from tests.streams.test_view import make_input

NUMERIC = (NumericFeature("x"), NumericFeature("v", size=2))
SPECS = {
    "dense": ModelSpec(task="binary", classes=(0, 1), features=FeatureSpec(numeric=NUMERIC)),
    "crossed": ModelSpec(
        task="multiclass",
        classes=("a", "b", "c"),
        features=FeatureSpec(numeric=NUMERIC, categorical=("c",), interactions=(("c", "x"),), hash_bits=6),
        optimizer=OptimizerSpec(name="ftrl-proximal", l1=0.01),
    ),
    "everything": ModelSpec(task="regression", features=FeatureSpec(hash_bits=6, others="include")),
}
specs = st.sampled_from(sorted(SPECS))
fuzz = settings(max_examples=200, deadline=None)

# Samples

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from(["a", 0, 1])
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
features = st.dictionaries(st.sampled_from(["x", "v", "c"]) | st.text(max_size=4), values, max_size=4)
fields = {"id": values, "label": values, "weight": values, "timestamp": values, "other": values}
sample_like = st.fixed_dictionaries({"features": features | values}, optional=fields).map(
    lambda body: json.dumps(body).encode()
)


@st.composite
def edited(draw: st.DrawFn, bodies: st.SearchStrategy[bytes], most: int = 4) -> bytes:
    """Bytes of which some are changed, cut out or put in."""
    body = bytearray(draw(bodies))
    for _ in range(draw(st.integers(0, most))):
        at = draw(st.integers(0, len(body)))
        body[at : at + draw(st.sampled_from([0, 1, 1, 9]))] = draw(
            st.sampled_from([b"", b'"', b"}", b"\\ud800", b"1e999", b"NaN"]) | st.binary(max_size=2)
        )
    return bytes(body)


@given(name=specs, bodies=st.lists(st.none() | st.binary(max_size=20) | edited(sample_like), max_size=6))
@fuzz
def test_each_record_becomes_a_row_or_a_dead_letter(name: str, bodies: list[bytes | None]) -> None:
    spec = SPECS[name]
    found = Ingest("m", spec).decode("t", 0, kafka_records(bodies))
    offsets = [*found.rows.offsets.tolist(), *(dead.record.offset for dead in found.dead)]
    assert sorted(offsets) == list(range(len(bodies)))
    assert found.rows.offsets.tolist() == sorted(found.rows.offsets.tolist())
    assert len(found.ids) == len(found.keys) == len(found.rows)
    for dead in found.dead:
        headers = dict(dead_letter_headers(dead, "t", 0, "m"))
        assert headers["__connect.errors.exception.message"].decode().isprintable()
    learned = Model(spec).predict_and_learn(found.rows)
    encoder = PredictionEncoder("m", spec)
    messages = encoder.encode(found.ids, learned.served, learned.learned_before, "t", 0, found.rows.offsets)
    assert [json.loads(message)["id"] for message in messages] == found.ids
    labelled = ~np.isnan(found.rows.labels)
    codec = DataCodec(spec)
    body = codec.encode(found.rows.select(labelled), learned.served[labelled], found.rows.names)
    assert codec.decode(body)[0].offsets.tolist() == found.rows.offsets[labelled].tolist()


# Bodies of the learning log


def body_of(name: str, n: int = 5) -> bytes:
    """What a worker appends."""
    ingest = Ingest("m", SPECS[name])
    label = "a" if name == "crossed" else 1
    texts = [json.dumps({"features": {"x": i, "v": [1, i], "c": f"c{i}"}, "label": label}) for i in range(n)]
    rows = ingest.decode("t", 0, kafka_records([text.encode() for text in texts])).rows
    return DataCodec(SPECS[name]).encode(rows, np.full((n, SPECS[name].outputs), 0.25), rows.names)


BODIES = {name: body_of(name) for name in SPECS}


def learn(name: str, body: bytes | None) -> None:
    """Decode, and learn what was decoded."""
    spec = SPECS[name]
    fold = Fold(Model(spec), DataCodec(spec))
    try:
        rows, served = fold.codec.decode(body)
    except Undecodable:
        return
    learned = fold.model.learn(rows, served, keep_undo=False)
    assert len(learned.refused) <= len(rows)
    assert np.isfinite(fold.model.tensors()["weights"]).all()
    fold._name(rows.names)
    fold.model.weights(fold.names, 10)
    fold.model.metrics()
    assert len(fold.digest()) == 32
    again, served_again = fold.codec.decode(fold.codec.encode(rows, served, rows.names))
    assert (len(again), again.names) == (len(rows), rows.names)
    np.testing.assert_array_equal(served, served_again)


@given(name=specs, body=st.data())
@fuzz
def test_a_damaged_or_foreign_body_is_learned_or_undecodable(name: str, body: st.DataObject) -> None:
    whole = BODIES[body.draw(st.just(name) | specs)]
    flips = body.draw(st.lists(st.tuples(st.integers(0, len(whole) - 1), st.integers(0, 7)), max_size=6))
    damaged = bytearray(whole)
    for at, bit in flips:
        damaged[at] ^= 1 << bit
    learn(name, bytes(damaged[: body.draw(st.just(len(damaged)) | st.integers(0, len(damaged)))]))


@given(
    name=specs, body=st.none() | st.binary(max_size=200) | edited(st.sampled_from(sorted(BODIES.values())))
)
@fuzz
def test_bytes_that_are_no_body_are_undecodable(name: str, body: bytes | None) -> None:
    learn(name, body)


def arrow_values(kind: pa.DataType) -> st.SearchStrategy[Any]:
    """Values of a type, nulls and extremes among them."""
    if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        fixed = kind.list_size if pa.types.is_fixed_size_list(kind) else None
        inner = arrow_values(kind.value_type)
        return st.none() | st.lists(inner, min_size=fixed or 0, max_size=fixed or 2)
    if pa.types.is_floating(kind):
        return st.sampled_from([0.0, 1.0, 2.0, -1.0, 1e308, np.inf, np.nan, None])
    low, high = np.iinfo(kind.to_pandas_dtype()).min, np.iinfo(kind.to_pandas_dtype()).max
    return st.sampled_from([0, 1, low, high, None])


names = st.dictionaries(
    st.integers(0, 2**32).map(str) | st.sampled_from(["-1", " 1", "1_0", "x", "9" * 30]), st.text(max_size=3)
)


@given(name=specs, data=st.data())
@fuzz
def test_values_that_no_worker_writes_are_learned_or_undecodable(name: str, data: st.DataObject) -> None:
    written = pa.ipc.open_stream(BODIES[name]).read_next_batch()
    arrays, rows = list(written.columns), written.num_rows
    for at in data.draw(st.sets(st.integers(0, len(arrays) - 1), max_size=2)):
        kind = arrays[at].type
        column = data.draw(st.lists(arrow_values(kind), min_size=rows, max_size=rows))
        arrays[at] = pa.array(column, kind)
    text = json.dumps(data.draw(names)).encode()
    schema = written.schema.with_metadata({b"names": text})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
    learn(name, sink.getvalue().to_pybytes())


# Envelopes

header_names = st.sampled_from(["format", "worker", "seq", "topic", "topic_id", "partition", "from", "to"])
texts = st.binary(max_size=4) | st.sampled_from([b"1", b"0", b"9" * 19, b"9" * 20, "٣".encode(), b"", None])
headers = st.lists(st.tuples(header_names | st.text(max_size=3), texts), max_size=8)
known = st.fixed_dictionaries(dict.fromkeys(("worker", "seq", "topic", "topic_id", "partition"), texts))


@given(
    key=st.none()
    | st.binary(max_size=6)
    | st.sampled_from([b"data", b"open", b"hole", b"genesis", b"resume"]),
    value=st.none() | st.binary(max_size=10),
    headers=headers | known.map(lambda texts: [("format", b"1"), *texts.items()]),
)
@fuzz
def test_an_envelope_is_read_or_of_an_unknown_format(
    key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]]
) -> None:
    try:
        record = parse_record(3, key, value, headers)
    except UnknownFormat:
        return
    assert (record.offset, record.value, record.kind) == (3, value, (key or b"").decode())
    assert -1 <= record.seq < 2**63
    with contextlib.suppress(Undecodable):
        assert 0 <= record.partition().partition < 2**63
    for name in ("from", "to", "next"):
        with contextlib.suppress(Undecodable):
            assert 0 <= record.number(name) < 2**63
    view = new_view(SPECS["dense"])
    view.fold_run([record])
    assert view.fold.log_offset == 4


# Checkpoints

STORED = ModelSpec(
    task="binary",
    classes=(0, 1),
    features=FeatureSpec(numeric=(NumericFeature("a"), NumericFeature("b")), hash_bits=6),
    update=UpdateSpec(name="window", window_size=9, stride=4, steps=2),
)
SELF_TEST, LOG_ID = "test", "log"


def stored_view() -> View:
    """A view that has read some records."""
    view = new_view(STORED)
    where = {"topic": "t", "topic_id": "id", "partition": 0}
    rows = make_input(STORED, 20, 1)
    rows = rows.select(~np.isnan(rows.labels))
    rows.names = {1: "c=é", 2: "c=x"}
    body = view.fold.codec.encode(rows, np.full((len(rows), 1), 0.5), rows.names)
    counted = {"from_": 0, "to": 20, "samples": len(rows), "dead_letters": 1}
    view.fold_run(
        [
            parse_record(0, b"genesis", genesis_value(STORED, SELF_TEST), envelope("w", 0)),
            parse_record(1, b"open", None, envelope("w", 1, **where, next=0)),
            parse_record(2, b"data", body, envelope("w", 2, **where, **counted)),
            parse_record(3, b"hole", b"{}", envelope("w", 3, **where, **{**counted, "from_": 20, "to": 25})),
        ]
    )
    return view


def checkpoints(view: View, store: MemoryStore) -> Checkpoints:
    return Checkpoints("m", STORED, view, store, LOG_ID)


def saved() -> tuple[View, Checkpoint]:
    view, store = stored_view(), MemoryStore()
    asyncio.run(checkpoints(view, store).save())
    return view, store._checkpoints["m"]


VIEW, SAVED = saved()
DECISIVE = ("log_offset", "last_worker", "last_seq", "genesis", "next", "holes", "last_refused")


def load(found: Checkpoint) -> bool:
    """Whether a checkpoint is taken; if so, it is the state that was saved."""
    view, store = new_view(STORED), MemoryStore()
    store._checkpoints["m"] = found
    try:
        assert asyncio.run(checkpoints(view, store).load(SELF_TEST))
    except (StoreCorrupt, GenesisError):
        return False
    assert State.of(view.fold) == State.of(VIEW.fold)
    for name in DECISIVE:
        assert getattr(view.fold, name) == getattr(VIEW.fold, name), name
    assert view.fold.digest() == VIEW.fold.digest()
    checkpoints(view, MemoryStore())._readable()
    return True


def test_a_checkpoint_that_is_whole_is_taken() -> None:
    assert load(SAVED)


@given(key=st.sampled_from(sorted(SAVED.text)), data=st.data())
@fuzz
def test_a_readable_field_that_was_changed_is_found_out_or_decides_nothing(
    key: str, data: st.DataObject
) -> None:
    text = dict(SAVED.text)
    if data.draw(st.booleans()):
        other = st.sampled_from(["", "0", "-1", "1", "[]", "{}", "nan", "9" * 30]) | st.text(max_size=5)
        text[key] = data.draw(
            other | edited(st.just(text[key].encode())).map(lambda b: b.decode("utf-8", "replace"))
        )
    else:
        del text[key]
    load(replace(SAVED, text=text))


@given(
    key=st.sampled_from(sorted(SAVED.tensors)), other=st.sampled_from(sorted(SAVED.tensors)), data=st.data()
)
@settings(fuzz, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_a_tensor_that_was_changed_is_found_out(key: str, other: str, data: st.DataObject) -> None:
    tensors = dict(SAVED.tensors)
    what = data.draw(st.sampled_from(["flip", "flip", "header", "cut", "drop", "swap", "add", "bytes"]))
    body = bytearray(tensors[key])
    if what == "drop":
        del tensors[key]
    elif what == "swap":
        tensors[key], tensors[other] = tensors[other], tensors[key]
    elif what == "add":
        tensors["rows.more"] = bytes(body)
    elif what == "bytes":
        tensors[key] = data.draw(st.binary(max_size=50))
    elif what == "cut":
        tensors[key] = bytes(body[: data.draw(st.integers(0, len(body)))])
    else:
        last = len(body) - 1 if what == "flip" else min(len(body) - 1, 80)
        body[data.draw(st.integers(0, last))] ^= 1 << data.draw(st.integers(0, 7))
        tensors[key] = bytes(body)
    taken = load(replace(SAVED, tensors=tensors))
    assert not taken or what in ("swap", "add", "cut", "bytes") or key == "names"
