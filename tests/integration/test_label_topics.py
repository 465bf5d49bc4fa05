"""Topics of labels that come late, on real servers: made, checked, asked where a time begins, forgotten."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from kafka import KafkaProducer

from infra.kafka_admin import KafkaAdmin
from infra.settings import KafkaSettings, load_settings
from streams.topics import TopicError, Topics
from tests.integration.harness import Stream, opened
from tests.servers import Servers

TABLE = 'labels = "{name}.labels"\ntask = "binary"\nlabel_horizon = "1h"'
NOW = int(time.time() * 1000) - 100_000


@pytest.fixture
def stream(servers: Servers, tmp_path: Path, unique_name: str) -> Iterator[Stream]:
    """A late-label model whose topics are not there yet."""
    table = TABLE.format(name=unique_name)
    made = Stream(servers.kafka, servers.redis, unique_name, tmp_path, table)
    made.write_config()
    try:
        yield made
    finally:
        made.stop_all()


@pytest.fixture
def admin(servers: Servers) -> Iterator[KafkaAdmin]:
    with KafkaAdmin(KafkaSettings(bootstrap_servers=servers.kafka)) as connected:
        yield connected


def produce(kafka: str, topic: str, partition: int, times: Sequence[int], **options: object) -> None:
    """A record at each time, which is its value as well."""
    producer = KafkaProducer(bootstrap_servers=kafka, **options)
    try:
        for at in times:
            value = json.dumps({"features": {"x": 1}, "label": at % 2}).encode()
            producer.send(topic, value, partition=partition, timestamp_ms=at)
        producer.flush()
    finally:
        producer.close()


def labels_of(stream: Stream) -> str:
    return f"{stream.name}.labels"


# Where a time begins


def test_a_time_begins_at_the_first_record_at_or_after_it(
    servers: Servers, admin: KafkaAdmin, topic_name: str
) -> None:
    admin.create(topic_name, 3)
    produce(servers.kafka, topic_name, 0, [NOW, NOW + 10, NOW + 20])
    produce(servers.kafka, topic_name, 1, [NOW + 30, NOW + 5, NOW + 40])  # the first, not the earliest
    topics = Topics(KafkaSettings(bootstrap_servers=servers.kafka))

    def at(milliseconds: int) -> dict[int, int]:
        return asyncio.run(topics.offsets_at(topic_name, milliseconds))

    assert at(0) == {0: 0, 1: 0, 2: 0}
    assert at(NOW) == {0: 0, 1: 0, 2: 0}
    assert at(NOW + 10) == {0: 1, 1: 0, 2: 0}
    assert at(NOW + 11) == {0: 2, 1: 0, 2: 0}
    assert at(NOW + 31) == {0: 3, 1: 2, 2: 0}  # after all of partition 0: its end
    assert at(NOW + 41) == {0: 3, 1: 3, 2: 0}
    assert at(253_402_300_799_999) == {0: 3, 1: 3, 2: 0}


def test_a_time_is_found_inside_of_a_compressed_batch(
    servers: Servers, admin: KafkaAdmin, topic_name: str
) -> None:
    admin.create(topic_name, 1)
    times = [NOW + i for i in range(100)]
    produce(servers.kafka, topic_name, 0, times, compression_type="gzip", linger_ms=500)
    assert admin.offsets_at(topic_name, NOW + 57) == {0: 57}


def test_a_model_begins_at_a_time(servers: Servers, tmp_path: Path, unique_name: str) -> None:
    table = f'task = "binary"\nstart = {NOW + 7}'
    with opened(Stream(servers.kafka, servers.redis, unique_name, tmp_path, table)) as stream:
        produce(stream.kafka, stream.samples, 0, [NOW + i for i in range(10)])
        stream.drain()
        assert stream.checkpoint()["samples_learned"] == "3"


# Partitions


def test_topics_create_makes_a_labels_topic_like_the_samples_topic(stream: Stream, admin: KafkaAdmin) -> None:
    names = [stream.samples, labels_of(stream)]
    planned = stream.command("topics", "create", "--partitions", "3", "--dry-run").stdout
    assert planned.count("would be created") == 5
    row = next(line.split() for line in planned.splitlines() if line.startswith(labels_of(stream)))
    assert row[:4] == [labels_of(stream), stream.name, "labels", "3"]
    assert admin.describe(names) == {}
    assert stream.command("topics", "create", "--partitions", "3").stdout.count("created") == 5
    made = admin.describe(names)
    assert [made[name].partitions for name in names] == [3, 3]
    assert stream.command("topics", "create").stdout.endswith("Nothing to do.\n")
    assert admin.describe(names) == made


def test_a_labels_topic_is_made_beside_samples_that_are_there(stream: Stream, admin: KafkaAdmin) -> None:
    admin.create(stream.samples, 4)
    stream.command("topics", "create")
    assert admin.describe([labels_of(stream)])[labels_of(stream)].partitions == 4


def test_unequal_partitions_are_told_by_topics_create_check_and_a_worker(
    stream: Stream, admin: KafkaAdmin
) -> None:
    stream.command("topics", "create", "--partitions", "2")
    admin.extend(stream.samples, 4)
    line = (
        f"labels topic {labels_of(stream)}: has 2 partitions, samples topic {stream.samples} has 4, and they "
        f"need as many; add partitions to the one with fewer: kafka-topics.sh --alter --topic "
        f"{labels_of(stream)} --partitions 4"
    )
    made = stream.command("topics", "create", check=False)
    assert (made.returncode, made.stderr) == (1, f"gradstream: {line}\n")
    checked = stream.command("check", check=False)
    assert checked.returncode == 1
    assert f"✘ {line}" in checked.stdout
    topics, models = (
        Topics(KafkaSettings(bootstrap_servers=stream.kafka)),
        load_settings(stream.config).models,
    )
    with pytest.raises(TopicError) as caught:
        asyncio.run(topics.of_models(models))
    assert str(caught.value) == line
    worker = stream.worker("--drain")
    assert worker.wait(60) == 1
    assert line in stream.logs()
    admin.extend(labels_of(stream), 4)
    assert labels_of(stream) in asyncio.run(topics.of_models(models))
    assert stream.command("topics", "create").stdout.count("extended from 2 partitions") == 2
    assert "labels and own topics fit to it" in stream.command("check").stdout


def test_labels_that_are_there_before_the_samples_decide_how_many_partitions_there_are(
    stream: Stream, admin: KafkaAdmin
) -> None:
    admin.create(labels_of(stream), 3)
    refused = stream.command("topics", "create", check=False)
    assert refused.returncode == 1
    assert refused.stderr.endswith("they need as many: gradstream topics create --partitions 3\n")
    assert admin.describe([stream.samples]) == {}
    stream.command("topics", "create", "--partitions", "3")
    assert admin.describe([stream.samples])[stream.samples].partitions == 3


# check and reset


def test_check_tells_of_a_labels_topic_that_is_missing_or_kept_too_short(
    stream: Stream, admin: KafkaAdmin
) -> None:
    admin.create(stream.samples, 1, config={"retention.ms": "60000"})
    checked = stream.command("check", check=False)
    assert checked.returncode == 1
    assert (
        f"✘ no topic {labels_of(stream)} (labels); run gradstream topics create, or mend models."
        in checked.stdout
    )
    stream.write_config(stream.table.replace("1h", "60d"))
    stream.command("topics", "create")
    checked = stream.command("check")  # warnings alone
    shorter = "shorter than label_horizon (60 d)"
    assert f"! topic {stream.name}.learning-log: keeps records for 30 d, {shorter}" in checked.stdout
    assert f"! topic {stream.samples}: keeps records for 1 min, {shorter}" in checked.stdout
    assert f"! topic {labels_of(stream)}: keeps records for 7 d, {shorter}" in checked.stdout


def test_reset_takes_what_waits_with_it(stream: Stream) -> None:
    stream.command("topics", "create")
    key = f"gradstream:{{{stream.name}}}"
    with stream.client() as client:
        client.sadd("gradstream:models", stream.name)
        client.hset(f"{key}:waiting:0", "a", "{}")
        client.hset(f"{key}:waiting:12:about", "waiting", "1")
        stream.command("reset", stream.name, "--yes")
        assert client.keys(f"{key}*") == []
