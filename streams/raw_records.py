"""Raw Kafka records out of aiokafka: no Python object is built for each record.

aiokafka wraps every record in a dataclass of eleven fields, which costs more than decoding its JSON. Its
fetcher looks the wrapping class up as a module global, so a subclass put there spares it for all consumers
of this process. What comes out instead is the C record itself: offset, timestamp, key, value, headers.
"""

from __future__ import annotations

from typing import Any

from aiokafka.consumer import fetcher

from streams.records import Record


class RawPartitionRecords(fetcher.PartitionRecords):  # type: ignore[misc]
    """Yields records as the C parser made them."""

    def _consumer_record(self, tp: Any, record: Record) -> Record:
        return record


def install() -> None:
    """Make all aiokafka consumers of this process yield raw records."""
    fetcher.PartitionRecords = RawPartitionRecords
