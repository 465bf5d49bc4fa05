"""Which topics the models need, how each should be, and what is missing for that.

Samples and labels topics belong to the user: they are made when missing and otherwise left alone. The topics
that gradstream writes are made, extended and mended. Retention is only ever made longer: what is deleted
early cannot be had back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from models.errors import GradstreamError
from streams.topics import check_equal

if TYPE_CHECKING:
    from infra.kafka_admin import KafkaAdmin, TopicInfo
    from infra.settings import ModelSettings

HEADER_ROOM = 64 * 1024
"""A dead letter is its sample plus headers that say what was wrong."""
LOG_MESSAGE_BYTES = 8 * 1024 * 1024


class TopicError(GradstreamError):
    """A topic that is there and cannot be made right."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A topic as it should be: at least this many partitions (exactly, if `fixed`), these settings."""

    name: str
    model: str
    role: str
    partitions: int
    config: Mapping[str, str] = field(default_factory=dict)
    fixed: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """What has to be done with one topic: nothing where all three are empty."""

    wanted: Wanted
    create: bool = False
    extend_from: int | None = None
    alter: Mapping[str, str] = field(default_factory=dict)
    found: int = 0
    note: str = ""

    @property
    def nothing(self) -> bool:
        """Whether the topic is as it should be."""
        return not self.create and self.extend_from is None and not self.alter


def samples_topic(model: ModelSettings, partitions: int) -> Wanted:
    """The samples topic, if it has to be made."""
    return Wanted(model.samples, model.name, "samples", partitions)


def labels_topic(model: ModelSettings, partitions: int) -> Wanted | None:
    """The labels topic, if the model has one and it has to be made; partitions: of the samples topic."""
    return None if model.labels is None else Wanted(model.labels, model.name, "labels", partitions)


def written_topics(model: ModelSettings, partitions: int, message_bytes: int) -> list[Wanted]:
    """The topics that a worker writes.

    partitions: of the samples topic; message_bytes: its max.message.bytes.
    """
    letters = {"max.message.bytes": str(message_bytes + HEADER_ROOM)}
    return [
        Wanted(model.predictions, model.name, "predictions", partitions),
        Wanted(model.dead_letters, model.name, "dead letters", partitions, letters),
        Wanted(model.learning_log, model.name, "learning log", 1, log_config(model), fixed=True),
    ]


def log_config(model: ModelSettings, replication_factor: int | None = None) -> dict[str, str]:
    """The settings of a learning log's topic."""
    config = {
        "cleanup.policy": "delete",
        "retention.ms": str(int(model.learning_log_retention * 1000)),
        "retention.bytes": "-1",
        "max.message.bytes": str(LOG_MESSAGE_BYTES),
        "unclean.leader.election.enable": "false",
    }
    if (replication_factor or 0) >= 3:
        config["min.insync.replicas"] = "2"
    return config


def step_for(wanted: Wanted, found: TopicInfo | None, config: Mapping[str, str]) -> Step:
    """What has to be done; config: the topic's settings in effect, defaults included."""
    if found is None:
        return Step(wanted, create=True)
    if wanted.fixed and found.partitions != wanted.partitions:
        raise TopicError(
            f"topic {wanted.name}: has {found.partitions} partitions, a {wanted.role} has exactly "
            f"{wanted.partitions}; set models.{wanted.model}.learning_log to another topic or delete this one"
        )
    own = wanted.role not in ("samples", "labels")
    extend = own and found.partitions < wanted.partitions
    target = dict(wanted.config)
    if wanted.role == "learning log" and found.replication_factor >= 3:
        target["min.insync.replicas"] = "2"
    return Step(
        wanted,
        extend_from=found.partitions if extend else None,
        alter=differing(target, config),
        found=found.partitions,
    )


def differing(target: Mapping[str, str], found: Mapping[str, str]) -> dict[str, str]:
    """The settings of `target` that `found` falls short of: sizes and times may be larger, never smaller."""
    return {name: value for name, value in target.items() if not _suffices(name, value, found.get(name))}


def _suffices(name: str, wanted: str, found: str | None) -> bool:
    if found is None or found == wanted:
        return found is not None
    if name in ("retention.ms", "retention.bytes"):  # -1: for ever
        return found == "-1" or (wanted != "-1" and int(found) >= int(wanted))
    if name in ("max.message.bytes", "min.insync.replicas"):
        return int(found) >= int(wanted)
    return False


def carry_out(admin: KafkaAdmin, step: Step, replication_factor: int | None) -> None:
    """Do it. Raises KafkaUnavailable."""
    wanted = step.wanted
    if step.create:
        made = admin.create(
            wanted.name, wanted.partitions, replication_factor=replication_factor, config=wanted.config
        )
        if wanted.role == "learning log":  # its replication factor, if it is the broker's, is known only now
            step = step_for(wanted, made, admin.topic_config(wanted.name))
    if step.extend_from is not None:
        admin.extend(wanted.name, wanted.partitions)
    if step.alter:
        admin.alter(wanted.name, step.alter)


def plan_for(admin: KafkaAdmin, models: Iterable[ModelSettings], partitions: int) -> Iterable[Step]:
    """The steps of all models, samples topics first in each; each step is made when it is asked for.

    So whoever carries out each step before asking for the next lets later ones see what is there then.
    """
    done: set[str] = set()
    for model in models:
        _check_labels(admin, model, partitions)
        wanted = samples_topic(model, partitions)
        if wanted.name not in done:
            done.add(wanted.name)
            yield _step(admin, wanted)
        found = admin.describe([model.samples]).get(model.samples)
        if found is not None:
            count, size = found.partitions, int(admin.topic_config(model.samples)["max.message.bytes"])
        else:
            count, size = partitions, admin.default_message_bytes()
        labels = labels_topic(model, count)
        if labels is not None and labels.name not in done:
            done.add(labels.name)
            yield _step(admin, labels)
        for written in written_topics(model, count, size):
            yield _step(admin, written)


def _check_labels(admin: KafkaAdmin, model: ModelSettings, partitions: int) -> None:
    """Raise TopicError where a labels topic is there and will not have the samples topic's partitions."""
    if model.labels is None:
        return
    there = admin.describe([model.samples, model.labels])
    samples, labels = there.get(model.samples), there.get(model.labels)
    if labels is None:
        return
    if samples is not None:
        check_equal(samples, labels)
    elif labels.partitions != partitions:
        raise TopicError(
            f"labels topic {labels.name}: has {labels.partitions} partitions, samples topic {model.samples} "
            f"would get {partitions}, and they need as many: gradstream topics create --partitions "
            f"{labels.partitions}"
        )


def _step(admin: KafkaAdmin, wanted: Wanted) -> Step:
    found = admin.describe([wanted.name]).get(wanted.name)
    return step_for(wanted, found, admin.topic_config(wanted.name) if found is not None else {})
