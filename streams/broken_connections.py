"""A connection that breaks while something is written to it, told to aiokafka as it expects to be told.

aiokafka takes an OSError for a broken connection, and asks the broker again. uvloop raises RuntimeError
when a transport was closed a moment before; that would end the task that fetches, sends or keeps a group's
membership, and nobody would hear of it.
"""

from __future__ import annotations

from typing import Any

from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError

_send = AIOKafkaConnection.send


def _send_or_break(self: AIOKafkaConnection, request: Any, expect_response: bool = True) -> Any:
    try:
        return _send(self, request, expect_response)
    except RuntimeError as error:
        self.close(reason=CloseReason.CONNECTION_BROKEN)
        raise KafkaConnectionError(f"Connection at {self.host}:{self.port} broken: {error}") from error


def install() -> None:
    """For all aiokafka clients of this process."""
    AIOKafkaConnection.send = _send_or_break


def fetching_ended(consumer: Any) -> BaseException | None:
    """Why a consumer will never fetch again, although it lives; None while it fetches."""
    task = getattr(getattr(consumer, "_fetcher", None), "_fetch_task", None)
    if task is None or not task.done() or task.cancelled():
        return None
    error: BaseException | None = task.exception()
    return error
