"""A producer of flights and a consumer of predictions, with kafka-python as in any other service."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import numpy as np
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError

from models.rows import Float64
from streams.demo.errors import DemoError
from streams.demo.flights import Flights

TICK_EVERY = 500
"""Records between two looks at how things go."""
FLUSH_SECONDS = 60.0


def produce(bootstrap_servers: str, topic: str, flights: Flights, tick: Callable[[int], None]) -> None:
    """Send all flights as fast as it goes; `tick` hears how many were sent. Raises DemoError."""
    failed: list[Exception] = []
    producer = KafkaProducer(
        bootstrap_servers=bootstrap_servers, acks="all", linger_ms=20, batch_size=256 * 1024
    )
    try:
        for sent, (key, value) in enumerate(zip(flights.keys, flights.values, strict=True)):
            if sent % TICK_EVERY == 0:
                tick(sent)
            producer.send(topic, key=key, value=value).add_errback(failed.append)
            if failed:
                raise failed[0]
        producer.flush(timeout=FLUSH_SECONDS)
        if failed:
            raise failed[0]
    except (KafkaError, BufferError) as error:
        raise DemoError(f"Kafka at {bootstrap_servers} did not take the flights: {_text(error)}") from error
    finally:
        producer.close(timeout=1)
    tick(len(flights))


class _Prediction(msgspec.Struct):
    """What is read of a prediction."""

    id: str
    probability: float


class Predictions:
    """Reads the predictions topic in a thread; a context manager.

    probabilities (n,): of being late, for each sample in the order of `ids`; NaN until the prediction is
    there. A repeated prediction does not count. last: the last
    sample's, as it came, None before.
    """

    def __init__(self, bootstrap_servers: str, topic: str, ids: Iterable[str]) -> None:
        self._places = {id_: place for place, id_ in enumerate(ids)}
        self._probabilities = np.full(len(self._places), np.nan)
        self._consumer = KafkaConsumer(bootstrap_servers=bootstrap_servers, group_id=None)
        self._consumer.assign([TopicPartition(topic, 0)])
        self._consumer.seek_to_beginning()
        self._ended = threading.Event()
        self._failed: Exception | None = None
        self._thread = threading.Thread(target=self._read, name="predictions", daemon=True)
        self.received = 0
        self.last: bytes | None = None

    def __enter__(self) -> Predictions:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._ended.set()
        self._thread.join()
        self._consumer.close()

    @property
    def probabilities(self) -> Float64:
        """As they are now; a copy."""
        return self._probabilities.copy()

    def check(self) -> None:
        """Raises DemoError when reading has failed."""
        if self._failed is not None:
            raise DemoError(f"the predictions cannot be read: {_text(self._failed)}") from self._failed

    def _read(self) -> None:
        try:
            while not self._ended.is_set() and self.received < len(self._places):
                for records in self._consumer.poll(timeout_ms=200).values():
                    self._take(records)
        except Exception as error:
            self._failed = error

    def _take(self, records: list[Any]) -> None:
        decode = msgspec.json.Decoder(_Prediction).decode
        for record in records:
            prediction = decode(record.value)
            place = self._places[prediction.id]
            if np.isnan(self._probabilities[place]):
                self._probabilities[place] = prediction.probability
                self.received += 1
                if place == len(self._places) - 1:
                    self.last = record.value


def _text(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
