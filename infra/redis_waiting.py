"""Samples that wait for their labels, in Redis.

gradstream:{NAME}:waiting:PARTITION         hash: sample id → the encoded sample and its prediction, JSON
gradstream:{NAME}:waiting:PARTITION:about   hash: log offset that it stands at, counts, early labels
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from importlib import resources
from typing import Any, cast

from infra.redis_store import RedisStore, model_key, texts
from infra.store import SaveAnswer
from infra.waiting_store import WaitingSave

IN_ONE_CALL = 5_000
"""More samples in one script call would hold up Redis for everybody."""
SCANNED = 5_000


class RedisWaitingStore:
    """A WaitingStore on the server of a RedisStore."""

    def __init__(self, store: RedisStore) -> None:
        self._store = store
        self._redis = store.client
        script = resources.files("infra").joinpath("scripts/waiting.lua").read_text("utf-8")
        self._script = self._redis.register_script(script)

    async def about(self, model: str, partition: int) -> Mapping[str, str]:
        """See WaitingStore."""
        async with self._store.errors():
            return texts(await cast(Any, self._redis.hgetall(_keys(model, partition)[1])))

    async def save(self, model: str, partition: int, save: WaitingSave) -> SaveAnswer:
        """See WaitingStore."""
        removed = list(save.removed)
        if len(save.changed) + len(removed) <= IN_ONE_CALL:
            return await self._call(
                model, partition, save, "partial", save.about, list(save.changed.items()), removed
            )
        token = uuid.uuid4().hex
        answer = await self._call(model, partition, save, "begin", {}, (), (), token)
        for start in range(0, len(removed), IN_ONE_CALL):
            if answer == "saved":
                gone = removed[start : start + IN_ONE_CALL]
                answer = await self._call(model, partition, save, "put", {}, (), gone, token)
        changed = iter(save.changed.items())
        while answer == "saved" and (piece := list(itertools.islice(changed, IN_ONE_CALL))):
            answer = await self._call(model, partition, save, "put", {}, piece, (), token)
        if answer == "saved":
            answer = await self._call(model, partition, save, "end", save.about, (), (), token)
        return answer

    async def samples(self, model: str, partition: int, ids: Sequence[str]) -> list[bytes | None]:
        """See WaitingStore."""
        if not ids:
            return []
        async with self._store.errors():
            return list(await cast(Any, self._redis.hmget(_keys(model, partition)[0], list(ids))))

    async def scan(self, model: str, partition: int) -> AsyncIterator[Mapping[str, bytes]]:
        """See WaitingStore."""
        cursor = 0
        while True:
            async with self._store.errors():
                cursor, found = await cast(
                    Any, self._redis.hscan(_keys(model, partition)[0], cursor, count=SCANNED)
                )
            yield {name.decode(): value for name, value in found.items()}
            if not cursor:
                return

    async def memory(self) -> tuple[int, int]:
        """See WaitingStore."""
        async with self._store.errors():
            found = await cast(Any, self._redis.info("memory"))
        return int(found.get("used_memory", 0)), int(found.get("maxmemory", 0))

    async def _call(
        self,
        model: str,
        partition: int,
        save: WaitingSave,
        mode: str,
        about: Mapping[str, str],
        changed: Sequence[tuple[str, bytes]],
        removed: Sequence[str],
        token: str = "",
    ) -> SaveAnswer:
        since = "" if save.since is None else save.since
        args: list[Any] = [mode, save.about["log_offset"], save.about["log_topic_id"], since, token]
        args += [len(about), len(removed), len(changed)]
        args += [item for pair in about.items() for item in pair]
        args += removed
        args += [item for pair in changed for item in pair]
        async with self._store.errors():
            answer = await self._script(keys=_keys(model, partition), args=args)
        text = answer.decode() if isinstance(answer, bytes) else str(answer)
        return "full" if text == "lost" else cast(SaveAnswer, text)


def _keys(model: str, partition: int) -> list[str]:
    key = model_key(model, f"waiting:{partition}")
    return [key, f"{key}:about"]
