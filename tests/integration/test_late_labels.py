"""Labels on a topic of their own, on real servers: each is joined exactly once, or it is said why not."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from kafka import KafkaConsumer, TopicPartition

from tests.consistency.late_audit import (
    assert_every_label_joined_once,
    assert_predictions_as_learned,
    assert_redis_says_the_same,
    letters,
    plain_log,
    record_at,
)
from tests.consistency.late_reader import EXPIRED, LateLog
from tests.consistency.late_traffic import BEGIN, HORIZON, LIVE, PATIENCE, SETTINGS, Traffic, traffic
from tests.integration.harness import Stream, opened, terminate

TABLE = """
labels = "{name}.labels"
task = "binary"
save_every = "100ms"
{settings}
[models."{name}".features]
numeric = ["x"]
categorical = ["c"]
hash_bits = 10
"""
Make = Callable[..., Stream]


@pytest.fixture
def make(servers: Any, tmp_path: Path) -> Iterator[Make]:
    streams: list[Stream] = []

    def build(partitions: int = 1, more: str = "") -> Stream:
        name = f"m-{uuid.uuid4().hex[:8]}"
        table = TABLE.format(name=name, settings=f"{SETTINGS}\n{more}")
        stream = Stream(
            servers.kafka, servers.redis, name, tmp_path, table, partitions, f'group_id = "{name}"'
        )
        streams.append(stream)
        opened(stream).__enter__()
        return stream

    yield build
    for stream in streams:
        stream.stop_all()


def send(stream: Stream, made: Traffic, start: int = 0, stop: int | None = None) -> None:
    """Produce the traffic, or a part of it."""
    topics = {"samples": stream.samples, "labels": stream.labels}
    stream.send(
        (topics[topic], partition, json.loads(value)["id"].encode(), value)
        for _, topic, partition, value in made.messages[start:stop]
    )


def audit(stream: Stream, made: Traffic, negative: bool = False) -> None:
    """All that can be said of the traffic after it was processed."""
    log = plain_log(stream)
    assert_every_label_joined_once(log, made, negative)
    assert_redis_says_the_same(stream, log)
    assert_predictions_as_learned(stream, log, made)
    found = Counter(name for name, *_ in letters(stream))
    assert found["DuplicateId"] >= made.counts["duplicates"]
    assert found["LateLabel"] + found["UnmatchedLabel"] >= made.counts["unmatched"]
    assert log.counts["dead_letters"] == made.counts["duplicates"] + made.counts["unmatched"]
    assert stream.command("verify", stream.name).returncode == 0


# What becomes of every kind of sample and label


@pytest.mark.parametrize("on_missing", ["drop", "negative"])
@pytest.mark.parametrize("partitions", [1, 4])
def test_each_label_in_time_joins_its_sample_exactly_once(
    make: Make, partitions: int, on_missing: str
) -> None:
    stream, made = make(partitions, f'on_missing = "{on_missing}"'), traffic(4_000, partitions)
    send(stream, made)
    stream.drain()
    audit(stream, made, negative=on_missing == "negative")
    counted = letters(stream)
    assert sum(counted.values()) == made.counts["duplicates"] + made.counts["unmatched"], "one letter each"


def test_labels_that_come_while_the_worker_runs_are_joined_as_well(make: Make) -> None:
    stream, made = make(4), traffic(3_000, 4, kinds=LIVE)
    worker = stream.worker()
    stream.wait(lambda: '"event": "assigned"' in stream.logs())
    for start in range(0, len(made.messages), 700):
        send(stream, made, start, start + 700)
    stream.wait(lambda: waiting(stream) == 4)
    assert terminate(worker) == 0
    audit(stream, made)


def waiting(stream: Stream) -> int:
    """How many samples wait, as the checkpoint says; -1 before there is one."""
    found: int = json.loads(stream.checkpoint().get("labels", "{}")).get("waiting", -1)
    return found


# Small cases, message by message


class Small:
    """Messages that are sent in order, by hand."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.records: list[tuple[str, int, bytes | None, bytes | None]] = []

    def sample(self, id_: Any, at: int, **fields: Any) -> None:
        """A sample, so many ms after the beginning."""
        body = {"id": id_, "timestamp": BEGIN + at, "features": {"x": 0.5, "c": "c"}, **fields}
        self.records.append((self.stream.samples, 0, b"key", json.dumps(body).encode()))

    def label(self, id_: Any, at: int, label: Any = 1, **fields: Any) -> None:
        """A label, so many ms after the beginning."""
        body = {"id": id_, "timestamp": BEGIN + at, "label": label, **fields}
        self.raw(json.dumps(body).encode())

    def raw(self, value: bytes | None, key: bytes | None = b"label key") -> None:
        """Anything on the labels topic."""
        self.records.append((self.stream.labels, 0, key, value))

    def run(self) -> None:
        """Send all, and process it."""
        self.stream.send(self.records)
        self.records = []
        self.stream.drain()


def joined(stream: Stream) -> dict[str, float | None]:
    return {row.id: row.label for row in plain_log(stream).joined}


def test_what_is_no_label_is_a_dead_letter_with_the_coordinates_of_its_record(make: Make) -> None:
    stream = make()
    small = Small(stream)
    small.sample("a", 0)
    for value, key in ((b'{"label": 1}', b"k0"), (b"no JSON", None), (None, b"k2")):
        small.raw(value, key)
    small.label("x" * 2**20, 10)
    small.label("a", 20, label=7)
    small.label("a", 30)
    small.label("nobody", 40)
    small.sample("a late one", 10 + 2 * PATIENCE)
    small.run()
    assert joined(stream) == {"a": 1.0}
    labels = stream.read(stream.labels)
    expected = [
        (0, "InvalidSample"), (1, "NotJson"), (2, "EmptyValue"), (3, "InvalidSample"), (4, "InvalidLabel"),
        (6, "UnmatchedLabel"),
    ]  # fmt: skip
    assert letters(stream) == Counter((name, stream.labels, 0, offset) for offset, name in expected)
    for letter in stream.read(f"{stream.name}.dead-letters"):
        headers = dict(letter.headers)
        source = record_at(labels, 0, int(headers["__connect.errors.offset"]))
        assert (letter.key, letter.value) == (source.key, source.value)
        assert headers["__connect.errors.connector.name"] == stream.name.encode()
    assert stream.inspect()["dead_letters"] == 6
    assert stream.inspect()["labels"]["unmatched"] == 1


def test_an_id_of_a_megabyte_is_a_dead_letter_on_either_topic(make: Make) -> None:
    stream = make()
    small = Small(stream)
    small.sample("y" * 2**20, 0)
    small.label("y" * 2**20, 0)
    small.sample("z" * 4096, 1)
    small.label("z" * 4096, 2)
    small.run()
    assert joined(stream) == {"z" * 4096: 1.0}
    assert letters(stream) == {
        ("InvalidSample", stream.samples, 0, 0): 1,
        ("InvalidSample", stream.labels, 0, 0): 1,
    }


def test_a_sample_whose_id_still_waits_gets_no_prediction_and_the_first_is_joined(make: Make) -> None:
    stream = make()
    small = Small(stream)
    small.sample("a", 0)
    small.sample("a", 5)
    small.label("a", 10)
    small.sample("a", 20)  # waits no longer: its id may be used again
    small.run()
    assert [row.offset for row in plain_log(stream).joined] == [0]
    assert sorted(stream.predictions()) == [(0, 0), (0, 2)]
    assert letters(stream) == {("DuplicateId", stream.samples, 0, 1): 1}
    assert waiting(stream) == 1


def test_a_sample_without_an_id_waits_under_its_coordinates(make: Make) -> None:
    stream = make()
    small = Small(stream)
    small.sample(None, 0)
    small.label(f"{stream.samples}-0-0", 5)
    small.run()
    assert joined(stream) == {f"{stream.samples}-0-0": 1.0}


def test_a_correction_counts_until_its_sample_is_joined(make: Make) -> None:
    stream = make()
    small = Small(stream)
    small.sample("b", 8_000)
    small.label("a", 7_999, label=0)  # early …
    small.label("a", 8_000, label=1, correction=True)  # … and corrected in time
    small.sample("a", 8_001)
    small.label("b", 8_002, label=0, correction=True)  # the first that comes is the label
    small.label("b", 8_003, label=1, correction=True)  # too late to change anything
    small.run()
    assert joined(stream) == {"a": 1.0, "b": 0.0}
    assert stream.inspect()["labels"]["corrections"] == 3


def test_a_label_is_in_time_up_to_the_last_millisecond(make: Make) -> None:
    stream = make()
    small = Small(stream)
    delays = {"last": HORIZON, "late": HORIZON + 1, "first": -PATIENCE, "early": -PATIENCE - 1}
    for id_ in delays:
        small.sample(id_, 100_000)
    small.run()
    for id_, delay in delays.items():
        small.label(id_, 100_000 + delay)
    small.run()
    assert joined(stream) == {"last": 1.0, "first": 1.0}
    assert letters(stream) == {("LateLabel", stream.labels, 0, offset): 1 for offset in (1, 3)}
    assert waiting(stream) == 2, "a sample goes on waiting after a label that is not in time"


def test_a_sample_expires_a_millisecond_after_the_last_one_that_could_bring_its_label(make: Make) -> None:
    stream = make()
    small = Small(stream)
    small.sample("a", 0)
    small.sample("b", HORIZON + PATIENCE)
    small.run()
    assert waiting(stream) == 2
    small.sample("c", HORIZON + PATIENCE + 1)
    small.run()
    assert waiting(stream) == 2
    assert plain_log(stream).gone == [(0, "a")]


def test_labels_of_aborted_transactions_were_never_sent(make: Make) -> None:
    stream = make()
    small = Small(stream)
    small.sample("a", 0)
    small.sample("b", 1)
    small.run()
    producer = Producer({"bootstrap.servers": stream.kafka, "transactional.id": stream.name, "log_level": 0})
    producer.init_transactions(30)
    for id_, label, aborted in (("a", 0, True), ("a", 1, False), ("b", 0, True)):
        producer.begin_transaction()
        body = {"id": id_, "label": label, "timestamp": BEGIN + 50}
        producer.produce(stream.labels, json.dumps(body).encode(), partition=0)
        producer.flush(30)
        (producer.abort_transaction if aborted else producer.commit_transaction)(30)
    stream.drain()
    assert joined(stream) == {"a": 1.0}
    assert stream.inspect()["labels"]["offsets"] == {f"{stream.labels}-0": 6}


def test_samples_sent_in_transactions_do_not_hold_up_the_labels_behind_them(make: Make) -> None:
    """The topic ends with a marker, which is no record: there are no more samples all the same."""
    stream = make()
    worker = stream.worker()
    producer = Producer({"bootstrap.servers": stream.kafka, "transactional.id": stream.name, "log_level": 0})
    producer.init_transactions(30)
    for id_ in ("a", "b"):
        producer.begin_transaction()
        body = {"id": id_, "timestamp": BEGIN, "features": {"x": 1}}
        producer.produce(stream.samples, json.dumps(body).encode(), partition=0)
        producer.flush(30)
        (producer.abort_transaction if id_ == "b" else producer.commit_transaction)(30)
    small = Small(stream)
    small.label("a", 50)
    stream.send(small.records)
    stream.wait_learned(1)
    assert terminate(worker) == 0


# What breaks


def test_killed_in_the_middle_each_label_is_joined_exactly_once(make: Make) -> None:
    stream, made = make(4), traffic(12_000, 4)
    for start in range(0, len(made.messages), len(made.messages) // 4 + 1):
        send(stream, made, start, start + len(made.messages) // 4 + 1)
        before = log_end(stream)
        worker = stream.worker(env={"GRADSTREAM_GROUP_ID": uuid.uuid4().hex})  # nobody waits for the dead one
        stream.wait(lambda before=before: log_end(stream) > before + 1)
        worker.kill()
        worker.wait()
    stream.drain(env={"GRADSTREAM_GROUP_ID": uuid.uuid4().hex})
    audit(stream, made)


def log_end(stream: Stream) -> int:
    """Where the learning log ends."""
    with closing(KafkaConsumer(bootstrap_servers=stream.kafka)) as consumer:
        log = TopicPartition(f"{stream.name}.learning-log", 0)
        end: int = consumer.end_offsets([log])[log]
        return end


@pytest.mark.parametrize("running", [True, False], ids=["while it runs", "before a restart"])
def test_in_a_redis_that_is_emptied_while_samples_wait_they_wait_again(make: Make, running: bool) -> None:
    stream, made = make(2), traffic(3_000, 2, kinds=LIVE)
    middle = len(made.messages) // 2
    send(stream, made, 0, middle)
    worker = stream.worker()
    stream.wait(lambda: waiting(stream) > 100 and stream.inspect()["lag"] == 0)
    if not running:
        assert terminate(worker) == 0
    with stream.client() as client:
        client.delete(*client.keys(f"gradstream:{{{stream.name}}}*"))
    if not running:
        worker = stream.worker()
    send(stream, made, middle)
    stream.wait(lambda: waiting(stream) == 2)
    with stream.client() as client:
        stream.wait(lambda: int(client.hget(f"{_key(stream)}:about", "waiting") or -1) == 1)
        (id_,) = client.hkeys(_key(stream))
    assert terminate(worker) == 0
    audit(stream, made)
    assert id_.decode() in plain_log(stream).desks[0].waiting


def _key(stream: Stream) -> str:
    return f"gradstream:{{{stream.name}}}:waiting:0"


def test_a_worker_that_starts_finds_in_redis_what_waits(make: Make) -> None:
    stream, made = make(2), traffic(3_000, 2)
    middle = len(made.messages) // 2
    send(stream, made, 0, middle)
    stream.drain()
    desks = plain_log(stream).desks
    with stream.client() as client:
        for partition, desk in desks.items():
            key = f"gradstream:{{{stream.name}}}:waiting:{partition}"
            assert {id_.decode() for id_ in client.hkeys(key)} == desk.waiting.keys()
            about = {name.decode(): value.decode() for name, value in client.hgetall(f"{key}:about").items()}
            assert {one[0] for one in json.loads(about["early"])} == desk.early.keys()
            assert (int(about["next"]), int(about["label_next"])) == (desk.next, desk.label_next)
            for id_, sample in client.hgetall(key).items():
                row, found = desk.waiting[id_.decode()], json.loads(sample)
                assert (found["offset"], found["timestamp"], found["weight"]) == (
                    row.offset,
                    row.time,
                    row.weight,
                )
                assert found["prediction"] == [row.prediction]
    send(stream, made, middle)
    stream.drain()
    audit(stream, made)


# What is large


def test_the_longest_ids_wait_and_are_joined_and_let_go_in_any_number(make: Make) -> None:
    stream = make()
    small = Small(stream)
    long = [f"{i}-".ljust(4096, "x") for i in range(1_800)]
    for i, id_ in enumerate(long):
        small.sample(id_, i % 2)
    for id_ in long[:600]:
        small.label(id_, 10)
    small.run()
    assert (len(joined(stream)), waiting(stream)) == (600, 1_200)
    log = let_all_go(small)
    assert sorted(id_ for _, id_ in log.gone) == sorted(long[600:])


def test_labels_of_a_megabyte_that_come_early_are_kept_and_joined_or_given_up(make: Make) -> None:
    stream = make()
    small = Small(stream)
    for i in range(60):
        small.label(f"s{i}", 10, other="x" * 300_000)
    small.run()
    for i in range(12):
        small.sample(f"s{i}", 20)
    small.run()
    assert len(joined(stream)) == 12
    small.sample("last", 11 + PATIENCE)
    small.run()
    assert [name for name, *_ in letters(stream)] == ["UnmatchedLabel"] * 48
    assert "append failed" not in stream.logs()
    assert_redis_says_the_same(stream, plain_log(stream))


def test_any_number_of_large_samples_expires_at_once(make: Make) -> None:
    stream = make(1, 'on_missing = "negative"')
    stream.write_config(
        stream.table.replace('numeric = ["x"]', 'numeric = ["x", { name = "v", size = 1000 }]')
    )
    small = Small(stream)
    vector = [i / 7 for i in range(1_000)]
    for i in range(800):
        small.sample(f"s{i}", i % 2, features={"x": i % 5, "c": "c", "v": vector})
    small.run()
    log = let_all_go(small)
    assert Counter(row.event for row in log.learned) == {EXPIRED: 800}


def let_all_go(small: Small) -> LateLog:
    """All that waits is due at once; a record of the log takes a part of it, and each sample brings one."""
    stream = small.stream
    worker = stream.worker()
    for i in range(100):
        small.sample(f"last {i}", 3 * (HORIZON + PATIENCE))
        end = log_end(stream)
        stream.send(small.records[-1:])
        stream.wait(lambda end=end: log_end(stream) > end)
        if 0 <= waiting(stream) <= i + 1:
            break
    assert terminate(worker) == 0
    assert "append failed" not in stream.logs()
    log = plain_log(stream)
    assert_redis_says_the_same(stream, log)
    return log


# What the topics have to be


def test_a_labels_topic_that_is_not_there_is_one_line(make: Make, kafka_admin: Any) -> None:
    stream = make()
    kafka_admin.delete_topics([stream.labels])
    stream.wait(lambda: stream.labels not in kafka_admin.list_topics())
    assert stream.worker("--drain").wait(60) == 1
    assert stream.logs().count(f"gradstream: no topic {stream.labels}") == 1
    assert "Traceback" not in stream.logs()


def test_partition_counts_that_differ_are_one_line(make: Make, kafka_admin: Any) -> None:
    from kafka.admin import NewPartitions

    stream = make(2)
    kafka_admin.create_partitions({stream.labels: NewPartitions(3)})
    stream.wait(lambda: len(kafka_admin.describe_topics([stream.labels])[0]["partitions"]) == 3)
    assert stream.worker("--drain").wait(60) == 1
    (line,) = [line for line in stream.logs().splitlines() if line.startswith("gradstream: ")]
    assert f"{stream.labels}: has 3 partitions" in line
    assert f"{stream.samples} has 2" in line
    assert "Traceback" not in stream.logs()
