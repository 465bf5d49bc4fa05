"""What samples, labels and ids take in a record of the learning log: no batch may be too large for one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from models.rows import Int64
from streams.ingest import Ingested
from streams.labels.messages import LabelBatch
from streams.records import Record

A_ROW = 64
AN_ID = 16


def text_bytes(texts: Sequence[str]) -> int:
    """Of all texts together, in UTF-8."""
    return len("".join(texts).encode())


def id_sizes(ids: Sequence[str]) -> Int64:
    """(n,) of ids, alone or in a row."""
    return AN_ID + np.fromiter((len(one.encode()) for one in ids), np.int64, len(ids))


def kept_size(key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes]]) -> int:
    """Of the record of a label that is kept: as base64."""
    texts = sum(len(name) + len(text or b"") for name, text in headers)
    return 128 + (len(key or b"") + len(value or b"") + texts) * 4 // 3


def record_size(record: Record) -> int:
    """Of a label's record, if the label has to be kept."""
    return kept_size(record.key, record.value, record.headers)


def fitting(
    samples: Ingested, labels: LabelBatch | None, is_sample: npt.NDArray[np.bool_], row_bytes: int, most: int
) -> int:
    """How many of the next, samples and labels in turn, fit into `most` bytes; one at least.

    row_bytes: of a row that waits, and that a label may join.
    """
    rows, n = samples.rows, int(is_sample.sum())
    m = len(is_sample) - n
    a_sample = A_ROW + AN_ID + (rows.numeric.nbytes + rows.codes.nbytes) // max(1, len(rows))
    ids, records = ([], []) if labels is None else (labels.ids[:m], labels.records[:m])
    together = n * a_sample + 16 * int(rows.indptr[n]) + text_bytes(samples.ids[:n])
    together += m * row_bytes + text_bytes(ids) + sum(map(record_size, records))
    if together <= most:
        return len(is_sample)
    sizes = np.empty(len(is_sample), dtype=np.int64)
    sizes[is_sample] = a_sample + 16 * np.diff(rows.indptr[: n + 1]) + id_sizes(samples.ids[:n])
    kept = np.fromiter(map(record_size, records), np.int64, m)
    sizes[~is_sample] = row_bytes + id_sizes(ids) + kept
    return max(1, int(np.searchsorted(np.cumsum(sizes), most, side="right")))
