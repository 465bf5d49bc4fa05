"""What the worker's last checkpoint in Redis says about labels: joined, in the air, given up."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import cast

import msgspec
import redis

from infra.redis_store import model_key
from streams.demo.config import MODEL
from streams.demo.errors import DemoError

Texts = tuple[str | None, str | None]


class Delays(msgspec.Struct):
    """Of the labels joined: seconds from departure to landing; None before the first."""

    p50_seconds: float | None = None
    p90_seconds: float | None = None


class Clocks(msgspec.Struct):
    """Event times that a partition has reached, ms since 1970; None or -1 before the first."""

    sample_time: int | None = None
    label_time: int | None = None


class Joins(msgspec.Struct):
    """The field `labels` of the model's hash, as far as the demo shows it; and samples_learned beside it."""

    joined: int = 0
    expired: int = 0
    dropped: int = 0
    waiting: int = 0
    delays: Delays = msgspec.field(default_factory=Delays)
    partitions: dict[str, Clocks] = {}
    learned: int = 0

    @property
    def clock(self) -> int | None:
        """The event time that has been reached, ms since 1970; None before the first."""
        of_each = [time for one in self.partitions.values() for time in (one.sample_time, one.label_time)]
        return max((time for time in of_each if time is not None and time >= 0), default=None)

    @property
    def seen(self) -> int:
        """Flights that have left, by this checkpoint."""
        return self.joined + self.expired + self.dropped + self.waiting


def parse(labels: str | None, learned: str | None) -> Joins:
    """From the hash's two fields, None where there is none yet; raises DemoError."""
    if labels is None:
        return Joins()
    try:
        joins = msgspec.json.decode(labels, type=Joins)
        joins.learned = int(learned or 0)
    except ValueError as error:
        raise DemoError(f"Redis: field labels of {model_key(MODEL)}: {error}") from error
    return joins


def saved(client: redis.Redis) -> Joins:
    """What the last checkpoint says; raises DemoError when Redis does not answer."""
    try:
        found = cast(Texts, client.hmget(model_key(MODEL), ["labels", "samples_learned"]))
    except redis.RedisError as error:
        raise DemoError(f"Redis does not tell how things go: {error}") from error
    return parse(*found)


def utc(time: int) -> str:
    """An event time for people: `2013-06-30 22:05 UTC`."""
    return datetime.fromtimestamp(time / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
