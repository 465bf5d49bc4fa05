"""Checkpoints in Redis: the public layout, atomic by one Lua script.

    gradstream:models            set of model names
    gradstream:{NAME}            hash: readable fields, among them version and log_offset
    gradstream:{NAME}:tensors    hash: tensor or block name → safetensors bytes
    gradstream:{NAME}:weights    hash: feature name → weight
    gradstream:{NAME}:audit      hash: LOG-OFFSET WORKER → digest of the worker's fold there
    gradstream:{NAME}:unequal    text: the last finding that workers differed
    gradstream:{NAME}:waiting:…  samples that wait for their labels (infra.redis_waiting)
    gradstream:{NAME}:updates    channel: each new version

The braces are literal: one model's keys share a slot of a Redis Cluster.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib import resources
from typing import Any, cast

import redis.exceptions
from pydantic import SecretStr

from infra.redis_clients import async_client, close, reason
from infra.settings_connections import RedisSettings
from infra.store import KEPT_DIGESTS, Checkpoint, Digests, SaveAnswer, StoreCorrupt, StoreUnavailable

MODELS = "gradstream:models"
STAGING_SECONDS = 600
CHUNK_BYTES = 8 * 1024 * 1024
LARGEST_PARTIAL_BYTES = 32 * 1024 * 1024
"""More than this in one script call would hold up Redis for everybody: it is saved as a whole, in chunks."""


def model_key(model: str, part: str = "") -> str:
    """The Redis key of a model's hash, or of one of its parts."""
    return f"gradstream:{{{model}}}" + (f":{part}" if part else "")


class RedisStore:
    """A CheckpointStore on one Redis server, or on the one that Sentinels call master."""

    def __init__(
        self,
        url: str,
        timeout: float = 5.0,
        sentinels: tuple[str, ...] = (),
        sentinel_master: str | None = None,
    ) -> None:
        """The arguments are the keys of [redis], already checked."""
        settings = RedisSettings.model_construct(
            url=SecretStr(url), timeout=timeout, sentinels=sentinels, sentinel_master=sentinel_master
        )
        self._shown = settings.address
        self._keys = settings.address_keys
        self._redis = async_client(settings)
        script = resources.files("infra").joinpath("scripts/save.lua").read_text("utf-8")
        self._save_script = self._redis.register_script(script)

    @classmethod
    def from_settings(cls, settings: RedisSettings) -> RedisStore:
        """The store that [redis] names: at its URL, or wherever its Sentinels say."""
        url = settings.url.get_secret_value()
        return cls(url, settings.timeout, settings.sentinels, settings.sentinel_master)

    async def register(self, model: str) -> None:
        """See CheckpointStore."""
        async with self.errors():
            await cast(Any, self._redis.sadd(MODELS, model))

    async def models(self) -> list[str]:
        """See CheckpointStore."""
        async with self.errors():
            return sorted(name.decode() for name in await cast(Any, self._redis.smembers(MODELS)))

    async def load(self, model: str) -> Checkpoint | None:
        """See CheckpointStore."""
        async with self.errors(), self._redis.pipeline(transaction=True) as pipe:
            for part in ("", "tensors", "weights"):
                pipe.hgetall(model_key(model, part))
            text, tensors, weights = await pipe.execute()
        if not text:
            return None
        checkpoint = Checkpoint(
            text=texts(text),
            tensors={name.decode(): value for name, value in tensors.items()},
            weights=texts(weights),
        )
        missing = {"log_offset", "log_topic_id", "digest", "spec"} - checkpoint.text.keys()
        if missing or not checkpoint.text["log_offset"].isdigit():
            raise StoreCorrupt(
                f"Redis key {model_key(model)}: not a gradstream checkpoint "
                f"({'no field ' + min(missing) if missing else 'log_offset is not a number'}); "
                f"delete the key to have it written again from the learning log"
            )
        return checkpoint

    async def load_text(self, model: str) -> Mapping[str, str]:
        """See CheckpointStore."""
        async with self.errors():
            return texts(await cast(Any, self._redis.hgetall(model_key(model))))

    async def load_weights(self, model: str) -> Mapping[str, str]:
        """See CheckpointStore."""
        async with self.errors():
            return texts(await cast(Any, self._redis.hgetall(model_key(model, "weights"))))

    async def save(self, model: str, checkpoint: Checkpoint) -> SaveAnswer:
        """See CheckpointStore."""
        size = sum(map(len, checkpoint.tensors.values()))
        if checkpoint.since is not None and size > LARGEST_PARTIAL_BYTES:
            return "full"
        staging = model_key(model, f"staging:{uuid.uuid4().hex}")
        async with self.errors():
            if checkpoint.since is None:
                await self._stage(staging, checkpoint.tensors)
            try:
                answer = await self._run(model, checkpoint, staging)
            finally:
                if checkpoint.since is None:
                    await self._redis.delete(staging)
        if answer == "foreign":
            raise StoreCorrupt(
                f"Redis key {model_key(model)}: holds the checkpoint of another learning log than "
                f"{checkpoint.log_topic_id}; nothing was overwritten; forget it: gradstream reset {model}"
            )
        return answer  # type: ignore[return-value]

    async def compare(self, model: str, worker: str, digests: Mapping[int, str]) -> Digests:
        """See CheckpointStore."""
        key = model_key(model, "audit")
        async with self.errors():
            if digests:
                fields = {f"{offset} {worker}": digest for offset, digest in digests.items()}
                await cast(Any, self._redis.hset(key, mapping=cast(Any, fields)))
            found: Digests = {}
            for field, digest in texts(await cast(Any, self._redis.hgetall(key))).items():
                offset, _, by = field.partition(" ")
                if offset.isdigit():
                    found.setdefault(int(offset), {})[by] = digest
            old = sorted(found)[:-KEPT_DIGESTS]
            gone = [f"{offset} {by}" for offset in old for by in found.pop(offset)]
            if gone:
                await cast(Any, self._redis.hdel(key, *gone))
        return found

    async def note_unequal(self, model: str, text: str) -> None:
        """See CheckpointStore."""
        async with self.errors():
            await self._redis.set(model_key(model, "unequal"), text)

    async def unequal(self, model: str) -> str | None:
        """See CheckpointStore."""
        async with self.errors():
            found = cast("bytes | None", await self._redis.get(model_key(model, "unequal")))
        return None if found is None else found.decode("utf-8", "replace")

    async def delete(self, model: str) -> int:
        """See CheckpointStore."""
        async with self.errors():
            keys = [key async for key in self._redis.scan_iter(match=_literal(model_key(model)) + "*")]
            removed = int(await self._redis.delete(*keys)) if keys else 0
            return removed + int(await cast(Any, self._redis.srem(MODELS, model)))

    async def close(self) -> None:
        """See CheckpointStore."""
        await close(self._redis)

    async def _stage(self, staging: str, tensors: Mapping[str, bytes]) -> None:
        """Write all blocks under a key of their own, a few megabytes at a time."""
        chunk: dict[str, bytes] = {}
        size = 0
        for name, value in tensors.items():
            chunk[name] = value
            size += len(value)
            if size >= CHUNK_BYTES:
                await cast(Any, self._redis.hset(staging, mapping=cast(Any, chunk)))
                chunk, size = {}, 0
        if chunk:
            await cast(Any, self._redis.hset(staging, mapping=cast(Any, chunk)))
        await self._redis.expire(staging, STAGING_SECONDS)

    async def _run(self, model: str, checkpoint: Checkpoint, staging: str) -> str:
        blocks = {} if checkpoint.since is None else checkpoint.tensors
        args: list[Any] = [
            checkpoint.log_offset,
            checkpoint.log_topic_id,
            "" if checkpoint.since is None else checkpoint.since,
            model_key(model, "updates"),
            len(checkpoint.text),
            len(blocks),
            len(checkpoint.weights),
        ]
        for table in (checkpoint.text, blocks, checkpoint.weights):
            args += [item for pair in table.items() for item in pair]
        keys = [model_key(model, part) for part in ("", "tensors", "weights")] + [staging]
        answer = await self._save_script(keys=keys, args=args)
        return answer.decode() if isinstance(answer, bytes) else str(answer)

    @property
    def client(self) -> Any:
        """The connection, for what else is kept of models."""
        return self._redis

    @asynccontextmanager
    async def errors(self) -> AsyncIterator[None]:
        """Turn what Redis raises into StoreUnavailable."""
        try:
            yield
        except (redis.exceptions.RedisError, OSError, TimeoutError) as error:
            raise StoreUnavailable(
                f"Redis at {self._shown}: {reason(error)}; check {self._keys}; "
                f"is it up, and does it take writes?"
            ) from error


def texts(table: Mapping[bytes, bytes]) -> dict[str, str]:
    """A hash of texts as Redis gives it."""
    return {name.decode(): value.decode("utf-8", "replace") for name, value in table.items()}


def _literal(key: str) -> str:
    """A SCAN pattern that matches `key` itself: brackets and stars in it are no wildcards."""
    return "".join(f"\\{c}" if c in "[]*?^\\" else c for c in key)
