"""What holds for all kinds of features at once, and for specifications from before there were so many."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import SpecError
from models.features import Encoder
from models.rows import Rows
from models.spec import BinnedFeature, FeatureSpec, ModelSpec, NumericFeature, TextFeature
from tests.models.encoding import encode, entries
from tests.rows import assert_same_rows

NUMERIC = (
    NumericFeature("distance"),
    NumericFeature("price", transform="log", scaling="min-max"),
    NumericFeature("raw-price", of="price"),
    NumericFeature("v", size=2, transform="log"),
)
DENSE = FeatureSpec(
    numeric=(*NUMERIC, NumericFeature("years", of="age")),
    interactions=(("distance", "price"),),
    time=("hour-of-day", "month-of-year"),
)
EVERYTHING = FeatureSpec(
    numeric=NUMERIC,
    categorical=("carrier", "hour"),
    bins=(BinnedFeature("age", (18.0, 65.0)), BinnedFeature("night", (6.0, 22.0), of="hour")),
    time=("day-of-week",),
    utc_offset=60,
    text=(TextFeature("title", 2, (3, 3)), TextFeature("carrier-name", norm="l2", of="carrier-text")),
    interactions=(("age", "carrier"), ("night", "price", "carrier"), ("distance", "price")),
    hash_bits=18,
)
OPEN = FeatureSpec(
    numeric=(NumericFeature("distance", transform="log"),),
    bins=(BinnedFeature("age", (18.0,)),),
    text=(TextFeature("title"),),
    hash_bits=18,
    others="include",
)
QUOTED = FeatureSpec(numeric=(NumericFeature('"'),), text=EVERYTHING.text, bins=EVERYTHING.bins, hash_bits=18)
SPECS = {"dense": DENSE, "everything": EVERYTHING, "open": OPEN, "quoted": QUOTED}

number = (
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
)
text = st.none() | st.text(max_size=30)
samples = st.fixed_dictionaries(
    {},
    optional={
        "distance": number,
        "price": number,
        "age": number,
        "v": st.none()
        | st.lists(number.filter(lambda x: not isinstance(x, bool | None)), min_size=2, max_size=2),
        "carrier": number | text,
        "hour": number,
        "title": text,
        "carrier-text": text,
    },
)
batches = st.lists(st.tuples(samples, st.integers(-(2**45), 2**45)), max_size=6)


@pytest.mark.parametrize("name", SPECS)
@given(batch=batches)
@settings(max_examples=80, deadline=None)
def test_a_sample_is_encoded_alone_as_among_others(
    name: str, batch: list[tuple[dict[str, Any], int]]
) -> None:
    objects, times = [one for one, _ in batch], [time for _, time in batch]
    together = encode(SPECS[name], objects, times)
    encoder = Encoder(SPECS[name])
    alone = [encode(encoder, [one], [time]) for one, time in batch]
    for i, one in enumerate(alone):
        one.offsets[:] = i
    if alone:
        assert_same_rows(Rows.concatenate(alone), together)
    assert {h: n for one in alone for h, n in one.names.items()} == together.names


@pytest.mark.parametrize("name", SPECS)
@given(sample=samples, time=st.integers(0, 2**41))
@settings(max_examples=80, deadline=None)
def test_the_readable_form_lists_what_is_in_the_row(name: str, sample: dict[str, Any], time: int) -> None:
    encoder = Encoder(SPECS[name])
    rows = encode(encoder, [sample], [time])
    numeric = rows.numeric[0]
    scaled = [value * (1.0 if by < 0 else numeric[by]) for _, value, by in entries(rows)]
    expected = [*numeric.tolist(), *scaled]
    found = encoder.pairs(encoder.build(sample), time)
    assert [one for one, _ in found] == [*encoder.columns, *(one for one, _, _ in entries(rows))]
    np.testing.assert_array_equal([value for _, value in found], expected)
    assert 40 + 8 * len(numeric) + 14 * len(scaled) <= encoder.encoded_bytes(encoder.build(sample))


def test_without_its_time_a_samples_cycles_are_not_known() -> None:
    encoder = Encoder(DENSE)
    found = dict(encoder.pairs(encoder.build({"distance": 3})))
    assert found["distance"] == 3.0
    assert all(math.isnan(value) for name, value in found.items() if name != "distance")


def test_entries_stand_in_the_order_categories_bins_crosses_texts_others() -> None:
    spec = FeatureSpec(
        categorical=("c",),
        bins=(BinnedFeature("b", (0.0,)),),
        text=(TextFeature("t"),),
        interactions=(("b", "c"),),
        hash_bits=18,
        others="include",
    )
    rows = encode(spec, [{"x": 2, "t": "a", "b": 1, "c": "k", "y": "z"}, {"t": "b a"}])
    assert [name for name, _, _ in entries(rows)] == ["c=k", "b=[0,inf)", "b=[0,inf)*c=k", "t~a", "x", "y=z"]
    assert [name for name, _, _ in entries(rows, 1)] == ["t~b", "t~a"]


# One field, several features


def test_a_field_can_be_several_features_and_is_not_taken_as_undeclared_again() -> None:
    spec = FeatureSpec(
        numeric=(NumericFeature("hour-number", of="hour"),),
        categorical=("hour",),
        bins=(BinnedFeature("night", (6.0, 22.0), of="hour"),),
        hash_bits=18,
        others="include",
    )
    for value, shown in ((23, "23"), (2**60 + 1, "1152921504606846977"), (True, "true")):
        rows = encode(spec, [{"hour": value}])
        assert rows.numeric.tolist() == [[float(value)]]
        bins = "night=(-inf,6)" if value is True else "night=[22,inf)"
        assert [name for name, _, _ in entries(rows)] == [f"hour={shown}", bins]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            FeatureSpec((NumericFeature("a"), NumericFeature("v", 2, of="a"))),
            "a number and a list of 2 numbers",
        ),
        (
            FeatureSpec((NumericFeature("v", 3), NumericFeature("w", 2, of="v"))),
            "a list of 3 numbers and a list of 2",
        ),
        (
            FeatureSpec((NumericFeature("a"),), text=(TextFeature("t", of="a"),), hash_bits=8),
            "a number and a text",
        ),
        (
            FeatureSpec(
                categorical=("a",),
                bins=(BinnedFeature("b", (0.0,), of="a"),),
                text=(TextFeature("t", of="a"),),
                hash_bits=8,
            ),
            "a category and a number and a text",
        ),
    ],
)
def test_a_field_of_two_natures_is_refused(spec: FeatureSpec, message: str) -> None:
    with pytest.raises(SpecError, match=f"cannot be {message}"):
        Encoder(spec)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (FeatureSpec(text=(TextFeature("t"),)), "features.hash_bits: expected a number of bits"),
        (FeatureSpec(bins=(BinnedFeature("b", (0.0,)),)), "features.hash_bits: expected a number of bits"),
        (FeatureSpec(categorical=("a",), text=(TextFeature("a"),), hash_bits=8), "'a' is declared twice"),
        (
            FeatureSpec(
                categorical=("a",), text=(TextFeature("t"),), interactions=(("a", "t"),), hash_bits=8
            ),
            "features.interactions: 't' is a text; expected a single value",
        ),
    ],
)
def test_a_specification_that_cannot_be_encoded_is_refused(spec: FeatureSpec, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        Encoder(spec)
    assert message in str(caught.value)


# Specifications of earlier releases


def test_a_specification_without_the_newer_keys_means_what_it_meant() -> None:
    stored = (
        b'{"classes":[0,1],"features":{"categorical":["c"],"hash_bits":18,"interactions":[["c","a"]],"numeric":'
        b'[{"name":"a","scaling":"standard","size":null},{"name":"v","scaling":"none","size":2}],"others":"ignore"},'
        b'"task":"binary"}'
    )
    features = ModelSpec.from_json(stored).features
    assert features == FeatureSpec(
        (NumericFeature("a"), NumericFeature("v", 2, "none")), ("c",), (("c", "a"),), 18, "ignore"
    )
    rows = encode(features, [{"a": -3, "v": [1, 2], "c": 5}], [1_700_000_000_000])
    assert rows.numeric.tolist() == [[-3.0, 1.0, 2.0]]
    assert entries(rows) == [("c=5", 1.0, -1), ("c=5*a", 1.0, 0)]


@pytest.mark.parametrize("name", SPECS)
def test_a_specification_survives_its_json(name: str) -> None:
    spec = ModelSpec("regression", SPECS[name])
    assert ModelSpec.from_json(spec.to_json()) == spec
