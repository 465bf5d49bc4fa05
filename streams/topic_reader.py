"""Reads partitions of one topic ahead of need, each from where it was put; no group, no commits.

A model reads its labels with it: which partitions a worker owns is decided by the samples topic, and the
labels of partition p belong to the samples of partition p. So does a model that is behind the others of its
samples topic.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, OffsetOutOfRangeError

from streams.broken_connections import fetching_ended
from streams.learning_log import LogError
from streams.records import Record

FETCH_WAIT_MS = 100
RECORDS_A_BATCH = 20_000
MOST_RECORDS = 40_000
"""Read ahead of a partition, about; more stays with the broker."""
WAIT_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Piece:
    """Records of [start, stop): fetch positions, so gaps of compacted topics lie between them."""

    start: int
    stop: int
    records: Sequence[Record]


@dataclass(slots=True)
class _Inbox:
    read: int  # next fetch position
    pieces: deque[Piece] = field(default_factory=deque)
    seeks: int = 0

    @property
    def full(self) -> bool:
        return sum(len(piece.records) for piece in self.pieces) >= MOST_RECORDS


class TopicReader:
    """See the module. `arrived` is called when there is more, or when an end is known."""

    def __init__(
        self,
        topic: str,
        client_config: dict[str, Any],
        arrived: Callable[[], Awaitable[None]],
        out_of_range: Callable[[], None],
    ) -> None:
        self.topic = topic
        self._arrived = arrived
        self._out_of_range = out_of_range
        self._inboxes: dict[int, _Inbox] = {}
        self._changed = asyncio.Event()
        self._started = asyncio.Event()
        self._consumer = AIOKafkaConsumer(
            **client_config,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            fetch_max_wait_ms=FETCH_WAIT_MS,
            check_crcs=False,
        )

    async def start(self) -> None:
        """Connect; `run` comes next, `stand` at any time. Raises LogError."""
        try:
            await self._consumer.start()
        except (KafkaError, OSError) as error:
            raise self._failed(error) from error
        self._started.set()
        self._assign()

    def stand(self, partition: int, offset: int) -> None:
        """Read a partition from `offset` on, and forget what was read ahead."""
        inbox = self._inboxes.get(partition)
        if inbox is None:
            self._inboxes[partition] = _Inbox(offset)
            self._assign()
        else:
            inbox.read = offset
            inbox.pieces.clear()
            inbox.seeks += 1
            if self._started.is_set():
                self._consumer.seek(self._tp(partition), offset)
        self._changed.set()

    def keep(self, partitions: set[int]) -> None:
        """Read no partitions but these any more."""
        gone = self._inboxes.keys() - partitions
        for partition in gone:
            del self._inboxes[partition]
        if gone:
            self._assign()

    def peek(self, partition: int) -> Piece | None:
        """What is next, if it is here."""
        inbox = self._inboxes.get(partition)
        return inbox.pieces[0] if inbox is not None and inbox.pieces else None

    def take(self, partition: int) -> Piece:
        """What `peek` gave; it is gone from here."""
        piece = self._inboxes[partition].pieces.popleft()
        self._changed.set()
        return piece

    def ended(self, partition: int) -> bool:
        """Whether nothing is next, as far as the broker's last answer tells."""
        inbox = self._inboxes.get(partition)
        if inbox is None or inbox.pieces:
            return False
        state = self._state(partition)
        return state is not None and state.lso is not None and inbox.read >= state.lso

    async def end(self, partition: int) -> int:
        """Offset after the last record that can be read now; raises LogError."""
        tp = self._tp(partition)
        await self._started.wait()
        try:
            return int((await self._consumer.end_offsets([tp]))[tp])
        except (KafkaError, OSError) as error:
            raise self._failed(error) from error

    async def run(self) -> None:
        """Read for ever; raises LogError."""
        while True:
            wanted = {p: inbox.seeks for p, inbox in self._inboxes.items() if not inbox.full}
            if not wanted:
                self._changed.clear()
                await self._changed.wait()
                continue
            if (ended := fetching_ended(self._consumer)) is not None:
                raise self._failed(ended)
            known = {p: self.ended(p) for p in wanted}
            try:
                fetched = await self._consumer.getmany(
                    *map(self._tp, wanted),
                    timeout_ms=int(WAIT_SECONDS * 1000),
                    max_records=RECORDS_A_BATCH,
                )
            except OffsetOutOfRangeError:
                self._out_of_range()
                await asyncio.sleep(WAIT_SECONDS)
                continue
            except (KafkaError, OSError) as error:
                raise self._failed(error) from error
            news = [self._arrive(p, seeks, fetched) for p, seeks in wanted.items()]
            if any(news) or any(self.ended(p) and not before for p, before in known.items()):
                await self._arrived()

    def _arrive(self, partition: int, seeks: int, fetched: dict[TopicPartition, list[Record]]) -> bool:
        """Put what came of a partition into its inbox; whether anything did."""
        inbox, state = self._inboxes.get(partition), self._state(partition)
        if inbox is None or state is None:
            return False
        if inbox.seeks != seeks:  # sought meanwhile: nobody knows what this was fetched after
            self._consumer.seek(self._tp(partition), inbox.read)
            return False
        if state._position is None or state._position <= inbox.read:
            return False
        records = fetched.get(self._tp(partition), [])
        inbox.pieces.append(Piece(inbox.read, state._position, records))
        inbox.read = state._position
        return True

    async def stop(self) -> None:
        """Close the connection."""
        await self._consumer.stop()

    def _assign(self) -> None:
        if not self._started.is_set():
            return
        if not self._inboxes:
            self._consumer.unsubscribe()
            return
        self._consumer.assign([self._tp(partition) for partition in self._inboxes])
        for partition, inbox in self._inboxes.items():
            inbox.seeks += 1  # what an older assignment fetches is not known here
            self._consumer.seek(self._tp(partition), inbox.read)

    def _state(self, partition: int) -> Any:
        subscription = self._consumer._subscription.subscription
        assignment = subscription.assignment if subscription is not None else None
        return None if assignment is None else assignment.state_value(self._tp(partition))

    def _tp(self, partition: int) -> TopicPartition:
        return TopicPartition(self.topic, partition)

    def _failed(self, error: BaseException) -> LogError:
        return LogError(f"{self.topic}: cannot be read: {type(error).__name__}: {error}")
