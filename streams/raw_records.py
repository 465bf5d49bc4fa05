"""Raw Kafka records out of aiokafka: no Python object is built for each record.

aiokafka wraps every record in a dataclass of eleven fields, which costs more than decoding its JSON. Its
fetcher looks the wrapping class up as a module global, so a subclass put there spares it for all consumers
of this process. What comes out instead is the C record itself: offset, timestamp, key, value, headers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from aiokafka.consumer import fetcher


class RawRecord(Protocol):
    """What aiokafka's C record has."""

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...


class RawPartitionRecords(fetcher.PartitionRecords):  # type: ignore[misc]
    """Yields records as the C parser made them."""

    def _consumer_record(self, tp: Any, record: RawRecord) -> RawRecord:
        return record


def install() -> None:
    """Make all aiokafka consumers of this process yield raw records."""
    fetcher.PartitionRecords = RawPartitionRecords
