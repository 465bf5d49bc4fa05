"""Encoded samples: what a feature encoder makes, a kernel learns from and the learning log stores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
UInt32 = npt.NDArray[np.uint32]
Int16 = npt.NDArray[np.int16]


@dataclass(slots=True)
class Rows:
    """n encoded samples: d dense numeric columns plus a sparse hashed part in CSR form.

    Entry e of row i (indptr[i] ≤ e < indptr[i + 1]) contributes values[e] at coordinate
    `indices[e] & (2^hash_bits - 1)`; where scaled_by[e] = c ≥ 0, values[e] is multiplied by the scaled
    numeric column c (a cross of a categorical and a numeric feature), -1 means by nothing.
    """

    numeric: Float64  # (n, d) C-contiguous, NaN = missing
    indptr: Int64  # (n + 1,)
    indices: UInt32  # (nnz,) full 32-bit hashes
    values: Float64  # (nnz,)
    scaled_by: Int16  # (nnz,)
    labels: Float64  # (n,) a number, or the position of the class; NaN = unlabelled
    weights: Float64  # (n,) ≥ 0
    timestamps: Int64  # (n,) event time, ms since 1970
    offsets: Int64  # (n,) offset of the sample in its partition
    names: dict[int, str] = field(default_factory=dict)
    """Full hash → feature name, of hashed features that the encoder has not named before."""
    codes: Int64 = field(default_factory=lambda: np.empty((0, 0), dtype=np.int64))
    """(n, e) 32-bit hash of the category of each encoded feature, -1 = missing; left out: e is 0."""

    def __post_init__(self) -> None:
        if len(self.codes) != len(self.labels):
            self.codes = self.codes.reshape(len(self.labels), 0)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def nbytes(self) -> int:
        """About what the rows take in memory, and encoded in the log."""
        return int(self.numeric.nbytes + self.codes.nbytes) + 16 * len(self.indices) + 64 * len(self)

    def select(self, keep: npt.NDArray[np.bool_]) -> Rows:
        """The rows where `keep` is true, in order, with all names."""
        if bool(keep.all()):
            return self
        lengths = np.diff(self.indptr)
        entries = np.repeat(keep, lengths)
        indptr = np.zeros(int(keep.sum()) + 1, dtype=np.int64)
        np.cumsum(lengths[keep], out=indptr[1:])
        return Rows(
            numeric=self.numeric[keep],
            indptr=indptr,
            indices=self.indices[entries],
            values=self.values[entries],
            scaled_by=self.scaled_by[entries],
            labels=self.labels[keep],
            weights=self.weights[keep],
            timestamps=self.timestamps[keep],
            offsets=self.offsets[keep],
            names=self.names,
            codes=self.codes[keep],
        )

    def take(self, order: Int64) -> Rows:
        """The rows at these positions, in this order; one may be taken several times. With all names."""
        lengths = np.diff(self.indptr)[order]
        indptr = np.zeros(len(order) + 1, dtype=np.int64)
        np.cumsum(lengths, out=indptr[1:])
        entries = np.repeat(self.indptr[order] - indptr[:-1], lengths) + np.arange(indptr[-1])
        return Rows(
            numeric=self.numeric[order],
            indptr=indptr,
            indices=self.indices[entries],
            values=self.values[entries],
            scaled_by=self.scaled_by[entries],
            labels=self.labels[order],
            weights=self.weights[order],
            timestamps=self.timestamps[order],
            offsets=self.offsets[order],
            names=self.names,
            codes=self.codes[order],
        )

    @classmethod
    def concatenate(cls, parts: Sequence[Rows]) -> Rows:
        """All rows of `parts`, in order, and all their names. At least one part."""
        if len(parts) == 1:
            return parts[0]
        starts = np.cumsum([0] + [int(part.indptr[-1]) for part in parts])
        indptr = [part.indptr[:-1] + start for part, start in zip(parts, starts[:-1], strict=True)]
        return cls(
            numeric=np.concatenate([part.numeric for part in parts]),
            indptr=np.concatenate([*indptr, starts[-1:]]),
            indices=np.concatenate([part.indices for part in parts]),
            values=np.concatenate([part.values for part in parts]),
            scaled_by=np.concatenate([part.scaled_by for part in parts]),
            labels=np.concatenate([part.labels for part in parts]),
            weights=np.concatenate([part.weights for part in parts]),
            timestamps=np.concatenate([part.timestamps for part in parts]),
            offsets=np.concatenate([part.offsets for part in parts]),
            names={hash_: name for part in parts for hash_, name in part.names.items()},
            codes=np.concatenate([part.codes for part in parts]),
        )

    def slice(self, start: int, stop: int) -> Rows:
        """Rows start … stop - 1 as views, without names."""
        first, last = int(self.indptr[start]), int(self.indptr[stop])
        return Rows(
            numeric=self.numeric[start:stop],
            indptr=self.indptr[start : stop + 1] - first,
            indices=self.indices[first:last],
            values=self.values[first:last],
            scaled_by=self.scaled_by[first:last],
            labels=self.labels[start:stop],
            weights=self.weights[start:stop],
            timestamps=self.timestamps[start:stop],
            offsets=self.offsets[start:stop],
            codes=self.codes[start:stop],
        )
