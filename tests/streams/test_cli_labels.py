"""`gradstream check` and a worker's watch: what is said of a topic with labels that come late."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from infra.kafka_admin import KafkaAdmin, TopicInfo
from infra.settings import KafkaSettings, ModelSettings
from models.errors import GradstreamError
from streams.commands._check_labels import check_horizon, check_labels
from streams.commands._findings import Findings
from streams.commands._topic_plan import Step, plan_for
from streams.group import ModelGroup
from streams.model_worker import ModelWorker
from streams.topic_watch import TopicWatch
from streams.topics import TopicError, Topics, check_equal
from streams.tuning.toml import model_toml

HOUR = 3_600_000


def model(**keys: object) -> ModelSettings:
    table = {"name": "delay", "samples": "flights", "task": "binary", "labels": "landed"} | keys
    return ModelSettings.model_validate(table)


def info(name: str, partitions: int = 2, topic_id: str = "id") -> TopicInfo:
    return TopicInfo(name, topic_id, partitions, 1)


class AdminInMemory:
    """Topics with partitions, each with the same retention; what is asked of KafkaAdmin here."""

    def __init__(self, partitions: Mapping[str, int], **retention_ms: int) -> None:
        self._partitions = partitions
        self._retention = retention_ms

    def describe(self, topics: Iterable[str]) -> dict[str, TopicInfo]:
        return {name: info(name, self._partitions[name]) for name in topics if name in self._partitions}

    def topic_config(self, topic: str) -> dict[str, str]:
        kept = self._retention.get(topic.replace(".", "_").replace("-", "_"), -1)
        return {"retention.ms": str(kept), "cleanup.policy": "delete", "max.message.bytes": "1000"}

    def default_message_bytes(self) -> int:
        return 1000


def admin(partitions: Mapping[str, int], **retention_ms: int) -> KafkaAdmin:
    return cast(KafkaAdmin, AdminInMemory(partitions, **retention_ms))


# Partitions


@pytest.mark.parametrize(("samples", "labels", "fewer", "most"), [(4, 2, "landed", 4), (1, 3, "flights", 3)])
def test_unequal_counts_are_told_with_what_to_do(samples: int, labels: int, fewer: str, most: int) -> None:
    with pytest.raises(TopicError) as caught:
        check_equal(info("flights", samples), info("landed", labels))
    assert str(caught.value) == (
        f"labels topic landed: has {labels} partitions, samples topic flights has {samples}, and they need "
        f"as many; add partitions to the one with fewer: kafka-topics.sh --alter --topic {fewer} "
        f"--partitions {most}"
    )


def test_equal_counts_are_as_they_should_be() -> None:
    check_equal(info("flights", 3), info("landed", 3))


def test_a_worker_compares_the_counts_when_it_starts_and_not_later(monkeypatch: pytest.MonkeyPatch) -> None:
    there = {
        "flights": 4,
        "landed": 2,
        "delay.predictions": 4,
        "delay.dead-letters": 4,
        "delay.learning-log": 1,
    }
    topics = Topics(KafkaSettings())

    async def ask(question: Any) -> Any:
        return question(admin(there))

    monkeypatch.setattr(topics, "_ask", ask)
    with pytest.raises(TopicError, match="add partitions to the one with fewer"):
        asyncio.run(topics.of_models({"delay": model()}))
    assert set(asyncio.run(topics.of_models({"delay": model()}, partial=True))) == set(there)
    del there["landed"]
    with pytest.raises(TopicError, match="no topic landed; make what is missing: gradstream topics create"):
        asyncio.run(topics.of_models({"delay": model()}))
    assert "landed" not in asyncio.run(topics.of_models({"delay": model()}, partial=True))


def steps(there: Mapping[str, int], *models: ModelSettings, partitions: int = 1) -> list[Step]:
    return list(plan_for(admin(there), models, partitions))


def test_a_missing_labels_topic_is_planned_with_the_samples_partitions() -> None:
    planned = steps({"flights": 3}, model())
    assert [(one.wanted.name, one.wanted.partitions, one.create) for one in planned[:2]] == [
        ("flights", 1, False),
        ("landed", 3, True),
    ]
    both = steps({}, model(), partitions=5)
    assert [(one.wanted.name, one.wanted.partitions, one.create) for one in both[:2]] == [
        ("flights", 5, True),
        ("landed", 5, True),
    ]


def test_a_labels_topic_of_two_models_is_made_once() -> None:
    planned = steps({}, model(), model(name="other", samples="trains"))
    assert [one.wanted.name for one in planned].count("landed") == 1


def test_a_labels_topic_that_will_not_fit_is_told_before_anything_is_made() -> None:
    with pytest.raises(GradstreamError, match="landed: has 3 partitions, samples topic flights has 4"):
        steps({"flights": 4, "landed": 3}, model())
    with pytest.raises(GradstreamError) as caught:
        steps({"landed": 3}, model())
    assert str(caught.value) == (
        "labels topic landed: has 3 partitions, samples topic flights would get 1, and they need as many: "
        "gradstream topics create --partitions 3"
    )
    assert steps({"landed": 3}, model(), partitions=3)[0].create


# What check says


def found(settings: ModelSettings, there: Mapping[str, TopicInfo]) -> list[tuple[str, str]]:
    findings = Findings()
    with findings.guarded("delay"):
        check_labels(settings, there, findings)
    return [(one.level, one.message) for one in findings.found]


def test_check_tells_of_a_labels_topic_that_is_missing_or_does_not_fit() -> None:
    there = {"flights": info("flights", 4)}
    assert found(model(), there) == [
        ("error", "no topic landed (labels); run gradstream topics create, or mend models.delay.labels")
    ]
    ((level, line),) = found(model(), {**there, "landed": info("landed", 2)})
    assert level == "error"
    assert line.startswith("labels topic landed: has 2 partitions, samples topic flights has 4")
    assert found(model(), {**there, "landed": info("landed", 4)}) == []


def horizon(settings: ModelSettings, topics: Iterable[str], **retention_ms: int) -> list[str]:
    findings = Findings()
    there = {name: info(name) for name in topics}
    check_horizon(admin(dict.fromkeys(topics, 2), **retention_ms), settings, there, findings)
    assert {one.level for one in findings.found} <= {"warning"}
    return [one.message for one in findings.found]


ALL = ("flights", "landed", "delay.learning-log")


def test_check_says_nothing_where_records_are_kept_for_longer_than_the_horizon() -> None:
    assert horizon(model(), ALL) == []
    assert horizon(model(), ALL, flights=6 * HOUR, landed=6 * HOUR, delay_learning_log=6 * HOUR) == []


def test_check_warns_of_a_log_that_lets_go_of_what_waits() -> None:
    (line,) = horizon(model(), ALL, delay_learning_log=HOUR)
    assert line == (
        "topic delay.learning-log: keeps records for 1 h, shorter than label_horizon (6 h): what still waits "
        "for labels may be deleted; set models.delay.learning_log_retention to more, then run "
        "gradstream topics create"
    )
    settings = model(learning_log_retention="1d", label_horizon="2d")
    for topics in (ALL, ALL[:2]):  # with a log that is kept for ever, and without one
        (line,) = horizon(settings, topics)
        assert line.startswith("learning_log_retention is 1 d, shorter than label_horizon (2 d): ")


def test_check_warns_of_samples_and_labels_that_are_gone_before_they_meet() -> None:
    flights, landed = horizon(model(), ALL, flights=HOUR, landed=2 * HOUR)
    assert flights.startswith("topic flights: keeps records for 1 h, shorter than label_horizon (6 h): ")
    assert landed.startswith("topic landed: keeps records for 2 h, ")


# What a running worker sees


class TopicsInMemory:
    def __init__(self, found: Mapping[str, TopicInfo]) -> None:
        self.found = dict(found)

    async def of_models(self, models: object, partial: bool) -> dict[str, TopicInfo]:
        return dict(self.found)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (None, "labels topic landed: was deleted; make it again, and forget the model"),
        ("other", r"labels topic landed: was deleted and made again \(its id is other, the model knows id\)"),
    ],
)
def test_a_labels_topic_that_is_gone_or_another_ends_the_worker(
    monkeypatch: pytest.MonkeyPatch, change: str | None, line: str
) -> None:
    monkeypatch.setattr("streams.topic_watch.EVERY_SECONDS", 0.0)
    names = ("flights", "landed", "delay.predictions", "delay.dead-letters", "delay.learning-log")
    infos = {name: info(name) for name in names}
    worker = SimpleNamespace(name="delay", settings=model(), infos=infos, servable=lambda: 2)
    topics = TopicsInMemory(infos)
    group = SimpleNamespace(static=False)
    watch = TopicWatch(cast(Topics, topics), [cast(ModelWorker, worker)], cast(ModelGroup, group))

    async def run() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(watch.run(), 0.05)
        if change is None:
            del topics.found["landed"]
        else:
            topics.found["landed"] = info("landed", topic_id=change)
        await asyncio.wait_for(watch.run(), 10)

    with pytest.raises(TopicError, match=line):
        asyncio.run(run())


def test_a_time_to_start_at_is_written_by_tune_as_it_was_read() -> None:
    text = model_toml("delay", {"start": datetime(2026, 11, 24, tzinfo=UTC)})
    assert text == "[models.delay]\nstart = 2026-11-24T00:00:00+00:00\n"
