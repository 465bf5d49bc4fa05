"""Arrow arrays on numpy's memory, and numpy's on that of Arrow arrays.

pyarrow's own conversions import pandas where that is installed, which takes long and 50 MB.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

_TYPES = {
    np.dtype(np.float64): pa.float64(),
    np.dtype(np.int64): pa.int64(),
    np.dtype(np.int32): pa.int32(),
    np.dtype(np.int16): pa.int16(),
    np.dtype(np.int8): pa.int8(),
    np.dtype(np.uint32): pa.uint32(),
}


def wrapped(numbers: npt.ArrayLike, present: npt.NDArray[np.bool_] | None = None) -> pa.Array:
    """An Arrow array on a numpy array's memory, with nulls where `present` is false."""
    array = np.ascontiguousarray(numbers)
    validity, nulls = None, 0
    if present is not None and (nulls := len(array) - int(np.count_nonzero(present))):
        validity = pa.py_buffer(np.packbits(present, bitorder="little"))
    buffers = [validity, pa.py_buffer(array)]
    return pa.Array.from_buffers(_TYPES[array.dtype], len(array), buffers, null_count=nulls)


def values(array: pa.Array, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """The numbers of an array of this type, as a view; what stands at a null is anything."""
    data = array.buffers()[1]
    if data is None or not len(array):
        return np.empty(0, dtype)
    width = np.dtype(dtype).itemsize
    return np.frombuffer(data, dtype, len(array), array.offset * width)


def present(array: pa.Array) -> npt.NDArray[np.bool_]:
    """Where an array has no null."""
    validity = array.buffers()[0]
    if validity is None or not array.null_count:
        return np.ones(len(array), dtype=np.bool_)
    bits = np.unpackbits(np.frombuffer(validity, np.uint8), bitorder="little")
    return bits[array.offset : array.offset + len(array)].view(np.bool_)


def filled(array: pa.Array, dtype: npt.DTypeLike, missing: Any) -> npt.NDArray[Any]:
    """The numbers of an array, as a view or, where there are nulls, a copy with `missing` at them."""
    numbers = values(array, dtype)
    return np.where(present(array), numbers, np.array(missing, dtype)) if array.null_count else numbers
