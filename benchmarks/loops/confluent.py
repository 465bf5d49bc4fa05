"""What all loops on confluent-kafka share: fetch ahead, work on a batch, at the end wait until all is taken.

Its settings were tuned on the benchmark's stream: see benchmarks/README.md.
"""

from __future__ import annotations

import gc
from typing import Any, Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer

from benchmarks.report import Report, now

BATCH = 500
"""Records taken at once: their objects stay in the cache; 250, 1,000 and more were slower."""


class Work(Protocol):
    """What a loop does with what it consumes."""

    def warm_up(self) -> None:
        """Whatever takes long at the first record."""

    def process(self, messages: list[Message]) -> list[dict[str, Any]]:
        """The predictions of a batch, as `produce_batch` takes them; raises KafkaException."""


class ConfluentLoop:
    """A consumer and a producer around some work."""

    def __init__(
        self, bootstrap: str, samples: str, predictions: str, work: Work, batch: int = BATCH
    ) -> None:
        """`batch`: records that are taken at once."""
        self.samples, self.predictions = samples, predictions
        self.failed: list[KafkaError] = []
        self.consumer = Consumer(consumer_settings(bootstrap, group=predictions))
        self.producer = Producer(producer_settings(bootstrap, self.failed))
        self.work, self.batch = work, batch

    def run(self, count: int) -> Report:
        """Process `count` records; returns when every prediction is acknowledged and the offset committed."""
        self.work.warm_up()
        self.consumer.subscribe([self.samples])
        gc.collect()
        gc.freeze()
        gc.disable()  # nothing in the loop makes cycles
        messages: list[Message] = []
        while not messages:
            messages = self.consumer.consume(1, 30.0)
        first = now()
        done = 0
        while True:
            batch = self.work.process(messages)
            if batch:
                self.producer.produce_batch(self.predictions, batch, partition=0)
            done += len(messages)
            if done >= count:
                break
            self.producer.poll(0)
            messages = self.consumer.consume(min(self.batch, count - done), 1.0)
        left = self.producer.flush(60)
        report = Report(first, now(), done)
        if left or self.failed:
            raise KafkaException(self.failed[0] if self.failed else KafkaError(KafkaError._MSG_TIMED_OUT))
        self.consumer.commit(asynchronous=False)
        self.consumer.close()
        return report


def raise_error(message: Message) -> bool:
    """False for a record; raises KafkaException for an error event."""
    if message.error() is not None:
        raise KafkaException(message.error())
    return False


def values_and_offsets(messages: list[Message]) -> tuple[list[Any], list[Any]]:
    """What the records hold, and where they stand; raises KafkaException for an error event."""
    return [m.value() for m in messages if not raise_error(m)], [m.offset() for m in messages]


def consumer_settings(bootstrap: str, group: str) -> dict[str, Any]:
    """Fetch ahead, never pause: by default librdkafka rests for a second when its queue is full."""
    return {
        "bootstrap.servers": bootstrap,
        "group.id": group,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "check.crcs": False,
        "queued.min.messages": 10_000,
        "fetch.queue.backoff.ms": 2,
    }


def producer_settings(bootstrap: str, failed: list[KafkaError]) -> dict[str, Any]:
    """All replicas acknowledge; only failures come back to Python, into `failed`."""
    return {
        "bootstrap.servers": bootstrap,
        "acks": "all",
        "linger.ms": 5,
        "queue.buffering.max.messages": 1_000_000,
        "queue.buffering.max.kbytes": 1_048_576,
        "delivery.report.only.error": True,
        "on_delivery": lambda error, _message: failed.append(error),
    }
