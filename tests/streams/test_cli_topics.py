"""`gradstream topics create`: what a topic needs to be as it should."""

from __future__ import annotations

import pytest

from infra.kafka_admin import TopicInfo
from infra.settings import ModelSettings, Settings
from streams.commands._topic_plan import (
    HEADER_ROOM,
    TopicError,
    differing,
    labels_topic,
    log_config,
    samples_topic,
    step_for,
    written_topics,
)


@pytest.fixture
def model() -> ModelSettings:
    table = {"samples": "flights", "task": "binary", "learning_log_retention": "2d"}
    return Settings(models={"delay": table}).models["delay"]  # type: ignore[dict-item]


def info(name: str, partitions: int, replicas: int = 1) -> TopicInfo:
    return TopicInfo(name, "id", partitions, replicas)


def test_a_model_writes_three_topics_that_fit_to_its_samples(model: ModelSettings) -> None:
    predictions, letters, log = written_topics(model, partitions=4, message_bytes=1_000)
    assert (predictions.name, predictions.partitions, predictions.config) == ("delay.predictions", 4, {})
    assert (letters.name, letters.partitions) == ("delay.dead-letters", 4)
    assert letters.config == {"max.message.bytes": str(1_000 + HEADER_ROOM)}
    assert (log.name, log.partitions) == ("delay.learning-log", 1)
    assert log.config == {
        "cleanup.policy": "delete",
        "retention.ms": str(2 * 86_400_000),
        "retention.bytes": "-1",
        "max.message.bytes": str(8 * 1024 * 1024),
        "unclean.leader.election.enable": "false",
    }


@pytest.mark.parametrize(("replicas", "least"), [(None, None), (2, None), (3, "2")])
def test_three_replicas_need_two_in_sync(
    model: ModelSettings, replicas: int | None, least: str | None
) -> None:
    assert log_config(model, replicas).get("min.insync.replicas") == least


def test_a_log_on_three_replicas_is_told_to_need_two_in_sync(model: ModelSettings) -> None:
    log = written_topics(model, 1, 1_000)[2]
    found = {**log.config, "min.insync.replicas": "1"}
    assert step_for(log, info(log.name, 1, replicas=3), found).alter == {"min.insync.replicas": "2"}
    assert step_for(log, info(log.name, 1, replicas=1), found).nothing


def test_what_is_missing_is_created_and_what_is_right_is_left(model: ModelSettings) -> None:
    predictions = written_topics(model, 2, 1_000)[0]
    assert step_for(predictions, None, {}).create
    assert step_for(predictions, info(predictions.name, 2), {}).nothing
    assert step_for(predictions, info(predictions.name, 5), {}).nothing


def test_predictions_are_extended_to_the_samples_partitions(model: ModelSettings) -> None:
    predictions = written_topics(model, 4, 1_000)[0]
    assert step_for(predictions, info(predictions.name, 3), {}).extend_from == 3


def test_a_samples_topic_that_is_there_is_left_as_it_is(model: ModelSettings) -> None:
    step = step_for(samples_topic(model, 8), info("flights", 2), {})
    assert step.nothing
    assert step.found == 2


def test_a_labels_topic_gets_the_samples_partitions_and_is_left_as_it_is(model: ModelSettings) -> None:
    assert labels_topic(model, 4) is None
    late = ModelSettings.model_validate({"name": "d", "samples": "s", "task": "binary", "labels": "landed"})
    wanted = labels_topic(late, 4)
    assert wanted is not None
    assert (wanted.name, wanted.model, wanted.role, wanted.partitions) == ("landed", "d", "labels", 4)
    assert step_for(wanted, None, {}).create
    assert step_for(wanted, info("landed", 2), {}).nothing


def test_a_learning_log_of_two_partitions_is_an_error(model: ModelSettings) -> None:
    log = written_topics(model, 1, 1_000)[2]
    with pytest.raises(
        TopicError, match=r"delay\.learning-log: has 2 partitions, a learning log has exactly 1"
    ):
        step_for(log, info(log.name, 2), log.config)


@pytest.mark.parametrize(
    ("name", "wanted", "found", "falls_short"),
    [
        ("retention.ms", "1000", "999", True),
        ("retention.ms", "1000", "1001", False),
        ("retention.ms", "1000", "-1", False),
        ("retention.bytes", "-1", "5", True),
        ("max.message.bytes", "10", "9", True),
        ("max.message.bytes", "10", "11", False),
        ("min.insync.replicas", "2", "3", False),
        ("cleanup.policy", "delete", "compact", True),
        ("cleanup.policy", "delete", "compact,delete", True),
        ("cleanup.policy", "delete", None, True),
    ],
)
def test_sizes_and_times_are_only_ever_made_larger(
    name: str, wanted: str, found: str | None, falls_short: bool
) -> None:
    there = {} if found is None else {name: found}
    assert differing({name: wanted}, there) == ({name: wanted} if falls_short else {})
