"""Decoded feature objects to numbers: dense numeric columns and hashed sparse rows (table: docs/messages.md).

Encoding is a function of the sample and the specification alone; scaling is the fold's. The encoder's only
state is a bounded memo of hashes and the set of names that it has reported.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, cast

import msgspec
import numpy as np
import numpy.typing as npt

from models.encoding_names import ABSENT, CrossMemo, NameBook, ValueMemo
from models.encoding_readable import encoded_bytes, hashed_pairs, numeric_pairs
from models.encoding_types import as_float, dict_type, numeric_fits, struct_type
from models.encoding_undeclared import UndeclaredEncoder
from models.errors import SpecError
from models.rows import Float64, Int64, Rows
from models.spec import FeatureSpec

_NAN = float("nan")


class Encoder:
    """Encodes the features of one model.

    `features_type` is the type that the features of a sample are decoded as: a struct of the declared ones
    (fast), or a dict where undeclared ones are taken or a name cannot be a struct's field. Objects of that
    type for which `fits` is true can be encoded; `build` makes one out of plain, valid JSON values.
    """

    def __init__(self, spec: FeatureSpec) -> None:
        self.spec = spec
        self.columns = spec.numeric_columns()
        self.names = [feature.name for feature in spec.numeric] + list(spec.categorical)
        self._categorical = frozenset(spec.categorical)
        self._check()
        self._open = spec.others == "include"
        self._wide = any(feature.size is not None for feature in spec.numeric)
        struct = None if self._open else struct_type(spec)
        self.features_type: Any = struct or dict_type(spec)
        self.is_struct = struct is not None
        self._book = NameBook()
        self._value_memos = [ValueMemo(self._book, name) for name in spec.categorical]
        crosses = spec.hashed_interactions()
        self._cross_memos = [CrossMemo(self._book, cross, self._categorical) for cross in crosses]
        position = {name: i for i, name in enumerate(spec.categorical)}
        self._cross_positions = [[position[n] for n in cross if n in position] for cross in crosses]
        self._scaled_by = np.array(
            [-1] * len(position) + [self._scaling_column(c) for c in crosses], np.int16
        )
        self._undeclared = UndeclaredEncoder(self._book, frozenset(self.names)) if self._open else None

    def _check(self) -> None:
        twice = {name for name in self.names if self.names.count(name) > 1}
        if twice:
            raise SpecError(f"features: {min(twice)!r} is declared twice; declare it once")
        hashed = self.spec.categorical or self.spec.others == "include"
        if hashed and self.spec.hash_bits is None:
            raise SpecError("features.hash_bits: expected a number of bits for hashed features, got none")
        for cross in self.spec.hashed_interactions():
            for name in cross:
                if name not in self.names:
                    raise SpecError(f"features.interactions: {name!r} is not declared; declare it")
            if sum(name not in self._categorical for name in cross) > 1:
                shown = "*".join(cross)
                raise SpecError(f"features.interactions: {shown}: expected at most one numeric feature")

    def _scaling_column(self, cross: Sequence[str]) -> int:
        numeric = [name for name in cross if name not in self._categorical]
        if not numeric:
            return -1
        if numeric[0] not in self.columns:
            raise SpecError(f"features.interactions: {numeric[0]!r} is a list; expected a single number")
        return self.columns.index(numeric[0])

    # Feature objects

    def fits(self, features: Any) -> bool:
        """Whether a decoded object is certainly right; False leaves it to a careful look at the sample.

        Decoding has checked a struct already, and what is undeclared.
        """
        if self.is_struct:
            return True
        get = features.get
        return all(numeric_fits(get(feature.name), feature) for feature in self.spec.numeric) and all(
            not isinstance(get(name), list | dict) for name in self.spec.categorical
        )

    def build(self, features: Mapping[str, Any]) -> Any:
        """A feature object of `features_type` from valid JSON values."""
        taken: dict[str, Any] = {}
        for name, value in features.items():
            if name in self.names or self._open:
                taken[name] = value if name in self._categorical else as_float(value)
        if not self.is_struct:
            return taken
        fields = {name: f"f{i}" for i, name in enumerate(self.names)}
        return self.features_type(**{fields[name]: value for name, value in taken.items()})

    # Encoding

    def encode(
        self, features: Sequence[Any], labels: Float64, weights: Float64, timestamps: Int64, offsets: Int64
    ) -> Rows:
        """Encode n feature objects; the arrays (n,) go into the rows as they are.

        The entries of a row are: categorical features as declared, crosses as declared, then undeclared
        numbers, texts and lists, each as they stand in the sample.
        """
        n = len(features)
        numeric, categories = self._split(features)
        fixed = self._hash_columns(n, categories)
        indptr, indices, values, scaled_by = self._fixed_entries(fixed)
        if self._undeclared is not None:
            extra = self._undeclared_entries(self._undeclared, features)
            indptr, indices, values, scaled_by = _merge((indptr, indices, values, scaled_by), extra)
        return Rows(
            numeric=numeric,
            indptr=indptr,
            indices=indices.astype(np.uint32),
            values=values,
            scaled_by=scaled_by,
            labels=labels,
            weights=weights,
            timestamps=timestamps,
            offsets=offsets,
            names=self._book.take_fresh(),
        )

    def unname(self, hashes: Iterable[int]) -> None:
        """Report the names of these full hashes again when they are next met (their batch was dropped)."""
        self._book.unname(hashes)
        if self._undeclared is not None:
            self._undeclared.forget()

    def _split(self, features: Sequence[Any]) -> tuple[Float64, list[Sequence[Any]]]:
        """The (n, d) numeric matrix, and a sequence of values for each categorical feature."""
        n, d = len(features), len(self.columns)
        if self.is_struct and not self._categorical and not self._wide:
            return _matrix(list(map(msgspec.structs.astuple, features)), n, d), []
        if not features:
            return np.empty((0, d)), [() for _ in self.spec.categorical]
        if self.is_struct:
            columns: list[Sequence[Any]] = list(zip(*map(msgspec.structs.astuple, features), strict=True))
        else:
            columns = [[one.get(name) for one in features] for name in self.names]
        numeric = np.empty((n, d))
        at = 0
        for feature, column in zip(self.spec.numeric, columns, strict=False):
            width = feature.size or 1
            numeric[:, at : at + width] = _column(column, feature.size)
            at += width
        return numeric, columns[len(self.spec.numeric) :]

    def _hash_columns(self, n: int, categories: list[Sequence[Any]]) -> Int64:
        """(n, c) hashes of categorical features and crosses, `ABSENT` where there is none."""
        hashes = np.empty((n, len(self._scaled_by)), dtype=np.int64)
        at = 0
        for memo, column in zip(self._value_memos, categories, strict=True):
            hashes[:, at] = np.fromiter(map(memo.__getitem__, column), np.int64, n)
            at += 1
        for cross, positions in zip(self._cross_memos, self._cross_positions, strict=True):
            keys = zip(*(categories[i] for i in positions), strict=True)
            hashes[:, at] = np.fromiter(map(cross.__getitem__, keys), np.int64, n)
            at += 1
        return hashes

    def _fixed_entries(self, hashes: Int64) -> _Entries:
        n, c = hashes.shape
        present = hashes != ABSENT
        indptr = np.zeros(n + 1, dtype=np.int64)
        np.cumsum(present.sum(axis=1), out=indptr[1:])
        scaled_by = np.broadcast_to(self._scaled_by, (n, c))[present]
        return indptr, hashes[present], np.ones(len(scaled_by)), scaled_by

    def _undeclared_entries(self, undeclared: UndeclaredEncoder, features: Sequence[Any]) -> _Entries:
        indices: list[int] = []
        values: list[float] = []
        ends = [0]
        for one in features:
            undeclared.append(one, indices, values)
            ends.append(len(indices))
        nnz = len(indices)
        return (
            np.array(ends, dtype=np.int64),
            np.fromiter(indices, np.int64, nnz),
            np.fromiter(values, np.float64, nnz),
            np.full(nnz, -1, dtype=np.int16),
        )

    # One sample at a time

    def pairs(self, features: Any) -> list[tuple[str, float]]:
        """The encoded form of one feature object for people: column or hashed name → value, NaN = missing.

        A cross with a numeric feature shows that feature's value, which the fold scales.
        """
        plain = self._plain(features)
        return [*numeric_pairs(self.spec, plain), *hashed_pairs(self.spec, plain)]

    def encoded_bytes(self, features: Any) -> int:
        """See models.encoding_readable."""
        return encoded_bytes(self.spec, self._plain(features))

    def _plain(self, features: Any) -> dict[str, Any]:
        if not self.is_struct:
            return dict(features)
        found = zip(self.names, msgspec.structs.astuple(features), strict=True)
        return {name: None if value != value else value for name, value in found}


_Entries = tuple[Int64, npt.NDArray[Any], Float64, npt.NDArray[np.int16]]


def _matrix(rows: list[tuple[Any, ...]], n: int, d: int) -> Float64:
    """(n, d) float64; numpy reads None as NaN and True as 1."""
    return np.fromiter(chain.from_iterable(rows), np.float64, n * d).reshape(n, d)


def _column(column: Sequence[Any], size: int | None) -> Float64:
    """(n, 1) or (n, size) float64, None → NaN."""
    if size is None:
        return _matrix([cast(tuple[Any, ...], column)], len(column), 1)
    return _matrix([tuple(value or (_NAN,) * size) for value in column], len(column), size)


def _merge(first: _Entries, second: _Entries) -> _Entries:
    """The entries of each row of `first`, then those of the same row of `second`."""
    if not len(first[1]):
        return second
    indptr = first[0] + second[0]
    merged = [np.empty(int(indptr[-1]), dtype=part.dtype) for part in first[1:]]
    starts = indptr[:-1], indptr[:-1] + np.diff(first[0])
    for entries, start in zip((first, second), starts, strict=True):
        own = entries[0]
        places = np.arange(int(own[-1])) + np.repeat(start - own[:-1], np.diff(own))
        for target, source in zip(merged, entries[1:], strict=True):
            target[places] = source
    return indptr, merged[0], merged[1], merged[2]
