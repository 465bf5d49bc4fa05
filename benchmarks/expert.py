"""Peer `expert`: the loop that someone who knows the tools writes by hand, for this one stream.

confluent-kafka, a typed msgspec decoder, one numba kernel. It has no learning log, checkpoint, dead letters
or second worker: a crash loses the model, an invalid record ends it.

    python -m benchmarks.expert BOOTSTRAP SAMPLES-TOPIC PREDICTIONS-TOPIC COUNT
"""

from __future__ import annotations

import gc
import sys
from itertools import chain
from typing import Any

import msgspec
import numpy as np
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer
from msgspec.structs import astuple

from benchmarks.kernel import test_then_train
from benchmarks.report import Report, now
from benchmarks.samples import FEATURES, LEARNING_RATE

BATCH = 500
"""Records taken at once: their objects stay in the cache; 250, 1,000 and more were slower."""

Features = msgspec.defstruct("Features", [(name, float) for name in FEATURES], gc=False)


class Sample(msgspec.Struct, gc=False):
    """One record; what is not named here is skipped."""

    features: Features  # type: ignore[valid-type]
    label: float


class Prediction(msgspec.Struct, gc=False):
    """The same fields as gradstream writes, so that both send equally many bytes."""

    id: str
    model: str
    prediction: int
    probability: float
    samples_learned: int
    topic: str
    partition: int
    offset: int


class Loop:
    """Consumer, model and producer of one partition."""

    def __init__(self, bootstrap: str, samples: str, predictions: str) -> None:
        self.samples, self.predictions = samples, predictions
        self.failed: list[KafkaError] = []
        self.consumer = Consumer(consumer_settings(bootstrap, group=predictions))
        self.producer = Producer(producer_settings(bootstrap, self.failed))
        self.state = np.zeros((4, len(FEATURES) + 1))
        self.count = 0.0
        self.decode = msgspec.json.Decoder(Sample).decode
        self.encode = msgspec.json.Encoder().encode

    def run(self, count: int) -> Report:
        """Process `count` records; returns when every prediction is acknowledged and the offset committed."""
        warm_up()
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
            self.process(messages)
            done += len(messages)
            if done >= count:
                break
            self.producer.poll(0)
            messages = self.consumer.consume(min(BATCH, count - done), 1.0)
        left = self.producer.flush(60)
        report = Report(first, now(), done)
        if left or self.failed:
            raise KafkaException(self.failed[0] if self.failed else KafkaError(KafkaError._MSG_TIMED_OUT))
        self.consumer.commit(asynchronous=False)
        self.consumer.close()
        return report

    def process(self, messages: list[Message]) -> None:
        """Decode, predict and learn, send: a batch in a few passes, each over all of it."""
        values: list[Any] = [m.value() for m in messages if not raise_error(m)]
        offsets: list[Any] = [m.offset() for m in messages]
        decoded = list(map(self.decode, values))
        n, d = len(decoded), len(FEATURES)
        if not n:
            return
        cells = chain.from_iterable([astuple(s.features) for s in decoded])
        x = np.fromiter(cells, np.float64, n * d).reshape(n, d)
        labels = np.fromiter([s.label for s in decoded], np.float64, n)
        probabilities = np.empty(n)
        learned = int(self.count)
        self.count = test_then_train(x, labels, self.state, self.count, LEARNING_RATE, probabilities)
        encode, topic = self.encode, self.samples
        batch: list[dict[str, Any]] = [
            {
                "value": encode(
                    Prediction(f"{topic}-0-{at}", "bench", int(p >= 0.5), p, learned + i, topic, 0, at)
                )
            }
            for i, (at, p) in enumerate(zip(offsets, probabilities.tolist(), strict=True))
        ]
        self.producer.produce_batch(self.predictions, batch, partition=0)


def warm_up() -> None:
    """Load the compiled kernel (a third of a second, also from numba's cache) before the first record."""
    test_then_train(np.empty((0, 1)), np.empty(0), np.zeros((4, 2)), 0.0, LEARNING_RATE, np.empty(0))


def raise_error(message: Message) -> bool:
    """False for a record; raises KafkaException for an error event."""
    if message.error() is not None:
        raise KafkaException(message.error())
    return False


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


if __name__ == "__main__":
    Loop(sys.argv[1], sys.argv[2], sys.argv[3]).run(int(sys.argv[4])).write()
