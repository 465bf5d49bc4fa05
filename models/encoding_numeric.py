"""The dense columns of rows: declared numbers and lists, transformed, then the cycles of the event time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np

from models.encoding_fields import source
from models.encoding_time import check_offset, write_time
from models.kernels.transforms import take_logs
from models.rows import Float64, Int64
from models.spec import FeatureSpec

_NAN = float("nan")

Columns = Mapping[str, Sequence[Any]]
"""Field → its value in each of n samples, None (or NaN, of a number) where it is missing."""


class NumericEncoder:
    """Makes the (n, d) numeric matrix of rows; NaN = missing."""

    def __init__(self, spec: FeatureSpec) -> None:
        check_offset(spec.utc_offset)
        self._spec = spec
        logs = [feature.transform == "log" for feature in spec.numeric for _ in feature.columns()]
        self._declared = len(logs)
        self.width = self._declared + 2 * len(spec.time)
        self._logs = np.flatnonzero(logs)
        self.finish(np.empty((0, self.width)), np.empty(0, np.int64))  # compiles what it calls

    def of_columns(self, n: int, columns: Columns, timestamps: Int64) -> Float64:
        """The matrix of n samples, given field by field."""
        numeric = np.empty((n, self.width))
        at = 0
        for feature in self._spec.numeric:
            width = feature.size or 1
            numeric[:, at : at + width] = matrix_of(columns[source(feature)], feature.size)
            at += width
        return self.finish(numeric, timestamps)

    def of_rows(self, rows: Sequence[tuple[Any, ...]], timestamps: Int64) -> Float64:
        """The same, given sample by sample, where each field is one column."""
        declared = _matrix(rows, len(rows), self._declared)
        if self.width == self._declared:
            return self.finish(declared, timestamps)
        numeric = np.empty((len(rows), self.width))
        numeric[:, : self._declared] = declared
        return self.finish(numeric, timestamps)

    def finish(self, numeric: Float64, timestamps: Int64) -> Float64:
        """Transform the declared columns in place, and fill in those of the time."""
        if self._logs.size:
            take_logs(numeric, self._logs)
        if self._spec.time:
            write_time(self._spec.time, self._spec.utc_offset, timestamps, numeric, self._declared)
        return numeric


def matrix_of(column: Sequence[Any], size: int | None) -> Float64:
    """(n, 1) of numbers or (n, size) of lists, None → NaN."""
    if size is None:
        return _matrix([column], len(column), 1)
    return _matrix([value or (_NAN,) * size for value in column], len(column), size)


def _matrix(rows: Sequence[Sequence[Any]], n: int, d: int) -> Float64:
    """(n, d) float64; numpy reads None as NaN and True as 1."""
    return np.fromiter(chain.from_iterable(rows), np.float64, n * d).reshape(n, d)
