"""Decoded feature objects to numbers: dense numeric columns and hashed sparse rows (docs/features.md).

Encoding is a function of the sample and the specification alone; scaling is the fold's. The encoder's only
state is a bounded memo of hashes and the set of names that it has reported.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from models.encoding_categories import CategoryEncoder, CodeEncoder, Entries
from models.encoding_fields import declared_names, fields_of, source
from models.encoding_names import NameBook
from models.encoding_numeric import Columns, NumericEncoder
from models.encoding_readable import encoded_bytes, hashed_pairs, numeric_pairs
from models.encoding_text import TextEncoder
from models.encoding_types import as_float, dict_type, fits, struct_type, surely_little_text
from models.encoding_undeclared import UndeclaredEncoder
from models.errors import SpecError
from models.rows import Float64, Int64, Rows
from models.spec import FeatureSpec


class Encoder:
    """Encodes the features of one model.

    `fields` are what it reads of a sample's features, `names` their names. `features_type` is the type that
    the features of a sample are decoded as: a struct of the fields (fast), or a dict where undeclared ones
    are taken or a name cannot be a struct's field. Objects of that type for which `fits` is true can be
    encoded; `build` makes one out of plain, valid JSON values.
    """

    def __init__(self, spec: FeatureSpec) -> None:
        """Raises SpecError for a specification that cannot be encoded."""
        self.spec = spec
        self.columns = spec.numeric_columns()
        self._check()
        self.fields = fields_of(spec)
        self.names = [field.name for field in self.fields]
        self._open = spec.others == "include"
        struct = None if self._open else struct_type(self.fields)
        self.features_type: Any = struct or dict_type(self.fields, self._open)
        self.is_struct = struct is not None
        self._texts = [(at, field) for at, field in enumerate(self.fields) if field.text]
        self.checked_by_decoding = self.is_struct and not self._texts
        self._book = NameBook()
        self._numeric = NumericEncoder(spec)
        self._categories = CategoryEncoder(spec, self._book)
        self._codes = CodeEncoder(spec, self._book)
        self._text = [(source(feature), TextEncoder(self._book, feature)) for feature in spec.text]
        self._undeclared = UndeclaredEncoder(self._book, frozenset(self.names)) if self._open else None
        alone = [source(feature) for feature in spec.numeric if feature.size is None]
        self._only_numbers = self.is_struct and alone == self.names and not spec.hashes() and not spec.encode

    @property
    def book(self) -> NameBook:
        """The names that were reported."""
        return self._book

    @property
    def scaled_by(self) -> tuple[int, ...]:
        """The numeric column of each declared entry of a row, -1 for none (models.rows)."""
        return tuple(self._categories.scaled_by.tolist())

    def finish(self, numeric: Float64, timestamps: Int64) -> Float64:
        """Transform declared numbers (n, width) in place, and fill in the columns of the time."""
        return self._numeric.finish(numeric, timestamps)

    @property
    def width(self) -> int:
        """Dense columns of a row."""
        return self._numeric.width

    def _check(self) -> None:
        names = declared_names(self.spec)
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise SpecError(f"features: {min(twice)!r} is declared twice; declare it once")
        if self.spec.hashes() and self.spec.hash_bits is None:
            raise SpecError("features.hash_bits: expected a number of bits for hashed features, got none")

    # Feature objects

    def fits(self, features: Any) -> bool:
        """Whether a decoded object is certainly right; False leaves it to a careful look at the sample.

        Decoding has checked all but the length of texts in a struct already, and what is undeclared.
        """
        if self.checked_by_decoding:
            return True
        if self.is_struct:
            values = msgspec.structs.astuple(features)
            return surely_little_text([(field, values[at]) for at, field in self._texts])
        get = features.get
        return all(fits(get(field.name), field) for field in self.fields) and surely_little_text(
            [(field, get(field.name)) for _, field in self._texts]
        )

    def build(self, features: Mapping[str, Any]) -> Any:
        """A feature object of `features_type` from valid JSON values."""
        exact = {field.name for field in self.fields if field.has_text}
        taken: dict[str, Any] = {}
        for name, value in features.items():
            if name in self.names or self._open:
                taken[name] = value if name in exact else as_float(value)
        if not self.is_struct:
            return taken
        place = {name: f"f{i}" for i, name in enumerate(self.names)}
        return self.features_type(**{place[name]: value for name, value in taken.items()})

    # Encoding

    def encode(
        self, features: Sequence[Any], labels: Float64, weights: Float64, timestamps: Int64, offsets: Int64
    ) -> Rows:
        """Encode n feature objects; the arrays (n,) go into the rows as they are.

        The entries of a row are: categorical features, bins and crosses as declared, n-grams of texts as
        declared, then undeclared numbers, texts and lists, each as they stand in the sample.
        """
        n = len(features)
        if self._only_numbers:
            numeric = self._numeric.of_rows(list(map(msgspec.structs.astuple, features)), timestamps)
            columns: Columns = {}
        else:
            columns = self._by_field(features)
            numeric = self._numeric.of_columns(n, columns, timestamps)
        indptr, indices, values, scaled_by = self._categories.encode(n, columns)
        if self._text or self._undeclared is not None:
            varying = self._varying_entries(features, columns)
            indptr, indices, values, scaled_by = _merge((indptr, indices, values, scaled_by), varying)
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
            codes=self._codes.encode(n, columns),
        )

    def unname(self, hashes: Iterable[int]) -> None:
        """Report the names of these full hashes again when they are next met (their batch was dropped)."""
        self._book.unname(hashes)
        if self._undeclared is not None:
            self._undeclared.forget()

    def _by_field(self, features: Sequence[Any]) -> Columns:
        if not features:
            return dict.fromkeys(self.names, ())
        if self.is_struct:
            columns = zip(*map(msgspec.structs.astuple, features), strict=True)
            return dict(zip(self.names, columns, strict=True))
        return {name: [one.get(name) for one in features] for name in self.names}

    def _varying_entries(self, features: Sequence[Any], columns: Columns) -> Entries:
        """Of n-grams and undeclared features: as many as a sample happens to have."""
        indices: list[int] = []
        values: list[float] = []
        ends = [0]
        texts = [(encoder.append, columns[name]) for name, encoder in self._text]
        for i, one in enumerate(features):
            for append, column in texts:
                append(column[i], indices, values)
            if self._undeclared is not None:
                self._undeclared.append(one, indices, values)
            ends.append(len(indices))
        nnz = len(indices)
        return (
            np.array(ends, dtype=np.int64),
            np.fromiter(indices, np.int64, nnz),
            np.fromiter(values, np.float64, nnz),
            np.full(nnz, -1, dtype=np.int16),
        )

    # One sample at a time

    def pairs(self, features: Any, timestamp: int | None = None) -> list[tuple[str, float]]:
        """The encoded form of one feature object for people: column or hashed name → value, NaN = missing.

        A cross with a numeric feature shows that feature's value, which the fold scales. What the fold makes
        of categories (`encode`) is not there, and a cross with it shows 1. timestamp: the event
        time in ms, without which the columns of the time are NaN.
        """
        plain = self._plain(features)
        return [*numeric_pairs(self.spec, plain, timestamp), *hashed_pairs(self.spec, plain)]

    def encoded_bytes(self, features: Any) -> int:
        """See models.encoding_readable."""
        return encoded_bytes(self.spec, self._plain(features))

    def _plain(self, features: Any) -> dict[str, Any]:
        if not self.is_struct:
            return dict(features)
        found = zip(self.names, msgspec.structs.astuple(features), strict=True)
        return {name: None if value != value else value for name, value in found}


def _merge(first: Entries, second: Entries) -> Entries:
    """The entries of each row of `first`, then those of the same row of `second`."""
    if not len(first[1]):
        return second
    indptr = first[0] + second[0]
    merged = [np.empty(int(indptr[-1]), dtype=part.dtype) for part in first[1:]]
    starts = indptr[:-1], indptr[:-1] + np.diff(first[0])
    for entries, start in zip((first, second), starts, strict=True):
        own = entries[0]
        places = np.arange(int(own[-1])) + np.repeat(start - own[:-1], np.diff(own))
        for target, own_values in zip(merged, entries[1:], strict=True):
            target[places] = own_values
    return indptr, merged[0], merged[1], merged[2]
