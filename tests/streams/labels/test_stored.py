"""Samples that wait, as JSON in the store: people read them, and every bit comes back."""

from __future__ import annotations

import json
import struct
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.rows import Rows
from streams.labels import stored
from tests.rows import assert_same_rows
from tests.streams.test_log_format import DENSE, HASHED, random_rows

finite = st.floats(allow_nan=False, allow_infinity=False)
numeric = finite | st.just(float("nan"))
times = st.integers(-62_135_596_800_000, 253_402_300_799_999)


@st.composite
def samples(draw: st.DrawFn, columns: int = 2, codes: int = 2, outputs: int = 3) -> tuple[Rows, np.ndarray]:
    """Rows as an encoder makes them, of any numbers."""
    n = draw(st.integers(0, 5))

    def array(elements: st.SearchStrategy[Any], shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        size = int(np.prod(shape))
        return np.array(draw(st.lists(elements, min_size=size, max_size=size)), dtype=dtype).reshape(shape)

    lengths = array(st.integers(0, 3), (n,), np.int64)
    total = int(lengths.sum())
    rows = Rows(
        numeric=array(numeric, (n, columns), np.float64),
        indptr=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        indices=array(st.integers(0, 2**32 - 1), (total,), np.uint32),
        values=array(finite, (total,), np.float64),
        scaled_by=array(st.integers(-1, 2**15 - 1), (total,), np.int16),
        labels=np.full(n, np.nan),
        weights=array(st.floats(0, allow_infinity=False), (n,), np.float64),
        timestamps=array(times, (n,), np.int64),
        offsets=array(st.integers(0, 2**63 - 1), (n,), np.int64),
        codes=array(st.integers(-1, 2**32 - 1), (n, codes), np.int64),
    )
    return rows, array(numeric, (n, outputs), np.float64)


def bits(array: np.ndarray) -> bytes:
    """The bytes of an array; all NaN are alike."""
    return bytes(np.where(np.isnan(array), np.nan, array).tobytes())


@given(given_=samples())
@settings(max_examples=200)
def test_every_bit_comes_back(given_: tuple[Rows, np.ndarray]) -> None:
    rows, served = given_
    again, served_again = stored.decode(stored.encode(rows, served), 2, 3, 2)
    assert_same_rows(again, rows)
    for found, expected in (
        (again.numeric, rows.numeric),
        (again.values, rows.values),
        (served_again, served),
    ):
        assert bits(found) == bits(expected)
    assert again.weights.tobytes() == rows.weights.tobytes()
    assert stored.times(stored.encode(rows, served)).tolist() == rows.timestamps.tolist()


@pytest.mark.parametrize("spec", [DENSE, HASHED], ids=["dense", "hashed"])
def test_rows_of_every_shape_come_back(spec: Any) -> None:
    rows, served = random_rows(spec, 40, 4)
    rows.labels[:] = np.nan
    columns = len(spec.features.numeric_columns())
    again, served_again = stored.decode(stored.encode(rows, served), columns, spec.outputs, 0)
    assert_same_rows(again, rows)
    assert served_again.tobytes() == served.tobytes()


@pytest.mark.parametrize(
    "number", [0.1, -0.0, 5e-324, 1.7976931348623157e308, 1 / 3, 2**53 + 2.0, 1e22, 1e23]
)
def test_numbers_are_written_so_that_they_are_read_as_the_same(number: float) -> None:
    rows, served = random_rows(DENSE, 1, 0)
    rows.numeric[:] = number
    again, _ = stored.decode(stored.encode(rows, served), 3, 1, 0)
    assert struct.pack("<d", again.numeric[0, 0]) == struct.pack("<d", number)


def test_a_person_reads_it() -> None:
    rows, served = random_rows(HASHED, 1, 3)
    rows.numeric[0, 0] = np.nan
    (line,) = stored.encode(rows, served)
    found = json.loads(line)
    assert list(found) == [
        "offset", "timestamp", "weight", "prediction", "numeric", "indices", "values", "scaled_by", "codes",
    ]  # fmt: skip
    assert found["numeric"] == [None]
    assert found["prediction"] == served[0].tolist()


def test_a_prediction_that_is_not_finite_is_stored_as_none() -> None:
    rows, served = random_rows(DENSE, 2, 3)
    served[:, 0] = np.nan, np.inf
    assert [json.loads(line)["prediction"] for line in stored.encode(rows, served)] == [[None], [None]]


@pytest.mark.parametrize(
    "damaged",
    [b"", b"{}", b"null", b'{"offset":1}', b"\xff",
     b'{"offset":"1","timestamp":1,"weight":1,"prediction":[1]}',
     b'{"offset":1,"timestamp":1,"weight":1,"prediction":[1,2],"numeric":[1,2,3]}',
     b'{"offset":1,"timestamp":1,"weight":1,"prediction":[1],"numeric":[1]}',
     b'{"offset":1,"timestamp":1,"weight":1,"prediction":[1],"numeric":[1,2,3],"codes":[1]}',
     b'{"offset":99999999999999999999,"timestamp":1,"weight":1,"prediction":[1],"numeric":[1,2,3]}',
     b'{"offset":1,"timestamp":1,"weight":1,"prediction":[1],"numeric":[1,2,3],'
     b'"indices":[4294967296],"values":[1],"scaled_by":[-1]}'],
)  # fmt: skip
def test_what_no_save_has_written_is_refused(damaged: bytes) -> None:
    with pytest.raises((msgspec.MsgspecError, ValueError)):
        stored.decode([damaged], 3, 1, 0)


def test_a_time_that_no_save_has_written_is_refused() -> None:
    for damaged in (b"{}", b'{"timestamp":99999999999999999999}', b'{"timestamp":"now"}'):
        with pytest.raises((msgspec.MsgspecError, ValueError)):
            stored.times([damaged])


@pytest.mark.parametrize("lists", [([1], [], []), ([], [1.0], []), ([1], [1.0], [])])
def test_entries_of_different_lengths_are_refused(lists: tuple[list[int], list[float], list[int]]) -> None:
    indices, values, scaled_by = lists
    body = {"offset": 1, "timestamp": 1, "weight": 1, "prediction": [1], "numeric": [1, 2, 3],
            "indices": indices, "values": values, "scaled_by": scaled_by}  # fmt: skip
    with pytest.raises(ValueError, match="length"):
        stored.decode([json.dumps(body).encode()], 3, 1, 0)
