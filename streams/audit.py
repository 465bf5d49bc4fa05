"""Do all workers of a model have the same state? Compared at every N-th log offset, through the store.

Equal log offsets mean equal bytes, unless memory, a processor or this program is broken. So each worker
publishes the digest of its fold at certain log offsets and looks at the others'. Where they differ, each
folds the log again to that offset: the log says who is right, or the majority does when the log's
beginning is gone. A worker that is wrong stops; one that is right says who is not, and writes its next
checkpoint whole.
"""

from __future__ import annotations

import contextlib
import datetime
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping

import msgspec

from infra.logs import logger
from infra.store import KEPT_DIGESTS, CheckpointStore, StoreUnavailable
from models.errors import GradstreamError

Again = Callable[[int], Awaitable[str | None]]
"""The digest of the log folded anew up to an offset; None where the log does not begin at its beginning."""


class Unequal(GradstreamError):
    """This worker's state is not what the log says."""


class Auditor:
    """Compares one worker's fold of a model with the other workers'."""

    def __init__(
        self, model: str, worker: str, store: CheckpointStore, again: Again, doubt: Callable[[], None]
    ) -> None:
        """`doubt` is called when another worker may have saved a wrong state."""
        self._model = model
        self._worker = worker
        self._store = store
        self._again = again
        self._doubt = doubt
        self._mine: dict[int, str] = {}
        self._unpublished: set[int] = set()
        self._settled: set[int] = set()
        self._log = logger(model=model)

    def note(self, offset: int, digest: str) -> None:
        """The fold had this digest at `offset`."""
        self._mine[offset] = digest
        self._unpublished.add(offset)
        for old in sorted(self._mine)[:-KEPT_DIGESTS]:
            del self._mine[old]
            self._unpublished.discard(old)
            self._settled.discard(old)

    async def compare(self) -> None:
        """Publish, and look at the others'; raises Unequal when this worker is wrong, or StoreUnavailable."""
        if not self._mine:
            return
        new = {offset: self._mine[offset] for offset in self._unpublished}
        found = await self._store.compare(self._model, self._worker, new)
        self._unpublished -= new.keys()
        for offset in sorted(found.keys() & self._mine.keys() - self._settled):
            if len(set(found[offset].values())) > 1:
                await self._judge(offset, found[offset])

    async def _judge(self, offset: int, digests: Mapping[str, str]) -> None:
        mine = self._mine[offset]
        truth = await self._again(offset) or _majority(digests)
        wrong = sorted(worker for worker, digest in digests.items() if digest != truth)
        finding = {
            "log_offset": offset,
            "workers": digests,
            "right": truth,
            "differing": wrong,
            "found_by": self._worker,
            "found_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        }
        self._settled.add(offset)
        with contextlib.suppress(StoreUnavailable):  # the log line, or this worker's end, tells it too
            await self._store.note_unequal(self._model, msgspec.json.encode(finding).decode())
        if truth != mine:
            reason = "the log gives another one" if truth else "nobody can tell which is right"
            raise Unequal(
                f"model {self._model}: at log offset {offset} this worker ({self._worker}) has another state "
                f"than {', '.join(sorted(digests.keys() - {self._worker}))}, and {reason}; it stops. "
                "Start it again; if it stops again, compare Redis with the log: "
                f"gradstream verify {self._model}"
            )
        self._log.error("another worker has a wrong state", log_offset=offset, differing=wrong)
        self._doubt()


def _majority(digests: Mapping[str, str]) -> str | None:
    digest, count = Counter(digests.values()).most_common(1)[0]
    return digest if 2 * count > len(digests) else None
