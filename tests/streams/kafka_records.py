"""Real Kafka records for tests: written and read back by aiokafka's record parser."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder

TIMESTAMP = 1_700_000_000_000
"""Of the first record; each next one is a millisecond later."""


def kafka_records(
    values: Iterable[bytes | None],
    first_offset: int = 0,
    key: bytes | None = b"key",
    headers: Sequence[tuple[str, bytes]] = (),
) -> list[Any]:
    """Records with these values at consecutive offsets."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1 << 30)
    for i, value in enumerate(values):
        added = builder.append(
            first_offset + i, timestamp=TIMESTAMP + i, key=key, value=value, headers=list(headers)
        )
        assert added is not None
    return list(DefaultRecordBatch(bytes(builder.build())))


def sample(**fields: Any) -> bytes:
    """The JSON of a sample; `features` are empty unless given."""
    return json.dumps({"features": {}, **fields}).encode()
