"""The learning log on Kafka: read from an offset on, append, ends.

    LogError
    ├── LogGone       the log, or the part of it that is needed, is not there any more
    └── AppendFailed  an append failed, or nobody knows: its producer is closed

The reader has no consumer group and never resets its position. The writer is an idempotent producer with
acks=all, made anew after a failure, because what follows a doubtful append must not be sent (rule 12).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import (
    KafkaError,
    MessageSizeTooLargeError,
    OffsetOutOfRangeError,
    RecordListTooLargeError,
)

from models.errors import GradstreamError
from streams.broken_connections import fetching_ended
from streams.log_format import Body, LogRecord, envelope, parse_record
from streams.native.fetching import all_of, fetch_raw
from streams.native.record_set import one_record

MAX_RECORD_BYTES = 8 * 1024 * 1024
FETCH_WAIT_MS = 100  # a question for the log's end waits behind a fetch on the same connection
FETCH_BYTES = 4 * 1024 * 1024
"""Of several tried the fastest; a larger record comes all the same."""
RECORDS_A_RUN = 200
_TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)


class LogError(GradstreamError):
    """The learning log cannot be used."""


class LogGone(LogError):
    """Records that the fold needs are not in the log any more, or it is another log."""


class AppendFailed(LogError):
    """An append failed or is in doubt. `too_large`: the broker takes no record of this size."""

    def __init__(self, text: str, too_large: bool = False) -> None:
        super().__init__(text)
        self.too_large = too_large


class LogReader:
    """Reads one learning log in order."""

    def __init__(self, topic: str, client_config: dict[str, Any]) -> None:
        self.topic = topic
        self._tp = TopicPartition(topic, 0)
        self._consumer = AIOKafkaConsumer(
            **client_config,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            fetch_max_wait_ms=FETCH_WAIT_MS,
            max_partition_fetch_bytes=FETCH_BYTES,
        )

    async def start(self) -> None:
        """Connect; `stand` comes next. Raises LogError."""
        with self._errors():
            await self._consumer.start()
        fetch_raw(self._consumer)

    def stand(self, offset: int) -> None:
        """Read from `offset` on."""
        self._consumer.assign([self._tp])
        self._consumer.seek(self._tp, offset)

    async def bounds(self) -> tuple[int, int]:
        """Offsets of the first record and after the last one."""
        with self._errors():
            start = await self._consumer.beginning_offsets([self._tp])
        return start[self._tp], await self.end()

    async def end(self) -> int:
        """Offset after the last record now."""
        with self._errors():
            return int((await self._consumer.end_offsets([self._tp]))[self._tp])

    async def run(self, timeout_ms: int = 1000) -> list[LogRecord]:
        """The next records in log order; empty when there were none within the time.

        Raises LogGone when the position is outside the log, UnknownFormat for another release's record.
        """
        if (ended := fetching_ended(self._consumer)) is not None:
            raise LogError(f"{self.topic}: the client stopped reading: {type(ended).__name__}: {ended}")
        try:
            with self._errors():
                fetched = await self._consumer.getmany(
                    self._tp, timeout_ms=timeout_ms, max_records=RECORDS_A_RUN
                )
        except OffsetOutOfRangeError as error:
            raise LogGone(
                f"{self.topic}: the offset to be read next is not in the log any more (truncated, or made "
                "again); forget the model: gradstream reset"
            ) from error
        raw = all_of(fetched.get(self._tp, ()))
        return [parse_record(record.offset, record.key, record.value, record.headers) for record in raw]

    async def stop(self) -> None:
        """Close the connection."""
        with contextlib.suppress(KafkaError):  # what ended its fetching was told by `run`
            await self._consumer.stop()

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OffsetOutOfRangeError:
            raise
        except (KafkaError, OSError) as error:
            raise LogError(f"{self.topic}: cannot be read: {type(error).__name__}: {error}") from error


class LogWriter:
    """Appends to one learning log; used until it fails, then closed and made again."""

    def __init__(self, topic: str, client_config: dict[str, Any]) -> None:
        self.topic = topic
        self._config = client_config
        self._producer: AIOKafkaProducer | None = None

    async def start(self) -> None:
        """Connect; raises LogError."""
        self._producer = AIOKafkaProducer(
            **self._config,
            enable_idempotence=True,
            acks="all",
            linger_ms=0,
            max_batch_size=MAX_RECORD_BYTES,
            max_request_size=2 * MAX_RECORD_BYTES,
        )
        try:
            await self._producer.start()
        except KafkaError as error:
            self._producer = None
            raise LogError(f"{self.topic}: no producer: {type(error).__name__}: {error}") from error

    async def append(self, kind: str, worker: str, seq: int, value: Body | None, **headers: object) -> int:
        """Append one record and wait until all in-sync replicas have it; returns its offset.

        Raises AppendFailed, after which the producer is closed and nothing else goes out with it.
        """
        if self._producer is None:
            raise AppendFailed(f"{self.topic}: the producer is closed")
        try:
            record = one_record(
                kind.encode(), value, envelope(worker, seq, **headers), int(time.time() * 1000)
            )
            sent = await (await self._producer.send_batch(record, self.topic, partition=0))
        except (KafkaError, OSError) as error:
            await self.stop()
            large = isinstance(error, _TOO_LARGE)
            raise AppendFailed(f"{self.topic}: {type(error).__name__}: {error}", large) from error
        return int(sent.offset)

    async def stop(self) -> None:
        """Close the producer, for good or until `start`."""
        producer, self._producer = self._producer, None
        if producer is not None:
            with contextlib.suppress(KafkaError):  # it failed already: the log shows what arrived
                await producer.stop()
