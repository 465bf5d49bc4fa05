"""The clients of a late-label model, made where everything is put together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from infra.waiting_store import WaitingStore
from streams.topic_reader import TopicReader


@dataclass(frozen=True, slots=True)
class LateClients:
    """store: where samples wait; reader: makes the reader of the labels topic, see TopicReader."""

    store: WaitingStore
    reader: Callable[[Callable[[], Awaitable[None]], Callable[[], None]], TopicReader]
