"""All that a topic holds, read with kafka-python as any user would."""

from __future__ import annotations

import contextlib
from typing import Any

from kafka import KafkaConsumer, TopicPartition


def read_topic(kafka: str, topic: str, committed: bool = False) -> list[Any]:
    """All records of a topic by partition and offset; `committed`: none of an aborted transaction."""
    level = "read_committed" if committed else "read_uncommitted"
    with contextlib.closing(
        KafkaConsumer(bootstrap_servers=kafka, group_id=None, isolation_level=level)
    ) as consumer:
        parts = [TopicPartition(topic, p) for p in sorted(consumer.partitions_for_topic(topic) or ())]
        consumer.assign(parts)
        ends = consumer.end_offsets(parts)
        consumer.seek_to_beginning(*parts)
        found: list[Any] = []
        while any(consumer.position(part) < ends[part] for part in parts):
            for records in consumer.poll(timeout_ms=500).values():
                found += records
    return sorted(found, key=lambda r: (r.partition, r.offset))
