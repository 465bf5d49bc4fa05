"""What a learning log is to those who read and append: kept by the one on Kafka and by the one in memory.

Both sides raise the errors of streams.learning_log. A log is one sequence of records; its first offsets may
be gone (retention), and readers and writers are many. tests/streams/test_logs.py holds both sides to it.
"""

from __future__ import annotations

from typing import Protocol

from streams.learning_log import LogError
from streams.log_format import Body, LogRecord


class Reader(Protocol):
    """Reads one learning log in order, from where it was last put."""

    @property
    def topic(self) -> str:
        """The log's name, for messages."""

    async def start(self) -> None:
        """Connect; `stand` comes next. Raises LogError."""

    def stand(self, offset: int) -> None:
        """Read from `offset` on. Whether the log has it is found out by `run`."""

    async def bounds(self) -> tuple[int, int]:
        """Offsets of the first record and after the last one."""

    async def end(self) -> int:
        """Offset after the last record now: one that was answered to a writer is before it."""

    async def run(self, timeout_ms: int = 1000) -> list[LogRecord]:
        """The next records in log order, at least one unless none came within the time.

        Raises LogGone when the position is outside of the log, UnknownFormat for another release's record.
        """

    async def stop(self) -> None:
        """Close the connection; also of one that was not started."""


class Writer(Protocol):
    """Appends to one learning log, one record after the other."""

    @property
    def topic(self) -> str:
        """The log's name, for messages."""

    async def start(self) -> None:
        """Connect, for the first time or again after a failure; raises LogError."""

    async def append(self, kind: str, worker: str, seq: int, value: Body | None, **headers: object) -> int:
        """Append one record, and return its offset when it is there to stay.

        Raises AppendFailed, and then nobody knows whether the record is there, or will be: the writer is
        closed, and nothing else goes out before `start`.
        """

    async def stop(self) -> None:
        """Close, for good or until `start`; also one that is closed."""


SILENCE = 30
"""Seconds after which a log that has records and gives none counts as unreachable."""


async def next_records(reader: Reader) -> list[LogRecord]:
    """The next records of a log that has some; raises LogError when none arrives, and as `run` does."""
    for _ in range(SILENCE):
        if run := await reader.run(timeout_ms=1000):
            return run
    raise LogError(f"{reader.topic}: no record arrived within {SILENCE} s; is a broker down?")
