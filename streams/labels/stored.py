"""Samples that wait, as the store has them: JSON that people read and that gives back every bit."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, Mapping, Sequence
from itertools import pairwise

import msgspec
import numpy as np

from models.rows import Float64, Int64, Rows

ENCODED = 1_000
_NO_COLUMNS: list[float | None] = []


class StoredSample(msgspec.Struct):
    """One encoded sample with its prediction. NaN, which JSON has no word for, is null."""

    offset: int
    timestamp: int
    weight: float
    prediction: list[float | None]
    numeric: list[float | None] = _NO_COLUMNS
    indices: list[int] = []
    values: list[float] = []
    scaled_by: list[int] = []
    codes: list[int] = []


class StoredTime(msgspec.Struct):
    """What is read of a stored sample to know when it has waited for long enough."""

    timestamp: int


_encoder = msgspec.json.Encoder()
_decode = msgspec.json.Decoder(StoredSample).decode
_decode_time = msgspec.json.Decoder(StoredTime).decode


def encode(rows: Rows, served: Float64) -> list[bytes]:
    """n samples with their predictions (n, K), each as JSON."""
    bounds = rows.indptr.tolist()
    spans = [slice(start, stop) for start, stop in pairwise(bounds)]
    samples = map(
        StoredSample,
        rows.offsets.tolist(),
        rows.timestamps.tolist(),
        rows.weights.tolist(),
        _lists(served),
        _lists(rows.numeric),
        [rows.indices[span].tolist() for span in spans],
        [rows.values[span].tolist() for span in spans],
        [rows.scaled_by[span].tolist() for span in spans],
        rows.codes.tolist(),
    )
    return _encoder.encode_lines(list(samples)).splitlines()


class Samples(Mapping[str, bytes]):
    """Id → sample as JSON, each encoded when it is asked for: all of them at once would take much memory."""

    def __init__(self, ids: Sequence[str], rows: Rows, served: Float64) -> None:
        self._ids, self._rows, self._served = ids, rows, served

    def __len__(self) -> int:
        return len(self._ids)

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids)

    def __getitem__(self, id_: str) -> bytes:
        at = self._ids.index(id_)
        return encode(self._rows.slice(at, at + 1), self._served[at : at + 1])[0]

    def items(self) -> ItemsView[str, bytes]:
        """In order, encoded a thousand at a time."""
        return _Items(self)

    def encoded(self) -> Iterator[tuple[str, bytes]]:
        """See `items`."""
        for start in range(0, len(self._ids), ENCODED):
            these = slice(start, start + ENCODED)
            rows = self._rows.slice(*these.indices(len(self._ids))[:2])
            yield from zip(self._ids[these], encode(rows, self._served[these]), strict=True)


class _Items(ItemsView[str, bytes]):
    _mapping: Samples

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        return self._mapping.encoded()


def decode(stored: Sequence[bytes], columns: int, outputs: int, codes: int) -> tuple[Rows, Float64]:
    """Inverse of `encode`, of a model's shape; raises msgspec.MsgspecError or ValueError."""
    samples = [_decode(one) for one in stored]
    n = len(samples)
    lengths = [len(one.indices) for one in samples]
    if any(lengths != [len(getattr(one, name)) for one in samples] for name in ("values", "scaled_by")):
        raise ValueError("lists of different lengths")
    indptr = np.zeros(n + 1, dtype=np.int64)
    np.cumsum(lengths, out=indptr[1:])
    try:
        rows = Rows(
            numeric=np.array([one.numeric for one in samples], dtype=np.float64).reshape(n, columns),
            indptr=indptr,
            indices=np.array([i for one in samples for i in one.indices], dtype=np.uint32),
            values=np.array([v for one in samples for v in one.values], dtype=np.float64),
            scaled_by=np.array([s for one in samples for s in one.scaled_by], dtype=np.int16),
            labels=np.full(n, np.nan),
            weights=np.array([one.weight for one in samples], dtype=np.float64),
            timestamps=np.array([one.timestamp for one in samples], dtype=np.int64),
            offsets=np.array([one.offset for one in samples], dtype=np.int64),
            codes=np.array([one.codes for one in samples], dtype=np.int64).reshape(n, codes),
        )
        served = np.array([one.prediction for one in samples], dtype=np.float64).reshape(n, outputs)
    except OverflowError as error:
        raise ValueError(str(error)) from None
    return rows, served


def times(stored: Sequence[bytes]) -> Int64:
    """Event times of stored samples (n,); raises msgspec.MsgspecError or ValueError."""
    try:
        return np.fromiter((_decode_time(one).timestamp for one in stored), np.int64, len(stored))
    except OverflowError as error:
        raise ValueError(str(error)) from None


def _lists(array: Float64) -> list[list[float | None]]:
    lists: list[list[float | None]] = array.tolist()
    if not np.isfinite(array).all():
        return [[x if x is not None and np.isfinite(x) else None for x in row] for row in lists]
    return lists
