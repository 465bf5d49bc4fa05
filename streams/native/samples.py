"""Raw records of one model's samples to encoded rows, compiled; what is not plain goes the other way."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.encoding_names import MAX_NAME_BYTES
from models.features import Encoder
from models.kernels.jit import entry_point
from models.kernels.plan import UInt8
from models.rows import Float64, Int64, Rows
from models.spec import ModelSpec
from streams.native.batches import OFFSET
from streams.native.raw import RawRecords
from streams.native.sample_parse import FRESH_COLUMNS, Parsed, parse_samples
from streams.native.sample_plan import Planned, plan_of

KNOWN = 1 << 18
"""Names that are remembered as told, at most."""
FRESH = 200
"""Names that are told of one batch, at most.

Where nearly all are new, telling them would cost more than learning, and most never come again. One that does
is told then.
"""
TOLD_BYTES = 256 * FRESH


class Known:
    """Which names were told; the encoder's book clears it when they are to be told again."""

    def __init__(self) -> None:
        self.hashes: Int64 = np.zeros(KNOWN, np.int64)

    def clear(self) -> None:
        """All are to be told again."""
        self.hashes[:] = 0


class SampleParser:
    """Parses the samples of one model (`parser_of`)."""

    def __init__(self, planned: Planned, encoder: Encoder) -> None:
        self._planned = planned
        self._encoder = encoder
        self._known = Known()
        encoder.book.attach(self._known)
        names = bool(planned.entries)
        self._fresh: Int64 = np.empty((FRESH if names else 0, FRESH_COLUMNS), np.int64)
        self._told: UInt8 = np.empty(TOLD_BYTES if names else 0, np.uint8)

    def parse(self, records: RawRecords) -> tuple[Parsed, npt.NDArray[np.bool_]]:
        """All samples, and (n,) which of them were taken."""
        planned, n = self._planned, len(records)
        out = Parsed(
            numeric=np.empty((n, self._encoder.width)),
            hashes=np.empty((n, planned.entries + planned.codes), np.int64),
            labels=np.empty(n),
            weights=np.empty(n),
            timestamps=np.empty(n, np.int64),
            id_at=np.empty(n, np.int64),
            id_size=np.empty(n, np.int64),
            sure=np.empty(n, np.uint8),
            fresh=self._fresh,
            told=self._told,
            known=self._known.hashes,
            seen=np.empty(len(planned.plan.numeric), np.int64),
            spans=np.empty(2 * len(planned.plan.numeric), np.int64),
            scratch=np.empty(MAX_NAME_BYTES + 16, np.uint8),
        )
        fresh = parse_samples(records.data, records.places, planned.plan, out)
        for start, size in self._fresh[:fresh].tolist():
            self._encoder.book.hash(self._told[start : start + size].tobytes().decode())
        return out, out.sure.view(np.bool_)

    def rows(self, parsed: Parsed, offsets: Int64) -> Rows:
        """The rows of samples that were all taken."""
        entries = self._planned.entries
        n = len(parsed.labels)
        codes = np.ascontiguousarray(parsed.hashes[:, entries:])
        indptr, indices, values, scaled_by = self._entries(parsed.hashes[:, :entries])
        return Rows(
            numeric=self._encoder.finish(parsed.numeric, parsed.timestamps),
            indptr=indptr,
            indices=indices,
            values=values,
            scaled_by=scaled_by,
            labels=parsed.labels,
            weights=parsed.weights,
            timestamps=parsed.timestamps,
            offsets=offsets,
            names=self._encoder.book.take_fresh(),
            codes=codes.reshape(n, self._planned.codes),
        )

    def _entries(self, hashes: Int64) -> tuple[Int64, npt.NDArray[np.uint32], Float64, npt.NDArray[np.int16]]:
        n, width = hashes.shape
        indptr = np.zeros(n + 1, np.int64)
        if not width:
            return indptr, np.zeros(0, np.uint32), np.zeros(0), np.zeros(0, np.int16)
        indices, scaled_by = np.empty(n * width, np.uint32), np.empty(n * width, np.int16)
        count = compact(hashes, np.array(self._planned.scaled_by, np.int16), indptr, indices, scaled_by)
        return indptr, indices[:count], np.ones(count), scaled_by[:count]


@entry_point()
def compact(
    hashes: Int64,
    columns: npt.NDArray[np.int16],
    indptr: Int64,
    indices: npt.NDArray[np.uint32],
    scaled_by: npt.NDArray[np.int16],
) -> int:
    """Entries of rows out of hashes (n, e), -1 where there is none; returns how many."""
    count = 0
    for i in range(len(hashes)):
        for j in range(hashes.shape[1]):
            if hashes[i, j] >= 0:
                indices[count], scaled_by[count] = hashes[i, j], columns[j]
                count += 1
        indptr[i + 1] = count
    return count


def taken(parsed: Parsed, sure: npt.NDArray[np.bool_]) -> Parsed:
    """Those samples alone that were taken."""
    return parsed._replace(
        numeric=parsed.numeric[sure],
        hashes=parsed.hashes[sure],
        labels=parsed.labels[sure],
        weights=parsed.weights[sure],
        timestamps=parsed.timestamps[sure],
        id_at=parsed.id_at[sure],
        id_size=parsed.id_size[sure],
        sure=parsed.sure[sure],
    )


def parser_of(spec: ModelSpec, encoder: Encoder) -> SampleParser | None:
    """The compiled parser of a model, None where it has none."""
    planned = plan_of(spec, encoder)
    return None if planned is None else SampleParser(planned, encoder)


def offsets_of(records: RawRecords) -> Int64:
    """Of all records (n,)."""
    return np.ascontiguousarray(records.places[:, OFFSET])
