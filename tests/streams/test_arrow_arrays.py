"""Arrow arrays are read from their buffers as pyarrow itself converts them, without pandas."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.arrow_arrays import filled, present, values, wrapped

TYPES = [(pa.float64(), np.float64), (pa.int64(), np.int64), (pa.uint32(), np.uint32), (pa.int8(), np.int8)]


@pytest.mark.parametrize(("arrow", "dtype"), TYPES, ids=lambda one: str(one))
@given(
    numbers=st.lists(st.none() | st.integers(0, 100), max_size=40), skipped=st.integers(0, 20), data=st.data()
)
def test_any_part_of_an_array_comes_as_pyarrow_gives_it(arrow, dtype, numbers, skipped, data):
    array = pa.array(numbers, arrow)[skipped:]
    array = array[: data.draw(st.integers(0, len(array)))]
    expected = array.to_pylist()
    assert present(array).tolist() == [one is not None for one in expected]
    got = filled(array, dtype, 7)
    assert got.dtype == dtype
    assert got.tolist() == [7 if one is None else one for one in expected]
    assert values(array, dtype)[present(array)].tolist() == [one for one in expected if one is not None]


@pytest.mark.parametrize(("arrow", "dtype"), TYPES, ids=lambda one: str(one))
@given(numbers=st.lists(st.none() | st.integers(0, 100), max_size=40))
def test_nulls_stand_where_they_were_said_to_be(arrow, dtype, numbers):
    given_ = np.array([7 if one is None else one for one in numbers], dtype)
    array = wrapped(given_, np.array([one is not None for one in numbers], np.bool_))
    array.validate(full=True)
    assert array.type == arrow
    assert array.to_pylist() == numbers
    assert wrapped(given_).to_pylist() == given_.tolist()


def test_a_log_is_written_and_read_without_pandas():
    program = """
import sys
import numpy as np
from streams.data_codec import DataCodec
from tests.models.samples import make_rows, model_spec
for task in ("binary", "multiclass"):
    spec = model_spec(task, bits=8)
    rows = make_rows(spec, 20, unlabelled=0.0)
    codec = DataCodec(spec)
    codec.decode(codec.encode(rows, np.full((20, spec.outputs), 0.25), {1: "one"}))
assert "pandas" not in sys.modules, "pandas was imported"
"""
    pytest.importorskip("pandas")  # else nothing is shown
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
