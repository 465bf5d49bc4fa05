"""Categories to hashes: categorical features, bins of numbers, and crosses of both."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np
import numpy.typing as npt

from models.encoding_bins import Bins
from models.encoding_fields import declared_names, source
from models.encoding_names import ABSENT, Category, CodeMemo, CrossMemo, NameBook, ValueMemo
from models.encoding_numeric import Columns, matrix_of
from models.errors import SpecError
from models.rows import Float64, Int64
from models.spec import FeatureSpec

Entries = tuple[Int64, Int64, Float64, npt.NDArray[np.int16]]
"""indptr (n + 1,), and index, value and scaled_by of each entry, as in Rows."""


class CategoryEncoder:
    """Entries of a row: an indicator of each categorical feature, each bin and each cross, as declared."""

    def __init__(self, spec: FeatureSpec, book: NameBook) -> None:
        """Raises SpecError for crosses that cannot be."""
        self._spec = spec
        self._bins = [(source(feature), Bins(feature)) for feature in spec.bins]
        names = [*spec.categorical, *(feature.name for feature in spec.bins)]
        crosses = spec.hashed_interactions()
        scaled_by = [_scaling_column(spec, cross, names) for cross in crosses]
        self._values = [ValueMemo(book, name) for name in names]
        self._crosses = [CrossMemo(book, cross, frozenset(names)) for cross in crosses]
        place = {name: i for i, name in enumerate(names)}
        self._parts = [[place[name] for name in cross if name in place] for cross in crosses]
        self.scaled_by = np.array([-1] * len(names) + scaled_by, np.int16)

    def encode(self, n: int, columns: Columns) -> Entries:
        """The entries of n samples."""
        hashes = self._hashes(n, columns)
        present = hashes != ABSENT
        indptr = np.zeros(n + 1, dtype=np.int64)
        np.cumsum(present.sum(axis=1), out=indptr[1:])
        scaled_by = np.broadcast_to(self.scaled_by, hashes.shape)[present]
        return indptr, hashes[present], np.ones(len(scaled_by)), scaled_by

    def _hashes(self, n: int, columns: Columns) -> Int64:
        """(n, c), `ABSENT` where there is none."""
        hashes = np.empty((n, len(self.scaled_by)), dtype=np.int64)
        categories: list[Sequence[Category]] = [columns[name] for name in self._spec.categorical]
        categories += [bins.texts_of(matrix_of(columns[name], None)[:, 0]) for name, bins in self._bins]
        keys = (zip(*(categories[i] for i in parts), strict=True) for parts in self._parts)
        memos = (*self._values, *self._crosses)
        for at, (memo, column) in enumerate(zip(memos, chain(categories, keys), strict=True)):
            hashes[:, at] = np.fromiter(map(memo.__getitem__, column), np.int64, n)
        return hashes


class CodeEncoder:
    """The category of each encoded feature as a hash, for the fold to look up."""

    def __init__(self, spec: FeatureSpec, book: NameBook) -> None:
        self._memos = [(source(feature), CodeMemo(book, feature.name)) for feature in spec.encode]

    def encode(self, n: int, columns: Columns) -> Int64:
        """(n, e), `ABSENT` where there is none."""
        codes = np.empty((n, len(self._memos)), dtype=np.int64)
        for at, (name, memo) in enumerate(self._memos):
            codes[:, at] = np.fromiter(map(memo.__getitem__, columns[name]), np.int64, n)
        return codes


def _scaling_column(spec: FeatureSpec, cross: Sequence[str], categories: Sequence[str]) -> int:
    """The column whose scaled value a cross has, -1 for none."""
    for name in cross:
        if name not in declared_names(spec):
            raise SpecError(f"features.interactions: {name!r} is not declared; declare it")
    numeric = [name for name in cross if name not in categories]
    if len(numeric) > 1:
        raise SpecError(f"features.interactions: {'*'.join(cross)}: expected at most one numeric feature")
    if not numeric:
        return -1
    if any(feature.name == numeric[0] for feature in spec.text):
        raise SpecError(f"features.interactions: {numeric[0]!r} is a text; expected a single value")
    if numeric[0] not in spec.dense_columns():
        raise SpecError(f"features.interactions: {numeric[0]!r} is a list; expected a single number")
    return spec.dense_columns().index(numeric[0])
