"""Late-label traffic that keeps coming at the pace of its event times, while things break."""

from __future__ import annotations

import json
import threading
import time

from confluent_kafka import Producer

from tests.consistency.late_traffic import Traffic

LONGEST_WAIT = 1_000
"""Milliseconds of event time."""


class LateFeeder:
    """Sends all messages in order; a context manager. `pace`: event time a second, in ms."""

    def __init__(self, kafka: str, topics: dict[str, str], made: Traffic, pace: float) -> None:
        """`topics`: by the names that they have in the traffic."""
        self.sent = 0
        self.errors: list[str] = []
        self._kafka, self._topics, self._made, self._pace = kafka, topics, made, pace
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> LateFeeder:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def done(self) -> bool:
        """Whether everything was sent, and acknowledged."""
        return not self._thread.is_alive()

    def _run(self) -> None:
        producer = Producer(
            {"bootstrap.servers": self._kafka, "enable.idempotence": True, "linger.ms": 2,
             "message.timeout.ms": 120_000, "log_level": 0}
        )  # fmt: skip
        begun, due, last = time.monotonic(), 0.0, self._made.messages[0][0]
        for at, topic, partition, value in self._made.messages:
            if at - last > LONGEST_WAIT:  # what is behind such a gap is later than all before it, for certain
                producer.flush(150)
            due, last = due + min(at - last, LONGEST_WAIT) / self._pace, at
            while due > time.monotonic() - begun and not self._over.is_set():
                producer.poll(0)
                time.sleep(0.01)
            if self._over.is_set():
                break
            id_ = json.loads(value)["id"].encode()
            producer.produce(
                self._topics[topic], value, id_, partition=partition, on_delivery=self._delivered
            )
            self.sent += 1
        producer.flush(150)

    def _delivered(self, error: object, message: object) -> None:
        if error is not None:
            self.errors.append(str(error))
