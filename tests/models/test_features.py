"""Each row of the feature table, and what the encoder promises beyond it."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
import pytest

from models import encoding_names, encoding_undeclared
from models.encoding_names import MAX_NAME_BYTES, category_text
from models.errors import SpecError
from models.features import Encoder
from models.hashing import feature_hash
from models.rows import Rows
from models.spec import FeatureSpec, NumericFeature

DENSE = FeatureSpec(numeric=(NumericFeature("distance"), NumericFeature("v", size=2)))
HASHED = FeatureSpec(
    numeric=(NumericFeature("distance"),),
    categorical=("carrier", "dest"),
    interactions=(("carrier", "dest"), ("distance", "carrier")),
    hash_bits=18,
)
EVERY = FeatureSpec(hash_bits=18, others="include")
MIXED = FeatureSpec(
    numeric=(NumericFeature("distance"), NumericFeature("v", size=2)),
    categorical=("carrier",),
    hash_bits=18,
    others="include",
)


def encode(encoder: Encoder, *objects: dict[str, Any]) -> Rows:
    """Encode features as they come out of JSON."""
    decode = msgspec.json.Decoder(encoder.features_type).decode
    features = [decode(msgspec.json.encode(one)) for one in objects]
    assert all(encoder.fits(one) for one in features)
    n = len(objects)
    return encoder.encode(features, np.zeros(n), np.ones(n), np.zeros(n, np.int64), np.arange(n))


def row(spec: FeatureSpec, features: dict[str, Any]) -> tuple[list[float], list[tuple[str, float, int]]]:
    """The numeric columns and the named entries of one sample."""
    rows = encode(Encoder(spec), features)
    entries = zip(rows.indices.tolist(), rows.values.tolist(), rows.scaled_by.tolist(), strict=True)
    return rows.numeric[0].tolist(), [(rows.names[index], value, by) for index, value, by in entries]


# The table, row by row


@pytest.mark.parametrize(("value", "expected"), [(3, 3.0), (-0.5, -0.5), (True, 1.0), (False, 0.0)])
def test_a_declared_numeric_takes_numbers_and_booleans_as_0_and_1(value: Any, expected: float) -> None:
    assert row(DENSE, {"distance": value})[0][0] == expected


@pytest.mark.parametrize("features", [{}, {"distance": None}, {"distance": None, "v": None}])
def test_a_numeric_that_is_null_or_absent_is_missing(features: dict[str, Any]) -> None:
    assert all(map(math.isnan, row(DENSE, features)[0]))


def test_a_declared_list_fills_a_column_for_each_of_its_numbers() -> None:
    assert DENSE.numeric_columns() == ["distance", "v[0]", "v[1]"]
    assert row(DENSE, {"distance": 1, "v": [2, 3.5]})[0] == [1.0, 2.0, 3.5]


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("UA", "carrier=UA"),
        ("", "carrier="),
        ("true", "carrier=true"),
        (True, "carrier=true"),
        (False, "carrier=false"),
        (1, "carrier=1"),
        (1.0, "carrier=1"),
        (-0.0, "carrier=0"),
        (0.1, "carrier=0.1"),
        (2**63, "carrier=9223372036854775808"),
        (10**30, "carrier=1000000000000000000000000000000"),
        (1e30, "carrier=1e+30"),
        (1e-7, "carrier=1e-07"),
    ],
)
def test_a_declared_categorical_is_an_indicator_of_the_text_of_its_value(value: Any, name: str) -> None:
    assert row(HASHED, {"carrier": value})[1][0] == (name, 1.0, -1)


@pytest.mark.parametrize("features", [{}, {"carrier": None, "dest": None}])
def test_a_categorical_that_is_null_or_absent_has_no_entry(features: dict[str, Any]) -> None:
    assert row(HASHED, features)[1] == []


@pytest.mark.parametrize(
    ("value", "entries"),
    [
        (2, [("x", 2.0, -1)]),
        (-0.5, [("x", -0.5, -1)]),
        (True, [("x", 1.0, -1)]),
        (False, [("x", 0.0, -1)]),
        ("red", [("x=red", 1.0, -1)]),
        (None, []),
        ([], []),
        ([4, 5.5], [("x[0]", 4.0, -1), ("x[1]", 5.5, -1)]),
    ],
)
@pytest.mark.parametrize("spec", [EVERY, MIXED])
def test_an_undeclared_feature_is_taken_by_its_type(
    spec: FeatureSpec, value: Any, entries: list[tuple[str, float, int]]
) -> None:
    assert row(spec, {"x": value})[1] == entries


def test_undeclared_features_are_ignored_unless_they_are_included() -> None:
    assert row(HASHED, {"x": 1, "y": {"z": 1}, "w": ["a"]})[1] == []


# Crosses


def test_a_cross_of_categoricals_is_an_indicator_named_in_declared_order() -> None:
    entries = row(HASHED, {"dest": "LAX", "carrier": 7})[1]
    assert ("carrier=7*dest=LAX", 1.0, -1) in entries


def test_a_cross_with_a_numeric_is_scaled_by_that_column() -> None:
    assert row(HASHED, {"carrier": "UA", "distance": 1400})[1] == [
        ("carrier=UA", 1.0, -1),
        ("distance*carrier=UA", 1.0, 0),
    ]


def test_a_cross_with_a_missing_categorical_has_no_entry() -> None:
    assert [name for name, _, _ in row(HASHED, {"dest": "LAX"})[1]] == ["dest=LAX"]


def test_a_cross_of_two_numerics_is_left_to_the_kernel() -> None:
    spec = FeatureSpec(numeric=(NumericFeature("a"), NumericFeature("b")), interactions=(("a", "b"),))
    assert row(spec, {"a": 2, "b": 3}) == ([2.0, 3.0], [])


# Rows


def test_entries_stand_in_the_order_categoricals_crosses_numbers_texts_lists() -> None:
    spec = FeatureSpec(categorical=("b", "a"), interactions=(("a", "b"),), hash_bits=18, others="include")
    found = row(spec, {"t": "x", "l": [1], "n": 2, "a": 1, "b": 2})[1]
    assert [name for name, _, _ in found] == ["b=2", "a=1", "a=1*b=2", "n", "t=x", "l[0]"]


def test_rows_of_different_lengths_keep_their_own_entries() -> None:
    rows = encode(Encoder(MIXED), {"carrier": "UA"}, {}, {"x": 1, "carrier": "AA"}, {"y": [1, 2]})
    named = [rows.names[index] for index in rows.indices.tolist()]
    assert rows.indptr.tolist() == [0, 1, 1, 3, 5]
    assert named == ["carrier=UA", "carrier=AA", "x", "y[0]", "y[1]"]


@pytest.mark.parametrize("spec", [DENSE, HASHED, EVERY, MIXED])
def test_no_samples_make_empty_rows_of_the_right_shape(spec: FeatureSpec) -> None:
    rows = encode(Encoder(spec))
    assert rows.numeric.shape == (0, len(spec.numeric_columns()))
    assert rows.indptr.tolist() == [0]


@pytest.mark.parametrize("spec", [DENSE, HASHED, EVERY, MIXED])
def test_the_arrays_have_the_types_and_the_layout_of_rows(spec: FeatureSpec) -> None:
    rows = encode(Encoder(spec), {"distance": 1, "carrier": "UA"}, {"distance": None})
    assert rows.numeric.dtype == rows.values.dtype == np.float64
    assert rows.numeric.flags.c_contiguous
    assert (rows.indptr.dtype, rows.indices.dtype, rows.scaled_by.dtype) == (np.int64, np.uint32, np.int16)
    assert len(rows.indices) == len(rows.values) == len(rows.scaled_by) == rows.indptr[-1]


@pytest.mark.parametrize("name", ['a "quoted" name', "back\\slash", "new\nline", "", "Größe"])
def test_any_name_can_be_declared(name: str) -> None:
    spec = FeatureSpec(numeric=(NumericFeature(name),), categorical=("c",), hash_bits=18)
    assert row(spec, {name: 2, "c": "x", "other": {"deep": 1}}) == ([2.0], [("c=x", 1.0, -1)])


# The memo


def test_true_and_1_stay_apart_whichever_comes_first() -> None:
    for values in ([1, True, 1.0, "1"], [True, 1, "true", 1.0]):
        rows = encode(Encoder(HASHED), *({"carrier": one, "dest": one} for one in values))
        texts = [category_text(one) for one in values]
        expected = [
            [f"carrier={t}", f"dest={t}", f"carrier={t}*dest={t}", f"distance*carrier={t}"] for t in texts
        ]
        assert rows.indices.tolist() == [feature_hash(name) for names in expected for name in names]


def test_a_large_float_and_the_equal_integer_stay_apart() -> None:
    rows = encode(Encoder(HASHED), {"carrier": 10**20}, {"carrier": 1e20}, {"carrier": 10**20})
    names = ["carrier=100000000000000000000", "carrier=1e+20", "carrier=100000000000000000000"]
    assert rows.indices[::2].tolist() == [feature_hash(name) for name in names]


def test_a_full_memo_starts_over_and_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    objects = [
        {"carrier": f"c{i % 7}", "dest": i % 5, "x": f"t{i % 11}", "l": [1.0] * (i % 4)} for i in range(200)
    ]
    spec = FeatureSpec(
        categorical=("carrier", "dest"), interactions=(("carrier", "dest"),), hash_bits=18, others="include"
    )
    expected = encode(Encoder(spec), *objects)
    for module, name in (
        (encoding_names, "MEMO_ENTRIES"),
        (encoding_names, "KNOWN_NAMES"),
        (encoding_undeclared, "MEMO_ENTRIES"),
        (encoding_undeclared, "MAX_LAYOUTS"),
        (encoding_undeclared, "MAX_LIST_MEMO"),
    ):
        monkeypatch.setattr(module, name, 2)
    found = encode(Encoder(spec), *objects)
    assert found.indices.tolist() == expected.indices.tolist()
    assert found.values.tolist() == expected.values.tolist()
    assert found.names == expected.names


# Names


def test_a_name_is_reported_once() -> None:
    encoder = Encoder(HASHED)
    first = encode(encoder, {"carrier": "UA"}, {"carrier": "AA"}, {"carrier": "UA"})
    assert set(first.names.values()) == {
        "carrier=UA",
        "carrier=AA",
        "distance*carrier=UA",
        "distance*carrier=AA",
    }
    assert encode(encoder, {"carrier": "UA"}).names == {}
    assert set(encode(encoder, {"carrier": "B6"}).names.values()) == {"carrier=B6", "distance*carrier=B6"}


@pytest.mark.parametrize(
    "features", [{"x": 1.5}, {"x": "red"}, {"x": [1, 2]}, {"carrier": "UA"}, {"carrier": 5, "x": True}]
)
def test_names_of_a_dropped_batch_are_reported_again(features: dict[str, Any]) -> None:
    encoder = Encoder(MIXED)
    first = encode(encoder, features)
    encoder.unname(first.names)
    assert first.names
    assert encode(encoder, features).names == first.names


def test_only_the_names_that_were_dropped_are_reported_again() -> None:
    encoder = Encoder(EVERY)
    encode(encoder, {"a": 1, "b": 2})
    encoder.unname([feature_hash("a")])
    assert encode(encoder, {"a": 1, "b": 2}).names == {feature_hash("a"): "a"}


def test_a_very_long_name_is_hashed_and_not_reported() -> None:
    text = "x" * (MAX_NAME_BYTES + 1)
    rows = encode(Encoder(HASHED), {"carrier": text})
    assert rows.indices.tolist()[0] == feature_hash(f"carrier={text}")
    assert rows.names == {}


# Size and readable form


def test_the_readable_form_lists_what_is_in_the_row() -> None:
    encoder = Encoder(HASHED)
    features = encoder.build({"carrier": "UA", "distance": 1400, "dest": None})
    assert encoder.pairs(features) == [
        ("distance", 1400.0),
        ("carrier=UA", 1.0),
        ("distance*carrier=UA", 1400.0),
    ]


def test_the_encoded_size_does_not_depend_on_what_was_seen_before() -> None:
    encoder = Encoder(EVERY)
    features = {"x": [1.0] * 20_000}
    before = encoder.encoded_bytes(features)
    encode(encoder, features)
    names = sum(len(f"x[{i}]") for i in range(20_000))
    assert before == encoder.encoded_bytes(features) == 40 + 14 * 20_000 + names


# Specifications that cannot be encoded


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            FeatureSpec(numeric=(NumericFeature("a"),), categorical=("a",), hash_bits=18),
            "features: 'a' is declared twice; declare it once",
        ),
        (
            FeatureSpec(categorical=("a",)),
            "features.hash_bits: expected a number of bits for hashed features, got none",
        ),
        (
            FeatureSpec(categorical=("a",), interactions=(("a", "b"),), hash_bits=18),
            "features.interactions: 'b' is not declared; declare it",
        ),
        (
            FeatureSpec(
                numeric=(NumericFeature("n", 2),),
                categorical=("a",),
                interactions=(("a", "n"),),
                hash_bits=18,
            ),
            "features.interactions: 'n' is a list; expected a single number",
        ),
        (
            FeatureSpec(
                numeric=(NumericFeature("n"), NumericFeature("m")),
                categorical=("a",),
                interactions=(("a", "n", "m"),),
                hash_bits=18,
            ),
            "features.interactions: a*n*m: expected at most one numeric feature",
        ),
    ],
)
def test_a_specification_that_cannot_be_encoded_is_refused(spec: FeatureSpec, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        Encoder(spec)
    assert str(caught.value) == message
