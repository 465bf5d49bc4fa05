"""Reading records of a topic by offsets, without a consumer group."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from infra.kafka_admin import KafkaAdmin
    from infra.settings import KafkaSettings

LARGEST_FETCH = 16 * 1024 * 1024
READ_SECONDS = 12.0


@contextmanager
def consumer_at(
    kafka: KafkaSettings, topic: str, starts: Mapping[int, int], committed: bool = False
) -> Iterator[Any]:
    """A kafka-python consumer that stands before these offsets; its failures are KafkaUnavailable.

    `committed`: it leaves out what transactions have not committed, as workers do.
    """
    from kafka import KafkaConsumer, TopicPartition
    from kafka.errors import KafkaError

    from infra.kafka_clients import kafka_python_config
    from infra.kafka_errors import KafkaUnavailable, reason

    try:
        consumer = KafkaConsumer(
            **kafka_python_config(kafka),
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            allow_auto_create_topics=False,
            isolation_level="read_committed" if committed else "read_uncommitted",
            max_partition_fetch_bytes=LARGEST_FETCH,
            bootstrap_timeout_ms=int(READ_SECONDS * 1000),
        )
        try:
            consumer.assign([TopicPartition(topic, partition) for partition in starts])
            for partition, offset in starts.items():
                consumer.seek(TopicPartition(topic, partition), offset)
            yield consumer
        finally:
            consumer.close()
    except KafkaError as error:
        raise KafkaUnavailable(
            f"Kafka at {kafka.bootstrap_servers}: cannot read topic {topic}: {reason(error)}"
        ) from error


def read_between(kafka: KafkaSettings, topic: str, ranges: Mapping[int, tuple[int, int]]) -> list[Any]:
    """Records with start ≤ offset < stop of each partition, by timestamp; raises KafkaUnavailable."""
    from kafka import TopicPartition

    from infra.kafka_errors import KafkaUnavailable

    ranges = {partition: span for partition, span in ranges.items() if span[0] < span[1]}
    if not ranges:
        return []
    found: list[Any] = []
    deadline = time.monotonic() + READ_SECONDS
    with consumer_at(
        kafka, topic, {partition: start for partition, (start, _) in ranges.items()}
    ) as consumer:
        # Positions decide, not records: a compacted or transactional topic ends with offsets without records.
        while any(consumer.position(TopicPartition(topic, p)) < stop for p, (_, stop) in ranges.items()):
            for batch in consumer.poll(timeout_ms=500, max_records=5_000).values():
                found += [record for record in batch if record.offset < ranges[record.partition][1]]
            if time.monotonic() > deadline:
                raise KafkaUnavailable(
                    f"Kafka at {kafka.bootstrap_servers}: topic {topic} was not read within "
                    f"{READ_SECONDS:.0f} s; check that the leaders of its partitions are up"
                )
    return sorted(found, key=lambda record: (record.timestamp, record.partition, record.offset))


def last_records(kafka: KafkaSettings, admin: KafkaAdmin, topic: str, count: int) -> list[Any]:
    """About the last `count` records of a topic, evenly from its partitions, oldest first."""
    starts, ends = admin.start_offsets(topic), admin.end_offsets(topic)
    each = -(-count // max(1, len(ends)))
    return read_between(kafka, topic, {p: (max(starts[p], end - each), end) for p, end in ends.items()})
