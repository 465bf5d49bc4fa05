"""A topic of samples as a recording: from its beginning to where it ends now, committed records alone."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from kafka import TopicPartition

from infra.kafka_errors import KafkaUnavailable
from streams.commands._reading import READ_SECONDS, consumer_at
from streams.evaluation.merge import EventTimes, merged
from streams.ingest import Ingest
from streams.records import Record

if TYPE_CHECKING:
    from infra.settings import KafkaSettings

BUFFERED = 100_000
"""Records that are held while the next one of another partition is waited for; all partitions together."""
POLLED = 5_000


class RecordedTopic:
    """See streams.evaluation.recording.Recording. Partitions are merged by event time (evaluation.merge)."""

    def __init__(self, kafka: KafkaSettings, topic: str, starts: Mapping[int, int], ingest: Ingest) -> None:
        """`starts`: each partition's first offset."""
        self._kafka = kafka
        self._topic = topic
        self._starts = starts
        self._time = EventTimes(ingest)
        self._ends: dict[int, int] = {}
        self._read = 0

    @property
    def name(self) -> str:
        """The topic's name."""
        return self._topic

    def records(self) -> Generator[Record, None, None]:
        """All records below the ends at this moment; raises KafkaUnavailable."""
        with consumer_at(self._kafka, self._topic, self._starts, committed=True) as consumer:
            # Asked of this consumer, an end is the last stable offset: what is not committed yet is left out.
            found = consumer.end_offsets([TopicPartition(self._topic, p) for p in self._starts])
            self._ends = {part.partition: int(end) for part, end in found.items()}
            queues = _Queues(self._kafka.bootstrap_servers, self._topic, consumer, self._ends)
            partitions = {partition: queues.records(partition) for partition in self._starts}
            for record in merged(partitions, self._time):
                self._read += 1
                yield record

    def place(self, record: Record) -> str:
        """Partition and offset."""
        partition: int = record.partition  # type: ignore[attr-defined]  # kafka-python's have it
        return f"{self._topic}-{partition} @{record.offset}"

    def share(self) -> float | None:
        """By offsets, of which a compacted topic has more than records."""
        total = sum(end - self._starts[partition] for partition, end in self._ends.items())
        return self._read / total if total else None


class _Queues:
    """What one consumer has fetched of each partition and nobody has taken yet."""

    def __init__(self, address: str, topic: str, consumer: Any, ends: Mapping[int, int]) -> None:
        self._address = address
        self._topic = topic
        self._consumer = consumer
        self._parts = {partition: TopicPartition(topic, partition) for partition in ends}
        self._ends = ends
        self._queues: dict[int, deque[Record]] = {partition: deque() for partition in ends}
        self._most = max(POLLED, BUFFERED // max(1, len(ends)))

    def records(self, partition: int) -> Iterator[Record]:
        """The records of one partition, in the order of their offsets."""
        queue = self._queues[partition]
        while True:
            while queue:
                yield queue.popleft()
            if self._is_read(partition):
                return
            self._fetch(partition)

    def _is_read(self, partition: int) -> bool:
        # Positions decide, not records: the last offsets may belong to transactions or be compacted away.
        return bool(self._consumer.position(self._parts[partition]) >= self._ends[partition])

    def _fetch(self, wanted: int) -> None:
        """Poll until there is a record of this partition or none to come."""
        full = [p for p, queue in self._queues.items() if len(queue) >= self._most or self._is_read(p)]
        self._consumer.resume(*(part for p, part in self._parts.items() if p not in full))
        self._consumer.pause(*(self._parts[p] for p in full))
        deadline = time.monotonic() + READ_SECONDS
        while not self._queues[wanted] and not self._is_read(wanted):
            for batch in self._consumer.poll(timeout_ms=500, max_records=POLLED).values():
                for record in batch:
                    if record.offset < self._ends[record.partition]:
                        self._queues[record.partition].append(record)
                deadline = time.monotonic() + READ_SECONDS
            if time.monotonic() > deadline:
                raise KafkaUnavailable(
                    f"Kafka at {self._address}: nothing came of topic {self._topic} within "
                    f"{READ_SECONDS:.0f} s; check that the leaders of its partitions are up"
                )
