"""Several partitions as one recording: a merge by event time that keeps each partition's own order.

A worker processes a partition in the order of its offsets, whatever the event times are; between partitions
nothing is fixed, and workers see them as they happen to be fetched. An evaluation has to be the same each
time, and must not learn from a sample whose time is still to come. So of the partitions' next records that
with the smallest event time goes first, ties by the partition's number.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Annotated

import msgspec

from streams.dead_letters import InvalidRecord
from streams.ingest import Ingest
from streams.ingest_validator import MAX_TIMESTAMP, MIN_TIMESTAMP, milliseconds
from streams.records import Record


class _Timed(msgspec.Struct, gc=False):
    timestamp: Annotated[datetime, msgspec.Meta(tz=True)] | int | None = None


class EventTimes:
    """A record's event time, in milliseconds since 1970: its message's timestamp, else its own.

    Of a record that is no valid sample it is the record's own: nobody learns from it, and a wrong time must
    not hold back the others.
    """

    def __init__(self, ingest: Ingest) -> None:
        self._ingest = ingest
        self._decode = msgspec.json.Decoder(_Timed).decode

    def __call__(self, record: Record) -> int:
        try:
            time = self._decode(record.value).timestamp  # type: ignore[arg-type]  # None is caught as well
        except Exception:  # a time that only the validator takes, or no sample
            try:
                time = self._ingest.sample(record.value).timestamp
            except InvalidRecord:
                time = None
        found = milliseconds(time) if isinstance(time, datetime) else time
        if found is None or not MIN_TIMESTAMP <= found <= MAX_TIMESTAMP:
            return record.timestamp
        return found


def merged(partitions: Mapping[int, Iterator[Record]], time: Callable[[Record], int]) -> Iterator[Record]:
    """All records: always the one of smallest (time, partition) among the partitions' next ones."""
    if len(partitions) == 1:
        yield from next(iter(partitions.values()))
        return
    keyed = [_keyed(partition, partitions[partition], time) for partition in sorted(partitions)]
    for _, _, record in heapq.merge(*keyed, key=lambda item: item[:2]):
        yield record


def _keyed(
    partition: int, records: Iterator[Record], time: Callable[[Record], int]
) -> Iterator[tuple[int, int, Record]]:
    for record in records:
        yield time(record), partition, record
