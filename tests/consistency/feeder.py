"""Samples that keep coming, while things break: a thread that sends at a pace until it is told to stop."""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import Any

from confluent_kafka import KafkaException, Producer

from tests.consistency.counting import sample


class Feeder:
    """Sends sample(0), sample(1), … to partitions in turn; a context manager."""

    def __init__(self, kafka: str, topic: str, partitions: int, rate: float, keys: int) -> None:
        """`rate`: samples a second; `keys`: of so many keys, 0 for none."""
        self.sent = 0
        self.partitions = partitions
        self._topic, self._rate, self._keys = topic, rate, keys
        self._kafka = kafka
        self._over = threading.Event()
        self._pause = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.errors: list[str] = []
        self.delivered: dict[tuple[int, int], int] = {}
        """Coordinates → number of the sample."""

    def __enter__(self) -> Feeder:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Send no more; returns when all that was sent is acknowledged."""
        self._over.set()
        self._thread.join()

    def pause(self) -> None:
        """Send nothing until `go_on`."""
        self._pause.set()

    def go_on(self) -> None:
        """Send again."""
        self._pause.clear()

    def _run(self) -> None:
        producer = Producer(
            {"bootstrap.servers": self._kafka, "enable.idempotence": True, "linger.ms": 5,
             "message.timeout.ms": 120_000, "topic.metadata.refresh.interval.ms": 2000, "log_level": 0}
        )  # fmt: skip
        begun = time.monotonic()
        due = 0.0
        while not self._over.is_set():
            now = time.monotonic()
            if not self._pause.is_set():
                due += (now - begun) * self._rate
            begun = now
            while due >= 1 and self._send(producer):
                due -= 1
            producer.poll(0)
            time.sleep(0.02)
        producer.flush(150)

    def _send(self, producer: Producer) -> bool:
        """The next sample; False where its partition is so new that the client does not know it yet."""
        i = self.sent
        key = str(i % self._keys).encode() if self._keys else None
        try:
            producer.produce(
                self._topic, sample(i), key, partition=i % self.partitions,
                on_delivery=partial(self._delivered, i),
            )  # fmt: skip
        except KafkaException:
            producer.list_topics(self._topic, timeout=5)
            return False
        self.sent += 1
        return True

    def _delivered(self, i: int, error: object, message: Any) -> None:
        if error is not None:
            self.errors.append(str(error))
        else:
            self.delivered[message.partition(), message.offset()] = i
