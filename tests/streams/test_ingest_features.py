"""Feature transforms on the stream, against a plain reading of docs/features.md: rows, log, dead letters."""

from __future__ import annotations

import math
import random
import re
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.encoding_text import MAX_NGRAMS
from models.model import Model
from models.spec import BinnedFeature, FeatureSpec, ModelSpec, NumericFeature, TextFeature
from streams.data_codec import DataCodec
from streams.ingest import Ingest
from streams.ingest_report import describe
from tests.rows import assert_same_rows
from tests.streams.kafka_records import TIMESTAMP, kafka_records, sample
from tests.streams.test_ingest_agreement import CarefulOnly, mutated, outcome
from tests.streams.test_ingest_bad_input import refuse

FEATURES = FeatureSpec(
    numeric=(NumericFeature("price", transform="log", scaling="min-max"), NumericFeature("raw", of="price")),
    categorical=("carrier",),
    bins=(BinnedFeature("age", (18.0, 65.0)),),
    time=("hour-of-day",),
    utc_offset=60,
    text=(TextFeature("title", 2), TextFeature("letters", 0, (2, 2), "l2", of="title")),
    interactions=(("age", "carrier"), ("age", "price")),
    hash_bits=18,
)
SPEC = ModelSpec("binary", FEATURES, (0, 1))
OPEN = ModelSpec(
    "binary",
    FeatureSpec(
        bins=FEATURES.bins, text=FEATURES.text, time=("day-of-week",), hash_bits=18, others="include"
    ),
    (0, 1),
)
SPECS = {"declared": SPEC, "open": OPEN}

numbers = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e300, 1e300)
texts = st.none() | st.text("ab -_Ü!", max_size=12)
samples = st.fixed_dictionaries(
    {},
    optional={"price": numbers, "age": numbers, "title": texts, "carrier": st.none() | st.sampled_from("xy")},
)


def plain_row(features: dict[str, Any], time: int) -> tuple[list[float], list[tuple[str, float, int]]]:
    """The columns and entries of a sample of SPEC, in the words of the documentation."""
    price, age, title, carrier = (features.get(name) for name in ("price", "age", "title", "carrier"))
    log = math.nan if price is None else math.copysign(math.log1p(abs(price)), price)
    local = datetime.fromtimestamp(time / 1000 + 3600, UTC)
    turn = 2 * math.pi * (local.hour * 3600 + local.minute * 60 + local.second + time % 1000 / 1000) / 86400
    columns = [log, math.nan if price is None else float(price), math.sin(turn), math.cos(turn)]
    entries: list[tuple[str, float, int]] = []
    if carrier is not None:
        entries.append((f"carrier={carrier}", 1.0, -1))
    if age is not None:
        bins = "(-inf,18)" if age < 18 else "[18,65)" if age < 65 else "[65,inf)"
        entries.append((f"age={bins}", 1.0, -1))
        entries += [(f"age={bins}*carrier={carrier}", 1.0, -1)] if carrier is not None else []
        entries.append((f"age={bins}*price", 1.0, 0))
    words = re.findall(r"\w+", (title or "").lower())
    grams = [f"title~{word}" for word in words]
    grams += [f"title~{a} {b}" for a, b in pairwise(words)]
    entries += [(gram, float(grams.count(gram)), -1) for gram in dict.fromkeys(grams)]
    pieces = [f" {piece} " for piece in (title or "").lower().split()]
    letters = [f"letters#{piece[i : i + 2]}" for piece in pieces for i in range(len(piece) - 1)]
    length = math.sqrt(sum(letters.count(gram) ** 2 for gram in set(letters)))
    entries += [(gram, letters.count(gram) / length, -1) for gram in dict.fromkeys(letters)]
    return columns, entries


@given(batch=st.lists(st.tuples(samples, st.none() | st.integers(0, 10**13)), min_size=1, max_size=6))
@settings(max_examples=100, deadline=None)
def test_samples_are_encoded_as_the_documentation_says(
    batch: list[tuple[dict[str, Any], int | None]],
) -> None:
    values = [sample(features=features, timestamp=time) for features, time in batch]
    found = Ingest("m", SPEC).decode("t", 0, kafka_records(values))
    assert found.dead == []
    times = [TIMESTAMP + i if time is None else time for i, (_, time) in enumerate(batch)]
    expected = [plain_row(one, time) for (one, _), time in zip(batch, times, strict=True)]
    columns = np.array([row for row, _ in expected])
    np.testing.assert_allclose(found.rows.numeric, columns, rtol=1e-12, atol=1e-9)
    entries = [entry for _, row in expected for entry in row]
    assert [found.rows.names[index] for index in found.rows.indices.tolist()] == [
        name for name, _, _ in entries
    ]
    assert found.rows.values.tolist() == [value for _, value, _ in entries]
    assert found.rows.scaled_by.tolist() == [by for _, _, by in entries]


BAD = [
    ({"title": 12}, 'features.title: expected text, got 12'),
    ({"title": True}, 'features.title: expected text, got true'),
    ({"title": ["a"]}, 'features.title: expected text, got ["a"]'),
    ({"title": {"en": "a"}}, 'features.title: expected text, got {"en": "a"}'),
    ({"age": "old"}, 'features.age: expected a finite number, got "old"'),
    ({"age": [30]}, "features.age: expected a finite number, got [30]"),
    ({"age": 10**400}, f"features.age: expected a finite number, got 1{'0' * 98}…"),
    (
        {"title": "a " * MAX_NGRAMS},
        f"features.title: expected text of at most {MAX_NGRAMS} n-grams, got {2 * MAX_NGRAMS - 1}; "
        "send less text, or declare fewer n-grams",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("features", "message"), BAD, ids=[message[:50] for _, message in BAD])
def test_a_value_that_a_transform_cannot_take_is_a_dead_letter(
    features: dict[str, Any], message: str
) -> None:
    for spec in (SPEC, OPEN):
        assert refuse(spec, sample(features=features)) == (
            "TRANSFORMATION",
            "gradstream.InvalidFeature",
            message,
        )


def test_a_long_text_passes_and_one_whose_n_grams_the_log_cannot_take_does_not() -> None:
    words = [f"w{i:05}" for i in range(20_000)]
    spec = ModelSpec("binary", FeatureSpec(text=(TextFeature("t", 2),), hash_bits=18), (0, 1))
    good, bad = (
        sample(features={"t": " ".join(words)}),
        sample(features={"t": " ".join(w * 40 for w in words)}),
    )
    found = Ingest("m", spec).decode("t", 0, kafka_records([good, bad]))
    assert np.diff(found.rows.indptr).tolist() == [39_999]
    (dead,) = found.dead
    assert dead.exception == "gradstream.SampleTooLarge"
    small = 40 + 20_000 * (14 + 2 + 240) + 19_999 * 14  # names of pairs are too long to be kept
    assert f"at most 4194304 bytes in encoded form, got {small}" in dead.message


BASE = [
    b'{"features":{"price":1400,"age":30,"carrier":"UA","title":"free shipping"},"label":1,'
    b'"timestamp":1357017300000}',
    '{"features":{"title":"Größe 北京","age":true,"x":[1,2]},"label":null,"weight":0.5}'.encode(),
]


@pytest.mark.parametrize("name", SPECS)
def test_mutated_records_never_raise_and_the_fast_path_agrees_with_the_careful_look(name: str) -> None:
    rng = random.Random(name)
    records = kafka_records([mutated(rng, rng.choice(BASE)) for _ in range(4_000)])
    fast = Ingest("m", SPECS[name]).decode("t", 0, records)
    assert outcome(fast) == outcome(CarefulOnly("m", SPECS[name]).decode("t", 0, records))
    assert min(len(fast.ids), len(fast.dead)) > 200, "mutations must leave valid samples and break others"


@pytest.mark.parametrize("name", SPECS)
def test_rows_survive_the_learning_log_and_the_fold_of_them_is_that_of_the_stream(name: str) -> None:
    spec, rng = SPECS[name], random.Random(2)
    words = ["free", "shipping", "now", "Größe"]
    values = [
        sample(
            label=i % 2,
            features={
                "price": rng.choice([None, 10 ** rng.uniform(-3, 6)]),
                "age": rng.uniform(0, 99),
                "carrier": rng.choice("xy"),
                "title": " ".join(rng.choices(words, k=3)),
            },
        )
        for i in range(200)
    ]
    rows = Ingest("m", spec).decode("t", 0, kafka_records(values)).rows
    live, again = Model(spec), Model(spec)
    learned = live.predict_and_learn(rows)
    assert learned.undo is not None
    live.forget(learned.undo)
    codec = DataCodec(spec)
    decoded, served = codec.decode(codec.encode(rows, learned.served, rows.names))
    assert_same_rows(decoded, rows)
    again.learn(decoded, served, keep_undo=False)
    assert again.digest() == live.digest()
    weights = {one.name: one for one in live.weights(rows.names)}
    shown = ["age=[18,65)", "title~free", "title~free shipping", "letters#sh"]
    shown += ["time.hour-of-day.sin", "age=[18,65)*price"] if name == "declared" else ["time.day-of-week.cos"]
    assert all(weights[one].value != 0.0 for one in shown)
    if name == "declared":
        logs = rows.numeric[:, 0]
        assert weights["price"].scaling == {"min": np.nanmin(logs), "max": np.nanmax(logs)}


def test_check_shows_samples_as_they_are_encoded_with_the_records_time() -> None:
    values = [sample(features={"age": 3}), sample(features={"age": 3}, timestamp=TIMESTAMP + 1000)]
    first, second = describe(Ingest("m", SPEC), values, times=[TIMESTAMP, 0]).samples
    assert ("age=(-inf,18)", 1.0) in first
    expected, later = plain_row({"age": 3}, TIMESTAMP)[0], plain_row({"age": 3}, TIMESTAMP + 1000)[0]
    assert dict(first)["time.hour-of-day.sin"] == pytest.approx(expected[2], abs=1e-9)
    assert dict(second)["time.hour-of-day.sin"] == pytest.approx(later[2], abs=1e-9)
    (alone,) = describe(Ingest("m", SPEC), [sample(features={"age": 3})]).samples
    assert math.isnan(dict(alone)["time.hour-of-day.sin"])


def test_a_declared_text_that_never_comes_is_named() -> None:
    report = describe(
        Ingest("m", SPEC), [sample(label=1, features={"price": 1, "age": 2, "carrier": "x", "titel": "a"})]
    )
    assert report.lines() == [
        "features.title: declared, and in no sample",
        "features.titel: in 1 records, and nobody reads it; did you mean title?",
    ]


def test_lists_that_nobody_declared_may_have_any_length_and_declared_ones_their_own_alone() -> None:
    values = [sample(features={"v": [1.0] * n}) for n in (2, 3, 2)]
    undeclared = Ingest("m", ModelSpec("binary", FeatureSpec(hash_bits=18, others="include"), (0, 1)))
    found = undeclared.decode("t", 0, kafka_records(values))
    assert np.diff(found.rows.indptr).tolist() == [2, 3, 2]
    declared = Ingest("m", ModelSpec("binary", FeatureSpec(numeric=(NumericFeature("v", 2),)), (0, 1)))
    found = declared.decode("t", 0, kafka_records(values))
    assert found.rows.offsets.tolist() == [0, 2]
    assert [dead.message for dead in found.dead] == [
        "features.v: expected a list of 2 numbers, got a list of 3"
    ]
