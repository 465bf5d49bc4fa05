"""The contract of a store of samples that wait for their labels, and its side in memory.

What waits in a partition is a function of the learning log; a store makes a start quick, and holds what does
not fit in memory. As a checkpoint, it only has to be atomic and to move forward.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from infra.store import SaveAnswer


@dataclass(slots=True)
class WaitingSave:
    """What waits in one partition at a log offset, or what changed of it since another.

    about: readable fields, among them `log_offset` and `log_topic_id`; removed: ids that wait no longer;
    changed: sample id → the sample, as JSON, that waits after that. Changes to the state at the log offset
    `since`, and to no other: a sample that came and went between two saves is not named, and another worker
    may have saved while it waited. None: all that waits.
    """

    about: Mapping[str, str]
    changed: Mapping[str, bytes] = field(default_factory=dict)
    removed: Collection[str] = ()
    since: int | None = None


class WaitingStore(Protocol):
    """Where samples wait. All methods may raise StoreUnavailable."""

    async def about(self, model: str, partition: int) -> Mapping[str, str]:
        """The readable fields of a partition; without `log_offset` what is stored counts for nothing."""

    async def save(self, model: str, partition: int, save: WaitingSave) -> SaveAnswer:
        """Store it, if it moves forward; answers as CheckpointStore.save."""

    async def samples(self, model: str, partition: int, ids: Sequence[str]) -> list[bytes | None]:
        """The stored samples of these ids, None where there is none."""

    def scan(self, model: str, partition: int) -> AsyncIterator[Mapping[str, bytes]]:
        """All samples that wait in a partition, a few thousand at a time; one may come twice."""

    async def memory(self) -> tuple[int, int]:
        """Bytes that the store uses, and that it may use; 0: it has no limit."""


class MemoryWaitingStore:
    """A WaitingStore in this process."""

    def __init__(self) -> None:
        self.abouts: dict[tuple[str, int], dict[str, str]] = {}
        self.waiting: dict[tuple[str, int], dict[str, bytes]] = {}

    async def about(self, model: str, partition: int) -> Mapping[str, str]:
        """See WaitingStore."""
        return dict(self.abouts.get((model, partition), {}))

    async def save(self, model: str, partition: int, save: WaitingSave) -> SaveAnswer:
        """See WaitingStore."""
        key, new = (model, partition), int(save.about["log_offset"])
        stored = self.abouts.get(key, {})
        same = stored.get("log_topic_id") == save.about["log_topic_id"]
        at = int(stored["log_offset"]) if same and "log_offset" in stored else None
        if at is not None and at >= new:
            return "stale"
        if save.since is not None and at != save.since:
            return "full"
        rows = self.waiting.setdefault(key, {})
        if save.since is None:
            rows.clear()
        for one in save.removed:
            rows.pop(one, None)
        rows.update(save.changed)
        self.abouts[key] = dict(save.about)
        return "saved"

    async def samples(self, model: str, partition: int, ids: Sequence[str]) -> list[bytes | None]:
        """See WaitingStore."""
        rows = self.waiting.get((model, partition), {})
        return [rows.get(one) for one in ids]

    async def scan(self, model: str, partition: int) -> AsyncIterator[Mapping[str, bytes]]:
        """See WaitingStore."""
        yield dict(self.waiting.get((model, partition), {}))

    async def memory(self) -> tuple[int, int]:
        """See WaitingStore."""
        return 0, 0
