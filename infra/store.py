"""The contract of a checkpoint store: the fold's state of each model at a log offset.

    StoreError
    ├── StoreUnavailable    nothing answered, or it refused to write: try again later
    └── StoreCorrupt        what is stored is not what was saved

A store never decides what a model's state is: the learning log does. So a save only has to be atomic and
to move forward, and losing the store costs time, not knowledge.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from models.errors import GradstreamError

Digests = dict[int, dict[str, str]]
"""Log offset → worker → digest of the fold there."""
KEPT_DIGESTS = 256
"""So many audited log offsets are kept for comparison."""

SaveAnswer = Literal["saved", "stale", "full"]
"""saved; stale: the store holds this log offset or a later one; full: only a full save will do."""


class StoreError(GradstreamError):
    """The store cannot be used."""


class StoreUnavailable(StoreError):
    """The store did not answer, or refused; nothing was changed."""


class StoreCorrupt(StoreError):
    """What the store holds is not a checkpoint that gradstream saved."""


@dataclass(slots=True)
class Checkpoint:
    """One model's state at a log offset.

    text: readable fields, among them `log_offset` and `log_topic_id`; tensors: tensor or block name →
    safetensors bytes; weights: feature name → weight as text. In a partial save `tensors` holds the changed
    blocks alone, complete since the log offset `since`.
    """

    text: dict[str, str]
    tensors: dict[str, bytes] = field(default_factory=dict)
    weights: dict[str, str] = field(default_factory=dict)
    since: int | None = None

    @property
    def log_offset(self) -> int:
        """Offset of the next log record to fold."""
        return int(self.text["log_offset"])

    @property
    def log_topic_id(self) -> str:
        """Id of the log's topic: offsets of another topic mean nothing here."""
        return self.text["log_topic_id"]


class CheckpointStore(Protocol):
    """Where checkpoints live. All methods may raise StoreUnavailable."""

    async def register(self, model: str) -> None:
        """Add the model to the set of known names."""

    async def models(self) -> list[str]:
        """The known names, sorted."""

    async def load(self, model: str) -> Checkpoint | None:
        """The stored checkpoint, None where there is none. Raises StoreCorrupt."""

    async def load_text(self, model: str) -> Mapping[str, str]:
        """The readable fields alone; empty where there is no checkpoint."""

    async def load_weights(self, model: str) -> Mapping[str, str]:
        """Feature name → weight, as last saved."""

    async def save(self, model: str, checkpoint: Checkpoint) -> SaveAnswer:
        """Store it, all or nothing, and only if it moves forward.

        With the stored checkpoint at log offset s of the same topic id: a save at n ≤ s is "stale"; a
        partial one (`since` given) is taken if since ≤ s < n, else the answer is "full"; a full one is
        taken if s < n, or nothing is stored. A stored checkpoint of another topic id is never replaced:
        StoreCorrupt.
        """

    async def compare(self, model: str, worker: str, digests: Mapping[int, str]) -> Digests:
        """Publish a worker's digests of the fold, by log offset; returns those of all workers.

        What lies more than KEPT_DIGESTS offsets back is forgotten.
        """

    async def note_unequal(self, model: str, text: str) -> None:
        """Keep the last finding that workers differed, for people to see."""

    async def unequal(self, model: str) -> str | None:
        """The last finding that workers differed; None if there was none."""

    async def delete(self, model: str) -> int:
        """Remove all that is stored of the model; returns how many keys there were."""

    async def close(self) -> None:
        """Give back connections."""
