"""A producer of what happens and a consumer of predictions, with clients as any other service has them."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import msgspec
import numpy as np
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from kafka import KafkaConsumer, TopicPartition

from models.rows import Float64
from streams.demo.errors import DemoError

SENT_TOGETHER = 2_000
"""Records of all topics: a record batch for each of them."""
BATCH_BYTES = 960 * 1024
FLUSH_SECONDS = 60.0

Event = tuple[str, bytes, bytes]
"""Topic, key, value."""


def produce(bootstrap_servers: str, events: Iterator[Event], tick: Callable[[int], None]) -> None:
    """Send all in this order, as fast as it goes; `tick` hears how many were sent. Raises DemoError.

    In record batches: sent one by one, a year takes longer than to learn from it. A worker that waits at the
    end of both topics takes what comes first, and of two topics this is not always what happened first; one
    that has more to read takes both in the order of event time.
    """
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL + 1)  # what it says is raised as well
    try:
        asyncio.run(_produce(bootstrap_servers, events, tick))
    except (KafkaError, OSError, TimeoutError) as error:
        raise DemoError(f"Kafka at {bootstrap_servers} did not take the flights: {_text(error)}") from error


async def _produce(servers: str, events: Iterator[Event], tick: Callable[[int], None]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=servers, acks="all", max_batch_size=BATCH_BYTES)
    try:
        await producer.start()
        sent, underway = 0, []
        while together := list(islice(events, SENT_TOGETHER)):
            tick(sent)
            for topic, batch in _batches(producer, together).items():
                underway.append(await producer.send_batch(batch, topic, partition=0))
            sent += len(together)
        await asyncio.wait_for(asyncio.gather(*underway), FLUSH_SECONDS)
        tick(sent)
    finally:
        await producer.stop()


def _batches(producer: AIOKafkaProducer, events: list[Event]) -> dict[str, Any]:
    """Topic → its events as one record batch."""
    batches: dict[str, Any] = {}
    now = int(time.time() * 1000)
    for topic, key, value in events:
        if topic not in batches:
            batches[topic] = producer.create_batch()
        if batches[topic].append(timestamp=now, key=key, value=value) is None:
            raise AssertionError(f"{SENT_TOGETHER} records of {len(value)} bytes are more than a batch takes")
    for batch in batches.values():
        batch.close()
    return batches


class _Prediction(msgspec.Struct):
    """What is read of a prediction."""

    id: str
    probability: float


class Predictions:
    """Reads the predictions topic in a thread; a context manager.

    probabilities (n,): of being late, for each sample in the order of `ids`; NaN until the prediction is
    there. A repeated prediction does not count. shown: the prediction of the sample `show`, as it came, None
    before.
    """

    def __init__(self, bootstrap_servers: str, topic: str, ids: Iterable[str], show: str) -> None:
        self._places = {id_: place for place, id_ in enumerate(ids)}
        self._probabilities = np.full(len(self._places), np.nan)
        # In pure Python, checksums would be most of the work; here nothing can come to harm on the way.
        self._consumer = KafkaConsumer(bootstrap_servers=bootstrap_servers, group_id=None, check_crcs=False)
        self._consumer.assign([TopicPartition(topic, 0)])
        self._consumer.seek_to_beginning()
        self._ended = threading.Event()
        self._failed: Exception | None = None
        self._thread = threading.Thread(target=self._read, name="predictions", daemon=True)
        self.received = 0
        self.shown: bytes | None = None
        self._show = show

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
                if prediction.id == self._show:
                    self.shown = record.value


def _text(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
