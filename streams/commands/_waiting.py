"""What waits for labels, read from Redis: one id in all partitions, and how much memory all of it takes.

Redis is as of each partition's last save, so a sample that came a moment ago may not be there yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import redis.exceptions

from infra.redis_store import model_key
from models.errors import GradstreamError
from streams.commands._live import NOT_WRITTEN, NotReadable, not_readable
from streams.ingest_text import shown
from streams.labels.codec import EarlyLabel
from streams.labels.stored import StoredSample

if TYPE_CHECKING:
    from infra.redis_store import RedisStore
    from streams.commands._live import LiveModel

MEMORY_SAMPLES = 5
"""Fields of a hash by which Redis estimates how much all of them take."""
_ABOUT = ("log_offset", "log_topic_id", "token", "sample_time", "label_time", "early", "joined")


class NothingWaits(GradstreamError):
    """No sample of this id waits, no label of it is kept, and none was joined lately."""


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition of a late-label model, with the topic of its labels."""

    topic: str
    number: int
    label_topic: str


@dataclass(frozen=True, slots=True)
class Found:
    """What one partition knows of an id, at a log offset; clocks in ms, of samples and labels."""

    partition: Partition
    log_offset: int
    clocks: tuple[int, int]
    sample: StoredSample | None
    early: EarlyLabel | None
    joined: bool


def partitions(live: LiveModel) -> list[Partition]:
    """The partitions of a late-label model, as its checkpoint has them; raises NotReadable."""
    try:
        standings = live.json("standings", "[]")
        found = [Partition(topic, int(number), at["label_topic"]) for topic, _, number, at in standings]
    except NOT_WRITTEN as error:
        raise not_readable(live.name, error) from None
    return sorted(found, key=lambda one: one.number)


async def bytes_taken(store: RedisStore, live: LiveModel) -> int | None:
    """Bytes that Redis needs for what waits, about; None where it does not tell. Raises StoreUnavailable."""
    total = 0
    for partition in partitions(live):
        key = _key(live, partition)
        for one in (key, f"{key}:about"):
            async with store.errors():
                try:
                    total += int(await store.client.memory_usage(one, samples=MEMORY_SAMPLES) or 0)
                except redis.exceptions.ResponseError:  # a server without the command, or no right to it
                    return None
    return total


async def find(store: RedisStore, live: LiveModel, id_: str) -> list[Found]:
    """What partitions know of an id; raises NothingWaits, NotReadable and StoreUnavailable."""
    found: list[Found] = []
    saving: list[str] = []
    for partition in partitions(live):
        key = _key(live, partition)
        sample, about = await _read(store, key, id_)
        if "token" in about and "log_offset" not in about:
            saving.append(f"{partition.topic}-{partition.number}")
        elif about.get("log_topic_id", b"").decode("utf-8", "replace") == live.text["log_topic_id"]:
            try:
                one = _decoded(partition, id_, sample, about)
            except NOT_WRITTEN as error:
                raise _not_readable(key, error) from None
            found += [one] if one.sample or one.early or one.joined else []
    if found:
        return found
    what = f"model '{live.name}': no sample {shown(id_)} waits"
    if saving:
        raise NothingWaits(f"{what}; but {', '.join(saving)} is being saved just now: try again")
    raise NothingWaits(f"{what}, no label of it is kept, and it is not among those that were joined last")


async def _read(store: RedisStore, key: str, id_: str) -> tuple[bytes | None, dict[str, bytes]]:
    """The sample of this id in one partition, and what stands there about the partition."""
    async with store.errors():
        try:
            sample = await store.client.hget(key, id_)
            values = await store.client.hmget(f"{key}:about", _ABOUT)
        except redis.exceptions.ResponseError as error:
            if not str(error).startswith("WRONGTYPE"):
                raise
            raise _not_readable(key, error) from None
    return sample, {name: one for name, one in zip(_ABOUT, values, strict=True) if one is not None}


def _decoded(partition: Partition, id_: str, sample: bytes | None, about: Mapping[str, bytes]) -> Found:
    early = msgspec.json.decode(about["early"], type=list[EarlyLabel])
    return Found(
        partition,
        log_offset=int(about["log_offset"]),
        clocks=(int(about["sample_time"]), int(about["label_time"])),
        sample=None if sample is None else msgspec.json.decode(sample, type=StoredSample),
        early=next((one for one in early if one.id == id_), None),
        joined=id_ in msgspec.json.decode(about["joined"], type=list[str]),
    )


def _key(live: LiveModel, partition: Partition) -> str:
    return model_key(live.name, f"waiting:{partition.number}")


def _not_readable(key: str, error: Exception) -> NotReadable:
    return NotReadable(
        f"Redis key {key}: not what gradstream writes of waiting samples ({type(error).__name__}: {error}); "
        f"delete it and {key}:about to have them written again from the learning log"
    )
