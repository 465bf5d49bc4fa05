"""The Arrow body of a data record whose samples wait for labels: rows, and what becomes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from models.rows import Float64, Int64, Rows
from models.spec import ModelSpec
from streams.arrow_arrays import filled, present, values, wrapped
from streams.data_codec import DataCodec, late_schema
from streams.ingest_validator import MIN_TIMESTAMP
from streams.labels.sizes import AN_ID, kept_size, text_bytes
from streams.log_format import Undecodable

WAITS, JOINED, EXPIRED, OWN, AT_ONCE = 0, 1, 2, 3, 4
"""What a row says of its sample: it waits from now on; its label has come; none came in time, and it counts
as the negative class; it came with its own label; its label came in the same batch."""
NEVER = MIN_TIMESTAMP - 1
"""A clock that has seen no event time yet: before all that there can be."""

Events = npt.NDArray[np.int8]


class EarlyLabel(msgspec.Struct, array_like=True, frozen=True):
    """A label that is kept until its sample comes, with the record that it came in.

    What a dead letter needs of the record is kept: key, value and headers, as base64 in JSON.
    """

    id: str
    label: float
    weight: float
    time: int
    offset: int
    key: bytes | None
    value: bytes
    headers: list[tuple[str, bytes]]

    @property
    def nbytes(self) -> int:
        """About what it takes in the log."""
        return text_bytes([self.id]) + kept_size(self.key, self.value, self.headers)


class Part(msgspec.Struct):
    """What one batch changed besides its rows: `rows` of the record's are its own.

    early: labels kept from now on; given_up: ids of such that are let go (one that is joined is let go by its
    row); gone: ids of samples that are let go without a label.
    """

    rows: int
    early: list[EarlyLabel] = []
    given_up: list[str] = []
    gone: list[str] = []

    @property
    def nbytes(self) -> int:
        """About what it takes in the log, without its rows."""
        ids = [*self.given_up, *self.gone]
        return text_bytes(ids) + AN_ID * len(ids) + sum(one.nbytes for one in self.early)


@dataclass(slots=True)
class LateRows:
    """Rows of a late-label model as they stand in the learning log."""

    rows: Rows
    served: Float64
    ids: list[str]
    events: Events
    label_times: Int64  # (n,) ms, of joined rows; 0 elsewhere
    parts: list[Part] = field(default_factory=list)

    @property
    def nbytes(self) -> int:
        """About what they take in memory, and in the log."""
        ids = text_bytes(self.ids) + AN_ID * len(self.ids)
        return self.rows.nbytes + ids + sum(part.nbytes for part in self.parts)

    @property
    def labelled(self) -> npt.NDArray[np.bool_]:
        """(n,) rows that are learned from."""
        return np.asarray(self.events != WAITS)

    def split(self) -> list[tuple[Part, slice]]:
        """Each part with its rows."""
        stops = np.cumsum([part.rows for part in self.parts]).tolist()
        return [(part, slice(stop - part.rows, stop)) for part, stop in zip(self.parts, stops, strict=True)]


class LateCodec(DataCodec):
    """As DataCodec, with what late labels add."""

    late = True

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__(spec)
        self.schema = late_schema(self.schema)

    def encode_late(self, batches: Sequence[LateRows], names: Mapping[int, str]) -> bytes:
        """The body of a data record of several batches."""
        rows = Rows.concatenate([one.rows for one in batches])
        served = np.concatenate([one.served for one in batches])
        events = np.concatenate([one.events for one in batches])
        times = np.concatenate([one.label_times for one in batches])
        joined = (events == JOINED) | (events == AT_ONCE)
        added = [
            pa.array([id_ for one in batches for id_ in one.ids], type=pa.string()),
            wrapped(events),
            wrapped(times, joined),
        ]
        metadata = {b"parts": msgspec.json.encode([part for one in batches for part in one.parts])}
        return self.write(rows, served, names, added, metadata)

    def decode_late(self, value: bytes | None) -> LateRows:
        """Inverse of `encode_late`; raises Undecodable."""
        rows, served, added, metadata = self.read(value)
        ids, events, times = added
        if ids.null_count or events.null_count:
            raise Undecodable("a null among id, event")
        late = LateRows(
            rows,
            served,
            ids.to_pylist(),
            values(events, np.int8).copy(),
            filled(times, np.int64, 0).copy(),
            _parts(metadata.get(b"parts", b"")),
        )
        self._check_late(late, times)
        return late

    def _check_labels(self, labels: Float64) -> None:
        super()._check_labels(labels[~np.isnan(labels)])

    def _check_late(self, late: LateRows, times: Any) -> None:
        if sum(part.rows for part in late.parts) != len(late.rows):
            raise Undecodable("parts that are not the rows")
        if ((late.events < WAITS) | (late.events > AT_ONCE)).any():
            raise Undecodable("an unknown event")
        if (np.isnan(late.rows.labels) != (late.events == WAITS)).any():
            raise Undecodable("a sample that waits with a label, or one that does not without")
        joined = (late.events == JOINED) | (late.events == AT_ONCE)
        if (present(times) != joined).any():
            raise Undecodable("a joined sample without its label's time, or another with one")


def _parts(text: bytes) -> list[Part]:
    try:
        parts = msgspec.json.decode(text, type=list[Part])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Undecodable(f"parts: {error}") from None
    if any(part.rows < 0 for part in parts):
        raise Undecodable("a part of less than no rows")
    return parts
