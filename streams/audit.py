"""Do all workers of a model have the same state? Compared at every N-th log offset, through the store.

Equal log offsets mean equal bytes, unless memory, a processor or this program is broken. So each worker
publishes the digest of its fold at certain log offsets and looks at the others'. Where they differ, each
folds the log again to that offset: the log says who is right, or the majority does when the log's
beginning is gone. A worker that is wrong stops; one that is right says who is not, and writes whole
checkpoints over theirs. Until it knows, a worker saves nothing.
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
Distrust = Callable[[list[str]], None]


class Unequal(GradstreamError):
    """This worker's state is not what the log says."""


class Auditor:
    """Compares one worker's fold of a model with the other workers'."""

    def __init__(
        self, model: str, worker: str, store: CheckpointStore, again: Again, distrust: Distrust
    ) -> None:
        """`distrust` is told of the workers whose state is wrong."""
        self._model = model
        self._worker = worker
        self._store = store
        self._again = again
        self._distrust = distrust
        self.in_doubt = False
        """Whether this worker's state may be the wrong one: found to differ, and not yet judged right."""
        self._mine: dict[int, str] = {}
        self._unpublished: set[int] = set()
        self._wrong: set[str] = set()
        self._log = logger(model=model)

    def note(self, offset: int, digest: str) -> None:
        """The fold had this digest at `offset`."""
        self._mine[offset] = digest
        self._unpublished.add(offset)
        for old in sorted(self._mine)[:-KEPT_DIGESTS]:
            del self._mine[old]
            self._unpublished.discard(old)

    async def compare(self) -> None:
        """Publish, and look at the others'; raises Unequal when this worker is wrong, or StoreUnavailable."""
        if not self._mine:
            return
        mine = dict(self._mine)  # more is noted while the store or the log is asked
        new = {offset: mine[offset] for offset in self._unpublished}
        found = await self._store.compare(self._model, self._worker, new)
        self._unpublished -= new.keys()
        for offset in sorted(found.keys() & mine.keys()):
            trusted = {digest for worker, digest in found[offset].items() if worker not in self._wrong}
            self.in_doubt = len(trusted) > 1
            if self.in_doubt:
                await self._judge(offset, mine[offset], found[offset])
        self.in_doubt = False

    async def _judge(self, offset: int, mine: str, digests: Mapping[str, str]) -> None:
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
        with contextlib.suppress(StoreUnavailable):  # the log line, or this worker's end, tells it too
            await self._store.note_unequal(self._model, msgspec.json.encode(finding).decode())
        if truth != mine:
            others = ", ".join(sorted(worker for worker, digest in digests.items() if digest != mine))
            reason = "theirs is right" if truth else "nobody can tell which is right"
            if truth and truth not in digests.values():
                reason = "the log gives yet another one"
            raise Unequal(
                f"model {self._model}: at log offset {offset} this worker ({self._worker}) has another state "
                f"than {others}, and {reason}; it stops. Start it again; if it stops again, compare Redis "
                f"with the log: gradstream verify {self._model}"
            )
        self._log.error("another worker has a wrong state", log_offset=offset, differing=wrong)
        self._wrong.update(wrong)
        self._distrust(wrong)


def wrong_workers(finding: str | None) -> set[str]:
    """The workers that a stored finding calls wrong; nobody where it is not known who is right."""
    try:
        found = msgspec.json.decode(finding or "{}", type=_Finding)
    except msgspec.MsgspecError:
        return set()
    return set(found.differing) if found.right is not None else set()


class _Finding(msgspec.Struct):
    """What of a stored finding decides whom to trust."""

    right: str | None = None
    differing: list[str] = []


def _majority(digests: Mapping[str, str]) -> str | None:
    digest, count = Counter(digests.values()).most_common(1)[0]
    return digest if 2 * count > len(digests) else None
