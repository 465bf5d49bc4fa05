"""The compiled parser takes samples as the careful way does, or leaves them to it.

GRADSTREAM_LONG=1: two million records of each model.
"""

from __future__ import annotations

import json
import os
import random
from typing import Any

import numpy as np
import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from hypothesis import given, settings
from hypothesis import strategies as st

from models.spec import (
    BinnedFeature,
    EncodedFeature,
    FeatureSpec,
    LossSpec,
    ModelSpec,
    NumericFeature,
    TextFeature,
)
from streams.ingest import Ingest, Ingested
from streams.native.fetching import RawFetch, RawPartitionRecords
from streams.native.raw import RawRecords
from streams.native.raw_ids import RawIds
from streams.native.samples import parser_of
from tests.streams.test_ingest_agreement import mutated, outcome

LONG = os.environ.get("GRADSTREAM_LONG") == "1"
TIME = 1_700_000_000_000

NUMBERS = FeatureSpec(numeric=(NumericFeature("distance"), NumericFeature("air", transform="log", of="time")))
WITH_HASHES = FeatureSpec(
    numeric=(NumericFeature("distance"),),
    categorical=("carrier", "dest", "Größe"),
    interactions=(("carrier", "dest"), ("dest", "distance", "carrier")),
    encode=(
        EncodedFeature("origin", encoding="target"),
        EncodedFeature("from", encoding="frequency", of="dest"),
    ),
    hash_bits=18,
)
"""Everything that the compiled parser knows."""

MODELS = {
    "numbers": ModelSpec(task="binary", features=NUMBERS, classes=(0, 1)),
    "hashes": ModelSpec(task="binary", features=WITH_HASHES, classes=(0, 1)),
    "regression": ModelSpec(task="regression", features=NUMBERS, classes=()),
    "counts": ModelSpec(task="regression", features=NUMBERS, classes=(), loss=LossSpec("poisson")),
    "texts": ModelSpec(task="multiclass", features=NUMBERS, classes=("a", "", "Größe")),
    "booleans": ModelSpec(task="binary", features=WITH_HASHES, classes=(True, False)),
    "integers": ModelSpec(task="multiclass", features=WITH_HASHES, classes=(7, -1, 0)),
}
BASE = [
    b'{"id":"a","features":{"distance":1400.25,"time":1e3,"carrier":"UA","dest":"LAX","origin":5},"label":1}',
    b'{"features":{"carrier":7,"dest":true,"time":-0,"distance":-0.0},"weight":0.5,"label":null,"timestamp":1}',
    '{"timestamp":"2013-01-01T05:15:00Z","features":{"Größe":"北京","x":"y"},"label":false}'.encode(),
    b' { "features" : {"dest":"a","distance":0.1} , "label" : "a" , "id" : null, "weight":-0 } ',
    b'{"label":7,"features":{"distance":null,"dest":null,"carrier":"B6","time":false},"id":"\xc3\xa9"}',
    b'{"label":-1.0,"features":{"distance":12345678901234567890,"time":0.30000000000000004}}',
    b'{"label":0.5,"features":{},"timestamp":"2013-01-01T05:15:00.123456+05:30","more":[1]}',
]


def raw_records(values: list[bytes | None], keys: list[bytes | None] | None = None) -> RawRecords:
    """As if they had been fetched."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, 0, 1 << 30)
    for i, value in enumerate(values):
        key = keys[i] if keys else None
        builder.append(i, TIME + i, key, value, [("a", b"b")])
    fetched = list(RawPartitionRecords(None, RawFetch(bytes(builder.build())), None, 0, None, None, False, 1))
    return fetched[0] if fetched else RawRecords.join([])


def both(spec: ModelSpec, values: list[bytes | None]) -> tuple[Ingested, Ingested]:
    """By the compiled parser, and without it."""
    records = raw_records(values)
    return Ingest("m", spec).decode("t", 0, records), Ingest("m", spec).decode("t", 0, list(records))


def whole(found: Ingested) -> tuple[Any, ...]:
    rows = found.rows
    ids, *others = outcome(found)
    more = rows.weights.tobytes(), rows.scaled_by.tobytes(), rows.codes.tobytes(), rows.indices.dtype.str
    return list(ids), list(found.keys), *others, *more


@pytest.mark.parametrize("name", MODELS)
def test_valid_and_broken_records_are_taken_and_refused_as_without_it(name: str) -> None:
    rng = random.Random(name)
    for _ in range(1000 if LONG else 3):
        values: list[bytes | None] = [mutated(rng, rng.choice(BASE)) for _ in range(2_000)]
        values += rng.choices(BASE, k=500)
        values[rng.randrange(len(values))] = None
        fast, careful = both(MODELS[name], values)
        assert whole(fast) == whole(careful)
        assert min(len(fast.ids), len(fast.dead)) > 100, "mutations must leave valid samples and break others"


@pytest.mark.parametrize("name", MODELS)
def test_each_record_alone_comes_to_the_same_as_among_others(name: str) -> None:
    rng, model = random.Random(5), Ingest("m", MODELS[name])
    values: list[bytes | None] = [mutated(rng, rng.choice(BASE)) for _ in range(500)]
    records = raw_records(values)
    together = model.decode("t", 0, records)
    alone = [model.decode("t", 0, records[i : i + 1]) for i in range(len(records))]
    assert [one for found in alone for one in found.ids] == list(together.ids)
    assert np.concatenate([one.rows.numeric for one in alone]).tobytes() == together.rows.numeric.tobytes()


numbers = (
    st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.decimals(-(10**9), 10**9, places=6).map(float)
)
texts = st.text(max_size=12) | st.sampled_from(["", "UA", "null", "1"])
values_of = {
    "distance": st.none() | st.booleans() | numbers,
    "time": numbers,
    "carrier": texts | numbers | st.booleans() | st.none(),
    "dest": texts | st.integers(),
    "origin": texts,
    "Größe": texts,
    "unknown": texts | numbers | st.booleans() | st.none(),
}
samples = st.fixed_dictionaries(
    {"features": st.fixed_dictionaries({}, optional=values_of)},
    optional={
        "id": st.none() | texts,
        "label": st.sampled_from([None, 0, 1, 0.0, True, "a", "Größe", 7, -1, 2.5]),
        "weight": st.none() | st.floats(0, 1e300),
        "timestamp": st.none()
        | st.integers(-(10**14), 10**14)
        | st.datetimes().map(lambda t: f"{t.isoformat()}Z"),
        "others": texts | numbers,
    },
)


@pytest.mark.parametrize("name", MODELS)
@settings(max_examples=500 if LONG else 40, deadline=None)
@given(batch=st.lists(samples, min_size=1, max_size=6), ascii_only=st.booleans(), spaced=st.booleans())
def test_samples_of_all_kinds_are_encoded_alike(
    name: str, batch: list[dict[str, Any]], ascii_only: bool, spaced: bool
) -> None:
    separators = (" , ", " : ") if spaced else (",", ":")
    values: list[bytes | None] = [
        json.dumps(one, ensure_ascii=ascii_only, separators=separators).encode() for one in batch
    ]
    fast, careful = both(MODELS[name], values)
    assert whole(fast) == whole(careful)


def test_plain_samples_need_nothing_but_the_compiled_parser() -> None:
    spec = MODELS["hashes"]
    records = raw_records([value for value in BASE[:3] if value is not None])
    parser = parser_of(spec, Ingest("m", spec).encoder)
    assert parser is not None
    _, sure = parser.parse(records)
    assert sure.all()
    assert isinstance(Ingest("m", spec).decode("t", 0, records).ids, RawIds)


def test_names_are_told_once_and_again_when_their_batch_was_dropped() -> None:
    model, records = Ingest("m", MODELS["hashes"]), raw_records([BASE[0]])
    first = model.decode("t", 0, records).rows.names
    assert {"carrier=UA", "dest=LAX", "carrier=UA*dest=LAX", "dest=LAX*distance*carrier=UA"} == set(
        first.values()
    )
    assert model.decode("t", 0, records).rows.names == {}
    model.encoder.unname(first)
    assert model.decode("t", 0, records).rows.names == first


def test_texts_of_any_length_are_hashed_alike() -> None:
    spec = MODELS["hashes"]
    texts = ["x" * n for n in (0, 1, 200, 247, 248, 249, 250, 256, 300, 5000)]
    values = [json.dumps({"features": {"carrier": text, "dest": text}}).encode() for text in texts]
    fast, careful = both(spec, list(values))
    assert whole(fast) == whole(careful)


def test_ids_up_to_the_longest_are_taken() -> None:
    values = [json.dumps({"features": {}, "id": text * n}).encode() for text in "xé" for n in (4096, 4097)]
    fast, careful = both(MODELS["numbers"], list(values))
    assert whole(fast) == whole(careful)
    assert len(fast.ids) == 2


@pytest.mark.parametrize(
    "features",
    [
        FeatureSpec(others="include", hash_bits=18),
        FeatureSpec(numeric=(NumericFeature("v", size=2),)),
        FeatureSpec(bins=(BinnedFeature("x", (1.0,)),), hash_bits=18),
        FeatureSpec(text=(TextFeature("x"),), hash_bits=18),
        FeatureSpec(numeric=(NumericFeature('"'),)),
        FeatureSpec(numeric=(NumericFeature("x"), NumericFeature("log x", of="x"))),
    ],
)
def test_what_it_does_not_know_is_left_to_the_other_way(features: FeatureSpec) -> None:
    spec = ModelSpec(task="regression", features=features, classes=())
    assert parser_of(spec, Ingest("m", spec).encoder) is None


def test_no_value_is_read_beyond_its_end() -> None:
    """Each value is followed by bytes that would complete it."""
    spec = MODELS["hashes"]
    for value in BASE:
        cuts: list[bytes | None] = [value[:end] for end in range(len(value))]
        fast, careful = both(spec, cuts)
        assert whole(fast) == whole(careful)
