"""Numbers as bins: which bin, its name, and crosses with it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.encoding_bins import Bins, bin_texts
from models.errors import SpecError
from models.features import Encoder
from models.spec import BinnedFeature, FeatureSpec, NumericFeature
from tests.models.encoding import encode, entries

AGE = BinnedFeature("age", (18.0, 30.0, 65.0))
SPEC = FeatureSpec(
    numeric=(NumericFeature("price"), NumericFeature("years", of="age")),
    categorical=("carrier",),
    bins=(AGE,),
    interactions=(("age", "carrier"), ("price", "age"), ("years", "carrier")),
    hash_bits=18,
)
finite = st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    ("age", "name"),
    [
        (-1e300, "age=(-inf,18)"),
        (17.999, "age=(-inf,18)"),
        (18, "age=[18,30)"),
        (29.5, "age=[18,30)"),
        (30, "age=[30,65)"),
        (65, "age=[65,inf)"),
        (10**200, "age=[65,inf)"),
        (True, "age=(-inf,18)"),
    ],
)
def test_a_number_is_an_indicator_of_its_bin_and_an_edge_belongs_to_the_bin_above(
    age: Any, name: str
) -> None:
    assert entries(encode(FeatureSpec(bins=(AGE,), hash_bits=18), [{"age": age}])) == [(name, 1.0, -1)]


@pytest.mark.parametrize("features", [{}, {"age": None}])
def test_a_missing_number_is_in_no_bin(features: dict[str, Any]) -> None:
    assert entries(encode(FeatureSpec(bins=(AGE,), hash_bits=18), [features])) == []


@given(edges=st.sets(finite, min_size=1, max_size=12).map(sorted), numbers=st.lists(finite, max_size=30))
@settings(max_examples=200, deadline=None)
def test_bins_are_those_of_pandas_cut(edges: list[float], numbers: list[float]) -> None:
    numbers = numbers + edges
    bins = Bins(BinnedFeature("x", tuple(edges)))
    cut = pandas.cut(numbers, [-math.inf, *edges, math.inf], right=False, labels=bins.texts)
    assert bins.texts_of(np.array(numbers)) == list(cut)
    assert len(set(bins.texts)) == len(edges) + 1


def test_edges_stand_in_names_as_their_shortest_decimal_text() -> None:
    assert bin_texts((-0.5, 0.1, 1e20)) == ["(-inf,-0.5)", "[-0.5,0.1)", "[0.1,1e+20)", "[1e+20,inf)"]


def test_crosses_take_bins_as_categories() -> None:
    rows = encode(
        SPEC, [{"age": 40, "carrier": "UA", "price": 5}, {"age": 40}, {"carrier": "AA", "age": None}]
    )
    assert entries(rows, 0) == [
        ("carrier=UA", 1.0, -1),
        ("age=[30,65)", 1.0, -1),
        ("age=[30,65)*carrier=UA", 1.0, -1),
        ("price*age=[30,65)", 1.0, 0),
        ("years*carrier=UA", 1.0, 1),
    ]
    assert [name for name, _, _ in entries(rows, 1)] == ["age=[30,65)", "price*age=[30,65)"]
    assert [name for name, _, _ in entries(rows, 2)] == ["carrier=AA", "years*carrier=AA"]
    assert rows.numeric[:, 1].tolist()[:2] == [40.0, 40.0]


@pytest.mark.parametrize("edges", [(), (1.0, 1.0), (2.0, 1.0), (math.nan,), (1.0, math.inf)])
def test_edges_that_do_not_increase_are_refused(edges: tuple[float, ...]) -> None:
    with pytest.raises(SpecError, match="x: expected edges that increase"):
        Encoder(FeatureSpec(bins=(BinnedFeature("x", edges),), hash_bits=18))
