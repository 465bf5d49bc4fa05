"""Messages of a file on their way to a topic: delivered all, or the first that was not is told."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO, Self

import click

if TYPE_CHECKING:
    from infra.settings import KafkaSettings
    from streams.commands._columns import Format
    from streams.commands._messages import MessageReader

DELIVERY_MS = 12_000
LARGEST_REQUEST = 64 * 1024 * 1024


class Sending:
    """One file on its way to one topic; as a context manager it tells at the end what was delivered."""

    def __init__(self, kafka: KafkaSettings, topic: str) -> None:
        from kafka import KafkaProducer

        from infra.kafka_clients import kafka_python_config

        self._address = kafka.bootstrap_servers
        self._topic = topic
        self._producer = KafkaProducer(
            **kafka_python_config(kafka),
            acks="all",
            linger_ms=20,
            batch_size=256 * 1024,
            max_request_size=LARGEST_REQUEST,
            max_block_ms=DELIVERY_MS,
            delivery_timeout_ms=DELIVERY_MS,
            request_timeout_ms=DELIVERY_MS // 2,
            allow_auto_create_topics=False,
        )
        self._failed: tuple[int, Exception] | None = None
        self._delivered = 0
        self._bytes = 0
        self._begun = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        from kafka.errors import KafkaError

        with suppress(KafkaError):  # it cannot send what is left; that is told already
            self._producer.close(timeout=1)
        seconds = time.monotonic() - self._begun
        records = "1 record" if self._delivered == 1 else f"{self._delivered:,} records"
        click.echo(
            f"{records} to {self._topic}, {self._bytes / 1e6:,.1f} MB, in {seconds:,.1f} s "
            f"({self._delivered / seconds:,.0f} records/s)"
        )

    def run(self, reader: MessageReader, source: BinaryIO, form: Format, tell: Callable[[int], None]) -> None:
        """Send all messages; raises BadLine, or KafkaUnavailable for the first that did not arrive."""
        from kafka.errors import KafkaError

        from streams.commands._messages import counted

        number = 0
        try:
            for number, key, value in reader.read(counted(source, tell), form):
                self._send(number, key, value)
                if self._failed is not None:
                    break
        except (KafkaError, BufferError) as error:
            self._failed = self._failed or (number, error)
        finally:  # also before a bad line: what was sent arrives, and is counted
            self._flush(number)
        if self._failed is not None:
            from infra.kafka_errors import KafkaUnavailable, reason

            line, failure = self._failed
            raise KafkaUnavailable(
                f"{reader.file}, line {line}: Kafka at {self._address} did not take it for topic "
                f"{self._topic}: {reason(failure)}"
            ) from failure

    def _send(self, number: int, key: bytes | None, value: bytes) -> None:
        size = len(value) + len(key or b"")
        future = self._producer.send(self._topic, key=key, value=value)
        future.add_callback(self._arrived, size)
        future.add_errback(self._lost, number)

    def _flush(self, number: int) -> None:
        """Wait until all has arrived or something is lost: then the rest is not worth waiting for."""
        from kafka.errors import KafkaError

        deadline = time.monotonic() + 1.5 * DELIVERY_MS / 1000
        while self._failed is None:
            try:
                self._producer.flush(timeout=1)
                return
            except (
                KafkaError
            ) as error:  # too slow, or a batch was split under it: each record tells its own fate
                if time.monotonic() > deadline:
                    self._failed = (number, error)
                time.sleep(0.05)

    def _arrived(self, size: int, _metadata: object) -> None:
        self._delivered += 1
        self._bytes += size

    def _lost(self, number: int, error: Exception) -> None:
        if self._failed is None or number < self._failed[0]:
            self._failed = (number, error)
