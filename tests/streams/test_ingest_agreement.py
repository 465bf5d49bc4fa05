"""The fast path agrees with a plain reading of the feature table, and with the careful look at a record."""

from __future__ import annotations

import json
import math
import random
from typing import Any

import numpy as np
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from models.rows import Rows
from models.spec import FeatureSpec, ModelSpec, NumericFeature
from streams.ingest import Ingest, Ingested
from tests.streams.kafka_records import TIMESTAMP, kafka_records

NUMERIC = (NumericFeature("distance"), NumericFeature("v", size=2))
CATEGORICAL = ("carrier", "dest", "hour")
CROSSES = (("carrier", "dest"), ("hour", "distance"), ("dest", "distance", "carrier"))
DENSE = FeatureSpec(numeric=NUMERIC)
HASHED = FeatureSpec(numeric=NUMERIC, categorical=CATEGORICAL, interactions=CROSSES, hash_bits=18)
MIXED = FeatureSpec(
    numeric=NUMERIC, categorical=CATEGORICAL, interactions=CROSSES, hash_bits=18, others="include"
)
EVERY = FeatureSpec(hash_bits=18, others="include")
QUOTED = FeatureSpec(numeric=(*NUMERIC, NumericFeature('"')), categorical=CATEGORICAL, hash_bits=18)
SPECS = {"dense": DENSE, "hashed": HASHED, "mixed": MIXED, "every": EVERY, "quoted": QUOTED}

floats = st.floats(allow_nan=False, allow_infinity=False)
integers = st.integers(-(2**70), 2**70) | st.sampled_from([0, 1, 2**53, 2**53 + 1, 2**63, -(2**63) - 1])
numbers = integers | floats | st.sampled_from([1.0, 0.0, -0.0, 1e20, 1e22])
texts = st.text(max_size=20) | st.sampled_from(["UA", "1", "true", ""])
numeric = st.none() | st.booleans() | numbers
categorical = st.none() | st.booleans() | numbers | texts
undeclared = categorical | st.lists(numbers, max_size=4)


@st.composite
def samples(draw: st.DrawFn) -> dict[str, Any]:
    """Valid samples of all specifications here, for classes 0 and 1."""
    features = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "distance": numeric,
                "v": st.none() | st.lists(numbers, min_size=2, max_size=2),
                **dict.fromkeys(CATEGORICAL, categorical),
                '"': numeric,
            },
        )
    )
    reserved = {*features, "distance", "v", *CATEGORICAL, '"'}
    names = texts.filter(lambda name: name not in reserved)
    features |= draw(st.dictionaries(names, undeclared, max_size=4))
    fields = {
        "id": st.none() | texts,
        "label": st.sampled_from([None, 0, 1, 0.0, 1.0, False, True]),
        "weight": st.none() | st.floats(0, 1e300),
        "timestamp": st.none() | st.integers(-(10**12), 10**14),
        "unknown": undeclared,
    }
    return {**draw(st.fixed_dictionaries({}, optional=fields)), "features": features}


# A plain reading of the table


def text_of(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    return str(int(value)) if value == math.floor(value) and abs(value) <= 2.0**53 else repr(value)


def plain_row(
    spec: FeatureSpec, features: dict[str, Any]
) -> tuple[list[float], list[tuple[str, float, int]]]:
    """Numeric columns; (name, value, scaled by) of the hashed entries."""
    columns: list[float] = []
    for feature in spec.numeric:
        value = features.get(feature.name)
        for i in range(feature.size or 1):
            one = value[i] if isinstance(value, list) else value
            columns.append(math.nan if one is None else float(one))
    entries: list[tuple[str, float, int]] = []
    present = {name: text_of(features[name]) for name in spec.categorical if features.get(name) is not None}
    entries += [(f"{name}={present[name]}", 1.0, -1) for name in spec.categorical if name in present]
    numeric_names = [feature.name for feature in spec.numeric]
    for cross in spec.interactions:
        if all(name in present or name in numeric_names for name in cross):
            parts = [f"{name}={present[name]}" if name in present else name for name in cross]
            scale = [spec.numeric_columns().index(name) for name in cross if name in numeric_names]
            entries.append(("*".join(parts), 1.0, scale[0] if scale else -1))
    if spec.others == "include":
        rest = {k: v for k, v in features.items() if k not in numeric_names and k not in spec.categorical}
        entries += [(k, float(v), -1) for k, v in rest.items() if isinstance(v, bool | int | float)]
        entries += [(f"{k}={v}", 1.0, -1) for k, v in rest.items() if isinstance(v, str)]
        for name, items in rest.items():
            if isinstance(items, list):
                entries += [(f"{name}[{i}]", float(item), -1) for i, item in enumerate(items)]
    return columns, entries


def same(left: np.ndarray[Any, Any], right: Any) -> bool:
    return bool(np.array_equal(left, np.array(right, dtype=left.dtype).reshape(left.shape), equal_nan=True))


@pytest.mark.parametrize("name", SPECS)
@settings(max_examples=60, deadline=None)
@given(batch=st.lists(samples(), max_size=8), ascii_only=st.booleans())
def test_valid_samples_are_encoded_as_the_table_says(
    name: str, batch: list[dict[str, Any]], ascii_only: bool
) -> None:
    spec = SPECS[name]
    values = [json.dumps(one, ensure_ascii=ascii_only).encode() for one in batch]
    model = Ingest("m", ModelSpec(task="binary", features=spec, classes=(0, 1)))
    found = model.decode("t", 0, kafka_records(values)) if values else model.decode("t", 0, [])
    assert found.dead == []
    expected = [plain_row(spec, one["features"]) for one in batch]
    entries = [entry for _, row in expected for entry in row]
    rows = found.rows
    assert same(rows.numeric, [columns for columns, _ in expected])
    assert rows.indptr.tolist() == [0, *np.cumsum([len(row) for _, row in expected]).tolist()]
    hashes = [xxhash.xxh32(entry.encode(), seed=0x67726164).intdigest() for entry, _, _ in entries]
    assert rows.indices.tolist() == hashes
    assert rows.values.tolist() == [value for _, value, _ in entries]
    assert rows.scaled_by.tolist() == [by for _, _, by in entries]
    assert rows.names == dict(zip(hashes, [entry for entry, _, _ in entries], strict=True))
    assert same(rows.labels, [math.nan if one.get("label") is None else one["label"] for one in batch])
    assert rows.weights.tolist() == [1.0 if one.get("weight") is None else one["weight"] for one in batch]
    times = [one.get("timestamp") for one in batch]
    assert rows.timestamps.tolist() == [TIMESTAMP + i if t is None else t for i, t in enumerate(times)]
    ids = [one.get("id") for one in batch]
    assert found.ids == [f"t-0-{i}" if one is None else one for i, one in enumerate(ids)]


# Fuzz

TOKENS = [
    *(b'{ } [ ] " , : null true NaN Infinity -0 1e999 -1 1.0 0.5 "" "far" [] {} [1,2] \\u0000'.split()),
    b'"features":{"distance":3},',
    b'"label":1,',
    b'"label":2,',
    b'"weight":-1,',
    b'"weight":null,',
    b'"timestamp":"2013-01-01T05:15:00Z",',
    b'"timestamp":99999999999999999,',
    b'"id":7,',
    b'"v":[1,2],',
    b'"carrier":{"a":1},',
    b'"carrier":1.5,',
    b'"\\ud800"',
    b"\xff",
    b"\xc3\xa9",
    b"\n",
    b"1" + b"0" * 320,
    b"1" + b"0" * 4400,
]


def mutated(rng: random.Random, value: bytes) -> bytes:
    """One or two random edits of a value, half of which leave it JSON more often than not."""
    for _ in range(rng.randint(1, 2)):
        value = _other_value(rng, value) if rng.random() < 0.5 else _edited(rng, value)
    return value


def _edited(rng: random.Random, value: bytes) -> bytes:
    """Bytes cut out, put in, replaced or repeated anywhere."""
    at, to = sorted(rng.randrange(len(value) + 1) for _ in range(2))
    token = rng.choice(TOKENS)
    byte = bytes([rng.randrange(256)])
    pieces = [
        (value[:at], value[to:]),
        (value[:at], token, value[at:]),
        (value[:at], token, value[to:]),
        (value[:at], byte, value[at + 1 :]),
        (value[:to], value[at:]),
    ]
    return b"".join(rng.choice(pieces))


def _other_value(rng: random.Random, value: bytes) -> bytes:
    """A token in the place of a whole JSON value."""
    colons = [i for i, byte in enumerate(value) if byte == ord(":")]
    if not colons:
        return value
    at = rng.choice(colons) + 1
    end = min((i for i in (value.find(b",", at), value.find(b"}", at)) if i >= 0), default=len(value))
    return value[:at] + rng.choice(TOKENS) + value[end:]


BASE = [
    b'{"id":"a","features":{"distance":1400,"v":[1,2.5],"carrier":"UA","dest":"LAX","hour":5},"label":1}',
    b'{"features":{"carrier":"B6","x":true,"y":"z","w":[1,2],"distance":null},"weight":0.5,"label":null}',
    '{"timestamp":1357017300000,"features":{"Größe":"北京"},"label":false,"extra":{"a":[1]}}'.encode(),
]


class CarefulOnly(Ingest):
    """Leaves every record to the validator."""

    def _parse(self, values: list[bytes | None]) -> tuple[list[Any], bool]:
        return [None] * len(values), False


def outcome(found: Ingested) -> tuple[Any, ...]:
    rows: Rows = found.rows
    arrays = (
        rows.numeric,
        rows.labels,
        rows.weights,
        rows.indptr,
        rows.indices,
        rows.values,
        rows.timestamps,
    )
    letters = [(dead.record.offset, dead.exception, dead.message) for dead in found.dead]
    return found.ids, letters, rows.offsets.tolist(), [array.tobytes() for array in arrays], rows.names


@pytest.mark.parametrize("name", SPECS)
def test_mutated_records_never_raise_and_the_fast_path_agrees_with_the_careful_look(name: str) -> None:
    spec = ModelSpec(task="binary", features=SPECS[name], classes=(0, 1))
    rng = random.Random(name)
    values = [mutated(rng, rng.choice(BASE)) for _ in range(4_000)]
    records = kafka_records(values)
    fast = Ingest("m", spec).decode("t", 0, records)
    assert outcome(fast) == outcome(CarefulOnly("m", spec).decode("t", 0, records))
    assert len(fast.ids) + len(fast.dead) == len(values)
    assert min(len(fast.ids), len(fast.dead)) > 200, "mutations must leave valid samples and break others"


def test_each_mutated_record_has_the_same_fate_alone_and_among_others() -> None:
    spec = ModelSpec(task="binary", features=MIXED, classes=(0, 1))
    rng = random.Random(3)
    records = kafka_records([mutated(rng, rng.choice(BASE)) for _ in range(1_000)])
    model = Ingest("m", spec)
    together = model.decode("t", 0, records)
    alone = [model.decode("t", 0, [record]) for record in records]
    assert [one for found in alone for one in found.ids] == together.ids
    assert [dead.message for found in alone for dead in found.dead] == [
        dead.message for dead in together.dead
    ]
