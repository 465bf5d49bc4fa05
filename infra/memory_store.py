"""Checkpoints in memory: the store for tests and for evaluating without a Redis."""

from __future__ import annotations

from collections.abc import Mapping

from infra.store import KEPT_DIGESTS, Checkpoint, Digests, SaveAnswer, StoreCorrupt


class MemoryStore:
    """A CheckpointStore that forgets when the process ends. Answers exactly as RedisStore does."""

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._checkpoints: dict[str, Checkpoint] = {}
        self._digests: dict[str, Digests] = {}
        self._unequal: dict[str, str] = {}

    async def register(self, model: str) -> None:
        """See CheckpointStore."""
        self._names.add(model)

    async def models(self) -> list[str]:
        """See CheckpointStore."""
        return sorted(self._names)

    async def load(self, model: str) -> Checkpoint | None:
        """See CheckpointStore."""
        found = self._checkpoints.get(model)
        return (
            None if found is None else Checkpoint(dict(found.text), dict(found.tensors), dict(found.weights))
        )

    async def load_text(self, model: str) -> Mapping[str, str]:
        """See CheckpointStore."""
        found = self._checkpoints.get(model)
        return {} if found is None else dict(found.text)

    async def load_weights(self, model: str) -> Mapping[str, str]:
        """See CheckpointStore."""
        found = self._checkpoints.get(model)
        return {} if found is None else dict(found.weights)

    async def save(self, model: str, checkpoint: Checkpoint) -> SaveAnswer:
        """See CheckpointStore."""
        found = self._checkpoints.get(model)
        if found is not None:
            if found.log_topic_id != checkpoint.log_topic_id:
                raise StoreCorrupt(f"model {model}: holds the checkpoint of another learning log")
            if found.log_offset >= checkpoint.log_offset:
                return "stale"
        if checkpoint.since is not None and (found is None or found.log_offset < checkpoint.since):
            return "full"
        kept = found if found is not None and checkpoint.since is not None else Checkpoint({}, {}, {})
        version = int(found.text["version"]) + 1 if found is not None else 1
        self._checkpoints[model] = Checkpoint(
            text={**(found.text if found is not None else {}), **checkpoint.text, "version": str(version)},
            tensors={**kept.tensors, **checkpoint.tensors},
            weights=dict(checkpoint.weights),
        )
        return "saved"

    async def compare(self, model: str, worker: str, digests: Mapping[int, str]) -> Digests:
        """See CheckpointStore."""
        found = self._digests.setdefault(model, {})
        for offset, digest in digests.items():
            found.setdefault(offset, {})[worker] = digest
        for offset in sorted(found)[:-KEPT_DIGESTS]:
            del found[offset]
        return {offset: dict(by_worker) for offset, by_worker in found.items()}

    async def note_unequal(self, model: str, text: str) -> None:
        """See CheckpointStore."""
        self._unequal[model] = text

    async def unequal(self, model: str) -> str | None:
        """See CheckpointStore."""
        return self._unequal.get(model)

    async def delete(self, model: str) -> int:
        """See CheckpointStore."""
        removed = int(self._checkpoints.pop(model, None) is not None)
        removed += int(self._digests.pop(model, None) is not None)
        removed += int(self._unequal.pop(model, None) is not None)
        known = model in self._names
        self._names.discard(model)
        return removed + int(known)

    async def close(self) -> None:
        """See CheckpointStore."""
