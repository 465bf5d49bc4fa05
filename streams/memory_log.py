"""The learning log in memory: for tests without Kafka, with every fault of a log at a test's command.

`MemoryLog` is the broker's side, shared by any number of readers and writers. Nothing in it happens by chance
or by the clock: appends arrive at once unless the log holds them, and a held `Append` arrives, is answered,
fails or comes twice when the test says so, in any order and combination that a network allows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from streams.learning_log import MAX_RECORD_BYTES, RECORDS_A_RUN, AppendFailed, LogGone
from streams.log_format import Body, LogRecord, envelope, parse_record

Headers = Sequence[tuple[str, bytes]]


class Append:
    """A record on its way to the log, and the answer on its way back."""

    def __init__(self, log: MemoryLog, key: bytes, value: bytes | None, headers: Headers) -> None:
        self.key = key
        self.value = value
        self.headers = headers
        self.offset: int | None = None
        """Where it arrived (last)."""
        self._log = log
        self._answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    @property
    def answered(self) -> bool:
        """Whether its writer waits no more: it was told, or it is gone."""
        return self._answer.done()

    def arrive(self) -> int:
        """The log has it: for the first time, late, or once more; returns its offset."""
        self.offset = self._log.put(self.key, self.value, self.headers)
        return self.offset

    def succeed(self) -> None:
        """Its writer hears that it arrived; it does so now if it has not."""
        offset = self.arrive() if self.offset is None else self.offset
        if not self.answered:
            self._answer.set_result(offset)

    def fail(self, reason: str = "RequestTimedOutError") -> None:
        """Its writer hears of a failure, which says nothing of whether it has arrived, or will."""
        if not self.answered:
            self._answer.set_exception(AppendFailed(f"{self._log.topic}: {reason}"))

    async def wait(self) -> int:
        """The writer's side: the offset; raises AppendFailed."""
        return await self._answer


class MemoryLog:
    """All records of one learning log."""

    def __init__(self, topic: str = "memory.learning-log") -> None:
        self.topic = topic
        self.start = 0
        """Offset of the first record."""
        self.holding = False
        """Whether appends wait in `held` for the test."""
        self.held: list[Append] = []
        """All that were held, oldest first; the test takes out what it is done with."""
        self._records: list[tuple[bytes | None, bytes | None, Headers]] = []
        self._changed = asyncio.Event()

    @property
    def end(self) -> int:
        """Offset after the last record."""
        return self.start + len(self._records)

    def put(self, key: bytes | None, value: bytes | None, headers: Headers) -> int:
        """A record as bytes, whoever wrote it; returns its offset."""
        self._records.append((key, value, tuple(headers)))
        self.notify()
        return self.end - 1

    def records(self, start: int, stop: int) -> list[LogRecord]:
        """The records of offsets [start, stop) that there are; raises UnknownFormat."""
        first = max(start, self.start)
        found = self._records[first - self.start : max(0, stop - self.start)]
        return [parse_record(first + i, *record) for i, record in enumerate(found)]

    def send(self, append: Append) -> None:
        """A writer's record leaves: it is held, or arrives and is answered at once."""
        if self.holding:
            self.held.append(append)
        else:
            append.succeed()

    def truncate(self, end: int) -> None:
        """Lose the records from offset `end` on, as after an unclean election; the next one stands there."""
        del self._records[max(0, end - self.start) :]
        self.notify()

    def delete_before(self, start: int) -> None:
        """Lose the records before offset `start`, as by retention."""
        del self._records[: start - self.start]
        self.start = start
        self.notify()

    def notify(self) -> None:
        """Whoever waits for records looks again."""
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def change(self) -> None:
        """Wait for `notify`."""
        await self._changed.wait()


class MemoryLogReader:
    """A reader of a MemoryLog; see Reader."""

    def __init__(self, log: MemoryLog) -> None:
        self.topic = log.topic
        self._log = log
        self._position = 0
        self._until: int | None = None

    def show(self, until: int | None) -> None:
        """Let it read no record from offset `until` on, as if they were slow to come; None: all."""
        self._until = until
        self._log.notify()

    async def start(self) -> None:
        """See Reader."""

    def stand(self, offset: int) -> None:
        """See Reader."""
        self._position = offset

    async def bounds(self) -> tuple[int, int]:
        """See Reader."""
        return self._log.start, self._log.end

    async def end(self) -> int:
        """See Reader."""
        return self._log.end

    async def run(self, timeout_ms: int = 1000) -> list[LogRecord]:
        """See Reader."""
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                while not (found := self._next()):
                    await self._log.change()
        except TimeoutError:
            return []
        self._position = found[-1].offset + 1
        return found

    async def stop(self) -> None:
        """See Reader."""

    def _next(self) -> list[LogRecord]:
        log, position = self._log, self._position
        if not log.start <= position <= log.end:
            raise LogGone(
                f"{self.topic}: offset {position} is to be read next, the log has [{log.start}, {log.end}); "
                "forget the model: gradstream reset"
            )
        stop = position + RECORDS_A_RUN
        return log.records(position, stop if self._until is None else min(stop, self._until))


class MemoryLogWriter:
    """A writer to a MemoryLog; see Writer."""

    def __init__(self, log: MemoryLog) -> None:
        self.topic = log.topic
        self._log = log
        self._open = False

    async def start(self) -> None:
        """See Writer."""
        self._open = True

    async def append(self, kind: str, worker: str, seq: int, value: Body | None, **headers: object) -> int:
        """See Writer."""
        if not self._open:
            raise AppendFailed(f"{self.topic}: the writer is closed")
        append = Append(
            self._log,
            kind.encode(),
            None if value is None else bytes(value),
            envelope(worker, seq, **headers),
        )
        try:
            if len(value or b"") > MAX_RECORD_BYTES:
                raise AppendFailed(f"{self.topic}: {len(value or b'')} bytes, at most {MAX_RECORD_BYTES}")
            self._log.send(append)
            return await append.wait()
        except AppendFailed:
            await self.stop()
            raise

    async def stop(self) -> None:
        """See Writer."""
        self._open = False


if TYPE_CHECKING:  # what else a type checker is to hold
    from streams.learning_log import LogReader, LogWriter
    from streams.log_contract import Reader, Writer

    READERS: tuple[type[Reader], ...] = (LogReader, MemoryLogReader)
    WRITERS: tuple[type[Writer], ...] = (LogWriter, MemoryLogWriter)
