"""A producer in step with the model: the next few samples leave when the last few are learned.

So the number of samples that are on their way at any time is known, whatever the speed of the machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from confluent_kafka import Consumer, Producer, TopicPartition

from benchmarks.samples import QUIET
from benchmarks.sequential import parsed
from benchmarks.watch import BenchmarkError
from streams.log_format import LogRecord, PartitionId

SILENCE_SECONDS = 60.0


class Progress:
    """How many samples a learning log has counted, as far as it was read."""

    def __init__(self) -> None:
        self.samples = 0
        self._next: dict[PartitionId, int] = {}

    def read(self, record: LogRecord) -> None:
        """Rules 2 and 3 of the log, without learning."""
        if record.kind == "open":
            self._next.setdefault(record.partition(), record.number("next"))
        elif record.kind == "data" and self._next.get(record.partition()) == record.number("from"):
            self._next[record.partition()] = record.number("to")
            self.samples += record.number("samples")


def send_in_step(
    kafka: str,
    topics: tuple[str, str],
    samples: Sequence[tuple[bytes, bytes]],
    partitions: int,
    in_flight: int,
    check: Callable[[], None],
) -> None:
    """Send labelled samples (key, value), `in_flight` at a time, to partitions in turn; all are learned then.

    topics: of the samples, and the learning log. `check` is called while waiting, and raises when all is
    lost. Raises BenchmarkError when nothing is learned for a minute.
    """
    topic, log = topics
    producer = Producer({"bootstrap.servers": kafka, "linger.ms": 0, **QUIET})
    consumer = Consumer(
        {
            "bootstrap.servers": kafka,
            "group.id": "gradstream-bench",
            "fetch.wait.max.ms": 20,
            "fetch.queue.backoff.ms": 2,
            **QUIET,
        }
    )
    consumer.assign([TopicPartition(log, 0, 0)])
    learned = Progress()
    try:
        for start in range(0, len(samples), in_flight):
            stop = min(start + in_flight, len(samples))
            for i in range(start, stop):
                key, value = samples[i]
                producer.produce(topic, value, key, partition=i % partitions)
            producer.poll(0)
            heard = time.monotonic()
            while learned.samples < stop:
                if (message := consumer.poll(1.0)) is not None:
                    learned.read(parsed(message))
                    continue
                check()
                if time.monotonic() - heard > SILENCE_SECONDS:
                    raise BenchmarkError(f"{learned.samples} of {stop} samples are learned, and no more")
    finally:
        producer.flush(10)
        consumer.close()
