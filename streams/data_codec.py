"""The Arrow body of the learning log's data records: rows and the predictions that went out for them.

Column names of features may repeat those of the five fixed columns (a feature may well be called `weight`),
so columns are read by position: the fixed ones first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from models.rows import Float64, Rows
from models.spec import ModelSpec
from streams.arrow_arrays import filled, present, values, wrapped
from streams.log_format import Body, Undecodable, parse_names
from streams.native.log_body import MARK, LogBody, UnexpectedStream

FIXED = ("offset", "timestamp", "label", "weight", "prediction")
LATE = ("id", "event", "label_timestamp")
"""Columns behind the fixed ones in the log of a model whose labels come late (streams.labels.codec)."""
LATE_TYPES = (pa.string(), pa.int8(), pa.int64())
_UNREADABLE = (
    pa.ArrowException,
    msgspec.MsgspecError,
    OSError,
    OverflowError,
    StopIteration,
    TypeError,
    ValueError,
)


def _entries(lists: pa.Array, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """The elements of all lists of a column, one after the other; raises Undecodable for a null."""
    elements = lists.flatten()
    if lists.null_count or elements.null_count:
        raise Undecodable("a null among the hashed features")
    return values(elements, dtype).copy()


def _marked(n: int, columns: int) -> tuple[Rows, Float64]:
    """n rows and predictions of which each number is MARK."""
    numbers = np.full(n, MARK)
    rows = Rows(
        numeric=np.full((n, columns), MARK).view(np.float64),
        indptr=np.zeros(n + 1, np.int64),
        indices=np.zeros(0, np.uint32),
        values=np.zeros(0),
        scaled_by=np.zeros(0, np.int16),
        labels=numbers.view(np.float64),
        weights=numbers.view(np.float64),
        timestamps=numbers,
        offsets=numbers,
    )
    return rows, numbers.view(np.float64).reshape(n, 1)


class DataCodec:
    """Rows and their served predictions to an Arrow IPC stream of one record batch, and back."""

    late = False

    def __init__(self, spec: ModelSpec) -> None:
        features = spec.features
        self.columns = features.numeric_columns()
        self.hashed = features.hash_bits is not None
        self.scaled = any(set(cross) & features.numbers() for cross in features.hashed_interactions())
        self.encoded = [one.column for one in features.encode]
        self.bound = len(features.dense_columns())
        self.outputs = spec.outputs
        self.classes = len(spec.classes)
        number = pa.float64()
        prediction = number if self.outputs == 1 else pa.list_(number, self.outputs)
        fields = list(zip(FIXED, (pa.int64(), pa.int64(), number, number, prediction), strict=True))
        if self.hashed:
            fields += [("indices", pa.list_(pa.uint32())), ("values", pa.list_(number))]
            fields += [("scaled_by", pa.list_(pa.int16()))] if self.scaled else []
        fields += [(name, number) for name in self.columns]
        self.schema = pa.schema(fields + [(name, pa.uint32()) for name in self.encoded])
        self._body = self._plain_body()

    def _plain_body(self) -> LogBody | None:
        """What writes records of this model without names and missing numbers, if its rows are plain."""
        if self.late or self.hashed or self.encoded or self.outputs > 1:
            return None
        try:
            return LogBody(len(self.columns), lambda n: self.write(*_marked(n, len(self.columns)), {}))
        except UnexpectedStream:
            return None  # another release of pyarrow: it writes them itself

    def encode(self, rows: Rows, served: Float64, names: Mapping[int, str]) -> bytes:
        """The body of a `data` record.

        rows: n labelled samples; served: (n, outputs) predictions as they went out; names: full hash →
        feature name of hashed features that the log may not know yet.
        """
        return self.write(rows, served, names)

    def write(
        self,
        rows: Rows,
        served: Float64,
        names: Mapping[int, str],
        added: Sequence[pa.Array] = (),
        metadata: Mapping[bytes, bytes] | None = None,
    ) -> bytes:
        """As `encode`, with columns behind the fixed ones, and metadata, that this schema has besides."""
        prediction = wrapped(served[:, 0])
        if self.outputs > 1:
            prediction = pa.FixedSizeListArray.from_arrays(wrapped(served.ravel()), self.outputs)
        labels = wrapped(rows.labels, ~np.isnan(rows.labels)) if added else wrapped(rows.labels)
        arrays = [wrapped(rows.offsets), wrapped(rows.timestamps), labels, wrapped(rows.weights)]
        arrays += [prediction, *added]
        if self.hashed:
            starts = wrapped(rows.indptr.astype(np.int32))
            entries = [wrapped(rows.indices), wrapped(rows.values)]
            entries += [wrapped(rows.scaled_by)] if self.scaled else []
            arrays += [pa.ListArray.from_arrays(starts, array) for array in entries]
        columns = np.ascontiguousarray(rows.numeric.T)
        arrays += [wrapped(column, ~np.isnan(column)) for column in columns]
        arrays += [wrapped(codes.astype(np.uint32), codes >= 0) for codes in rows.codes.T]
        described = dict(metadata or {})
        if names:
            described[b"names"] = msgspec.json.encode({str(hash_): name for hash_, name in names.items()})
        schema = self.schema.with_metadata(described) if described else self.schema
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, schema) as writer:
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
        return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]

    def encode_all(self, parts: Sequence[tuple[Rows, Float64]], names: Mapping[int, str]) -> Body:
        """As `encode`, of several batches that leave in one record."""
        if self._body is not None and not names and (body := self._body.write(parts)) is not None:
            return body
        served = np.concatenate([served for _, served in parts]) if len(parts) > 1 else parts[0][1]
        return self.encode(Rows.concatenate([rows for rows, _ in parts]), served, names)

    def decode(self, value: bytes | None) -> tuple[Rows, Float64]:
        """Inverse of `encode`; raises Undecodable for a body that this model did not write."""
        rows, served, _, _ = self.read(value)
        return rows, served

    def read(self, value: bytes | None) -> tuple[Rows, Float64, list[pa.Array], Mapping[bytes, bytes]]:
        """Inverse of `write`: rows, predictions, columns added, metadata; raises Undecodable."""
        try:
            with pa.ipc.open_stream(pa.py_buffer(value or b"")) as reader:
                batch = reader.read_next_batch()
                batch.validate(full=True)
            if not batch.schema.equals(self.schema):
                raise Undecodable(f"columns {batch.schema.names} are not this model's")
            return self._rows(batch)
        except _UNREADABLE as error:
            raise Undecodable(f"{type(error).__name__}: {error}") from None

    def _rows(self, batch: pa.RecordBatch) -> tuple[Rows, Float64, list[pa.Array], Mapping[bytes, bytes]]:
        n = batch.num_rows
        columns = iter(batch.columns)
        offsets, timestamps, labels, weights, prediction = (next(columns) for _ in FIXED)
        never_null = (offsets, timestamps, weights, prediction) + (() if self.late else (labels,))
        if any(column.null_count for column in never_null):
            raise Undecodable("a null among offset, timestamp, label, weight, prediction")
        added = [next(columns) for _ in LATE] if self.late else []
        flat = prediction if self.outputs == 1 else prediction.flatten()
        served = values(flat, np.float64).reshape(n, self.outputs).copy()
        indptr = np.zeros(n + 1, dtype=np.int64)
        indices = np.zeros(0, dtype=np.uint32)
        entry_values = np.zeros(0)
        scaled_by = np.zeros(0, dtype=np.int16)
        if self.hashed:
            lists = next(columns)
            indptr[:] = values(lists.offsets, np.int32)[: n + 1]
            indptr -= indptr[0]
            indices = _entries(lists, np.uint32)
            entry_values = _entries(next(columns), np.float64)
            scaled_by = np.full(len(indices), -1, dtype=np.int16)
            if self.scaled:
                scaled_by = _entries(next(columns), np.int16)
        numeric = np.empty((n, len(self.columns)))
        for i in range(len(self.columns)):
            numeric[:, i] = filled(next(columns), np.float64, np.nan)
        codes = np.empty((n, len(self.encoded)), dtype=np.int64)
        for i in range(len(self.encoded)):
            column = next(columns)
            codes[:, i] = values(column, np.uint32)
            codes[~present(column), i] = -1
        metadata = batch.schema.metadata or {}
        rows = Rows(
            numeric=numeric,
            indptr=indptr,
            indices=indices,
            values=entry_values,
            scaled_by=scaled_by,
            labels=filled(labels, np.float64, np.nan).copy(),
            weights=values(weights, np.float64).copy(),
            timestamps=values(timestamps, np.int64).copy(),
            offsets=values(offsets, np.int64).copy(),
            names=parse_names(metadata.get(b"names", b"{}")),
            codes=codes,
        )
        self._check(rows)
        return rows, served, added, metadata

    def _check(self, rows: Rows) -> None:
        """Refuse what no encoder of this model writes: it would index outside the kernels' arrays."""
        lengths = (len(rows.indices), len(rows.values), len(rows.scaled_by))
        if set(lengths) != {int(rows.indptr[-1])}:
            raise Undecodable(f"lists of different lengths: {lengths}")
        if not np.isfinite(rows.weights).all():
            raise Undecodable("a label or weight that is not finite")
        if len(rows) and rows.weights.min() < 0:
            raise Undecodable("a negative weight")
        self._check_labels(rows.labels)
        bounds = (-1, self.bound)
        if len(rows.scaled_by) and not (
            bounds[0] <= rows.scaled_by.min() and rows.scaled_by.max() < bounds[1]
        ):
            raise Undecodable("scaled_by outside the numeric columns")
        if not np.isfinite(rows.values).all():
            raise Undecodable("a feature value that is not finite")

    def _check_labels(self, labels: Float64) -> None:
        if not np.isfinite(labels).all():
            raise Undecodable("a label or weight that is not finite")
        if self.classes and len(labels):
            whole = labels == np.floor(labels)
            if not (whole.all() and labels.min() >= 0 and labels.max() < self.classes):
                raise Undecodable(f"a label that is not one of {self.classes} classes")


def late_schema(schema: pa.Schema) -> pa.Schema:
    """The schema of a late-label model: what is added stands behind the fixed columns."""
    fields = list(schema)
    added = [pa.field(name, type_) for name, type_ in zip(LATE, LATE_TYPES, strict=True)]
    return pa.schema(fields[: len(FIXED)] + added + fields[len(FIXED) :])
