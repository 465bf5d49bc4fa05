"""What there is of a model that `gradstream reset` deletes, and the deleting.

Redis first, the log second: whatever interrupts it in between leaves a model that is rebuilt from its log, or
one that can be reset again, never a checkpoint without its log.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.errors import GradstreamError

if TYPE_CHECKING:
    from infra.kafka_admin import KafkaAdmin, TopicInfo
    from infra.redis_store import RedisStore
    from infra.settings import Settings
    from streams.commands._live import LiveModel


class StillRunning(GradstreamError):
    """Workers of the model are members of a consumer group."""


@dataclass(frozen=True, slots=True)
class Remains:
    """All that is there of one model. samples: its topic, None where nobody knows it."""

    name: str
    samples: str | None
    checkpoint: LiveModel | None
    registered: bool
    log: TopicInfo | None
    log_records: int
    log_begun: bool
    group: str
    """The group that all models share; the model's own one is `group.name`."""
    shared_offsets: int
    own_offsets: int
    members: tuple[str, ...]

    @property
    def own_group(self) -> str:
        """The group of workers that run this model alone."""
        return f"{self.group}.{self.name}"

    @property
    def nothing(self) -> bool:
        """Whether there is nothing to delete."""
        there = (self.checkpoint, self.registered, self.log_begun, self.shared_offsets, self.own_offsets)
        return not any(there)

    def lines(self) -> list[str]:
        """What would be deleted."""
        lines = []
        if self.checkpoint is not None:
            learned = int(self.checkpoint.text["samples_learned"])
            lines.append(f"Redis keys gradstream:{{{self.name}}}*: a checkpoint of {learned:,} samples")
        elif self.registered:
            lines.append(f"the name {self.name} in the Redis key gradstream:models")
        if self.log is not None and self.log_begun:
            lines.append(f"topic {self.log.name}, the learning log: {self.log_records:,} records")
        if self.shared_offsets:
            lines.append(f"offsets of consumer group {self.group} in {self.samples}")
        if self.own_offsets:
            lines.append(f"consumer group {self.own_group}")
        return lines


def look(
    settings: Settings, admin: KafkaAdmin, name: str, live: LiveModel | None, registered: bool
) -> Remains:
    """What there is of the model; raises KafkaUnavailable. A model outside the settings has default names."""
    from streams.commands._live import log_topic

    model = settings.models.get(name)
    log_name = log_topic(settings, name)
    samples = _stored_samples(live) if model is None else model.samples
    log = admin.describe([log_name]).get(log_name)
    starts = {} if log is None else admin.start_offsets(log_name)
    ends = {} if log is None else admin.end_offsets(log_name)
    group, own_group = settings.group_id, f"{settings.group_id}.{name}"
    members = [*admin.group_members(group, samples), *admin.group_members(own_group)]
    return Remains(
        name=name,
        samples=samples,
        checkpoint=live,
        registered=registered,
        log=log,
        log_records=sum(end - starts[partition] for partition, end in ends.items()),
        log_begun=any(ends.values()),
        group=group,
        shared_offsets=0 if samples is None else len(admin.group_offsets(group, samples)),
        own_offsets=0 if samples is None else len(admin.group_offsets(own_group, samples)),
        members=tuple(members),
    )


async def delete_checkpoint(store: RedisStore, remains: Remains) -> None:
    """Delete what Redis has; raises StoreUnavailable."""
    await store.delete(remains.name)


def delete_from_kafka(
    settings: Settings, admin: KafkaAdmin, remains: Remains, tell: Callable[[str], None]
) -> None:
    """Make the learning log anew and forget the offsets; raises KafkaUnavailable."""
    if remains.log is not None and remains.log_begun:
        _renew_log(settings, admin, remains.name, remains.log)
        tell(f"topic {remains.log.name}: deleted, and made again empty")
    if remains.members:  # Kafka refuses to take offsets away from those who read
        tell("offsets of the consumer groups: left, because workers are members")
        return
    if remains.shared_offsets and remains.samples is not None:
        admin.delete_group_offsets(remains.group, remains.samples)
        tell(f"consumer group {remains.group}: offsets in {remains.samples} deleted")
    if remains.own_offsets:
        admin.delete_group(remains.own_group)
        tell(f"consumer group {remains.own_group}: deleted")


def _renew_log(settings: Settings, admin: KafkaAdmin, name: str, log: TopicInfo) -> None:
    """Delete the log and create it with the settings that it had."""
    config = admin.own_config(log.name)
    if name in settings.models:
        from streams.commands._topic_plan import log_config

        config = {**log_config(settings.models[name], log.replication_factor), **config}
    admin.delete_topic(log.name)
    made = admin.create(log.name, 1, replication_factor=log.replication_factor, config=config)
    if made.topic_id == log.topic_id:
        raise GradstreamError(
            f"topic {log.name}: is still the old one after its deletion; run gradstream reset {name} again"
        )


def _stored_samples(live: LiveModel | None) -> str | None:
    """The samples topic that a checkpoint names."""
    return next((name.rpartition("-")[0] for name in live.offsets), None) if live is not None else None
