"""Whatever arrives on the samples topic, the stream goes on; whatever is set up wrong is one clear line."""

from __future__ import annotations

import json
import os
import random
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.harness import Stream, opened
from tests.integration.test_worker import DENSE, HASHED, samples

LONG = bool(os.environ.get("GRADSTREAM_LONG"))

TABLE = """
task = "binary"
save_every = "200ms"
[models."{name}".features]
numeric = ["x"]
categorical = ["c"]
"""
GOOD = b'{"features": {"x": 1.5, "c": "red"}, "label": 1}'

BAD: list[tuple[str, bytes | None, str, str]] = [
    ("not JSON", b"hello", "VALUE_CONVERTER", "JSON"),
    ("not an object", b"[1, 2]", "VALUE_CONVERTER", "object"),
    ("an empty value", b"", "VALUE_CONVERTER", "empty"),
    ("a tombstone", None, "VALUE_CONVERTER", "tombstone"),
    ("2 MB of garbage", os.urandom(2_000_000), "VALUE_CONVERTER", ""),
    ("features missing", b'{"label": 1}', "TRANSFORMATION", "features"),
    ("a nested object", b'{"features": {"c": {"a": 1}}}', "TRANSFORMATION", "features.c"),
    ("a number as text", b'{"features": {"x": "far"}}', "TRANSFORMATION",
     'features.x: expected a finite number, got "far"'),
    ("NaN as text", b'{"features": {"x": "NaN"}}', "TRANSFORMATION", "features.x"),
    ("1e999", b'{"features": {"x": 1e999}}', "TRANSFORMATION", "features.x"),
    ("a label outside the classes", b'{"features": {"x": 1}, "label": 7}', "TRANSFORMATION", "label"),
    ("a negative weight", b'{"features": {"x": 1}, "label": 1, "weight": -1}', "TRANSFORMATION", "weight"),
]  # fmt: skip


@pytest.fixture
def make(servers: Any, tmp_path: Path) -> Iterator[Callable[..., Stream]]:
    made: list[Stream] = []

    def build(table: str, create: bool = True) -> Stream:
        name = f"m-{uuid.uuid4().hex[:8]}"
        stream = Stream(servers.kafka, servers.redis, name, tmp_path, table.format(name=name),
                        top=f'group_id = "{name}"')  # fmt: skip
        made.append(stream)
        if create:
            opened(stream).__enter__()
        else:
            stream.write_config()
        return stream

    yield build
    for stream in made:
        stream.stop_all()


def test_each_bad_record_is_a_dead_letter_with_its_reason_and_the_stream_goes_on(
    make: Callable[..., Stream],
) -> None:
    stream = make(TABLE)
    values: list[bytes | None] = []
    for _, value, _, _ in BAD:
        values += [GOOD, value]
    values.append(GOOD)
    stream.produce(values, key=lambda i: f"key-{i}".encode())
    stream.drain()
    letters = stream.read(f"{stream.name}.dead-letters")
    assert len(letters) == len(BAD)
    for position, (letter, (what, value, stage, message)) in enumerate(zip(letters, BAD, strict=True)):
        headers = {name: text.decode() for name, text in letter.headers}
        assert letter.value == value, what
        assert letter.key == f"key-{2 * position + 1}".encode()
        assert headers["__connect.errors.topic"] == stream.samples
        assert headers["__connect.errors.partition"] == "0"
        assert headers["__connect.errors.offset"] == str(2 * position + 1)
        assert headers["__connect.errors.connector.name"] == stream.name
        assert headers["__connect.errors.stage"] == stage, what
        assert headers["__connect.errors.exception.class.name"].startswith("gradstream.")
        assert message in headers["__connect.errors.exception.message"], what
    assert len(stream.read(f"{stream.name}.predictions")) == len(BAD) + 1
    found = stream.inspect()
    assert (found["dead_letters"], found["samples_learned"], found["lag"]) == (len(BAD), len(BAD) + 1, 0)


def mutated(value: bytes, dice: random.Random) -> bytes:
    changed = bytearray(value)
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(changed) + 1)
        action = dice.random()
        if action < 0.4 and at < len(changed):
            changed[at] = dice.randrange(256)
        elif action < 0.7:
            del changed[at : at + dice.randint(1, 5)]
        else:
            changed[at:at] = dice.choice(
                [b'"', b"{", b"}", b"[", b",", b"null", b"1e400", b"-", b"\xff", b"\\u0000"]
            )
    return bytes(changed)


def test_mutations_of_valid_records_never_stop_the_worker(make: Callable[..., Stream]) -> None:
    stream = make(HASHED)
    n, dice = 200_000 if LONG else 20_000, random.Random(11)
    originals = samples(1000)
    stream.produce([mutated(originals[i % 1000], dice) for i in range(n)])
    stream.drain(timeout=300)
    found = stream.inspect()
    predictions = {
        body["offset"] for body in (json.loads(r.value) for r in stream.read(f"{stream.name}.predictions"))
    }
    letters = {dict(r.headers)["__connect.errors.offset"] for r in stream.read(f"{stream.name}.dead-letters")}
    assert len(predictions) + len(letters) == n
    assert found["dead_letters"] == len(letters)
    assert found["lag"] == 0


# What is set up wrong


def one_line(stream: Stream, *arguments: str, env: dict[str, str] | None = None) -> str:
    """The worker's last words; it must have failed within 30 seconds."""
    said = len(stream.logs())
    process = stream.worker(*arguments, env=env)
    begun = time.monotonic()
    assert process.wait(30) == 1
    assert time.monotonic() - begun < 30
    last = [line for line in stream.logs()[said:].splitlines() if not line.startswith("{")]
    assert len(last) == 1, last
    assert last[0].startswith("gradstream: ")
    return last[0]


def test_missing_topics_are_named_with_the_command_that_makes_them(make: Callable[..., Stream]) -> None:
    stream = make(TABLE, create=False)
    line = one_line(stream)
    assert stream.samples in line
    assert "gradstream topics create" in line


def test_a_wrong_broker_address_is_named(make: Callable[..., Stream]) -> None:
    stream = make(TABLE, create=False)
    assert "127.0.0.1:1" in one_line(stream, env={"GRADSTREAM_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1"})


def test_a_redis_that_refuses_is_named(make: Callable[..., Stream]) -> None:
    stream = make(TABLE)
    assert "127.0.0.1:1" in one_line(stream, env={"GRADSTREAM_REDIS__URL": "redis://127.0.0.1:1/0"})


@pytest.mark.parametrize(
    ("table", "what"),
    [
        (DENSE.replace('"c"]', '"d"]'), "features.numeric"),
        (DENSE.replace('task = "binary"', 'task = "regression"'), "task"),
        (DENSE.replace('task = "binary"', 'task = "binary"\noptimizer = "sgd"'), "optimizer"),
    ],
    ids=["features", "task", "optimizer"],
)
@pytest.mark.parametrize("redis_emptied", [False, True], ids=["checkpoint", "log alone"])
def test_a_model_that_changed_does_not_start_and_nothing_is_overwritten(
    make: Callable[..., Stream], table: str, what: str, redis_emptied: bool
) -> None:
    stream = make(DENSE)
    stream.produce(samples(50))
    stream.drain()
    if redis_emptied:
        with stream.client() as client:
            client.delete(*client.keys(f"gradstream:{{{stream.name}}}*"))
    before = stream.checkpoint(), stream.tensors(), len(stream.log_records())
    stream.write_config(table.format(name=stream.name))
    line = one_line(stream)
    assert what in line
    assert f"gradstream reset {stream.name}" in line
    assert (stream.checkpoint(), stream.tensors(), len(stream.log_records())) == before


def test_a_damaged_checkpoint_is_told_and_left_alone(make: Callable[..., Stream]) -> None:
    stream = make(DENSE)
    stream.produce(samples(50))
    stream.drain()
    with stream.client() as client:
        damaged = bytearray(client.hget(f"gradstream:{{{stream.name}}}:tensors", "weights"))
        damaged[-1] ^= 1
        client.hset(f"gradstream:{{{stream.name}}}:tensors", "weights", bytes(damaged))
    before = stream.tensors()
    assert "digest" in one_line(stream)
    assert stream.tensors() == before


def test_a_log_that_was_made_again_is_told(make: Callable[..., Stream], kafka_admin: Any) -> None:
    stream = make(DENSE)
    stream.produce(samples(50))
    stream.drain()
    before = stream.tensors()
    kafka_admin.delete_topics([f"{stream.name}.learning-log"])
    time.sleep(1)
    stream.command("topics", "create")
    assert "gradstream reset" in one_line(stream)
    assert stream.tensors() == before


def test_an_input_that_was_made_again_is_told(make: Callable[..., Stream], kafka_admin: Any) -> None:
    stream = make(DENSE)
    stream.produce(samples(50))
    stream.drain()
    kafka_admin.delete_topics([stream.samples])
    time.sleep(1)
    stream.command("topics", "create")
    assert "deleted and made again" in one_line(stream)


def delete_records(stream: Stream, topic: str, before: int) -> None:
    """Take the records of partition 0 below an offset away, as retention does."""
    from kafka import TopicPartition
    from kafka.admin import KafkaAdminClient

    with KafkaAdminClient(bootstrap_servers=stream.kafka) as admin:
        admin.delete_records({TopicPartition(topic, 0): before})


def test_a_hole_in_the_input_stops_the_worker_or_is_skipped_when_told_to(make: Callable[..., Stream]) -> None:
    stream = make(DENSE)
    stream.produce(samples(50))
    stream.drain()
    learned = int(stream.checkpoint()["samples_learned"])
    stream.produce(samples(100))
    delete_records(stream, stream.samples, 80)
    before = stream.tensors()
    line = one_line(stream)
    assert f"{stream.samples}-0: the model's next offset 50 is outside of the topic" in line
    assert 'on_hole = "skip"' in line
    assert stream.tensors() == before
    stream.write_config(stream.table.replace("save_every", 'on_hole = "skip"\nsave_every'))
    stream.drain()
    found = stream.inspect()
    assert found["lag"] == 0
    assert found["offsets"] == {f"{stream.samples}-0": 150}
    assert learned < found["samples_learned"] < learned + 100


def test_a_log_that_lost_what_the_checkpoint_needs_is_told(make: Callable[..., Stream]) -> None:
    stream = make(DENSE)
    stream.produce(samples(50))
    stream.drain()
    with stream.client() as client:
        saved = {key: client.dump(key) for key in client.keys(f"gradstream:{{{stream.name}}}*")}
    stream.produce(samples(50))
    stream.drain()
    end = len(stream.log_records())
    delete_records(stream, f"{stream.name}.learning-log", end)
    stream.drain()  # the checkpoint stands at the end: nothing is missing
    with stream.client() as client:
        for key, value in saved.items():  # a Redis that fell back
            client.restore(key, 0, value, replace=True)
    assert "after the checkpoint's offset" in one_line(stream)
    with stream.client() as client:
        client.delete(*client.keys(f"gradstream:{{{stream.name}}}*"))
    assert "Redis has no checkpoint" in one_line(stream)
    assert stream.checkpoint() == {}


def test_partitions_added_later_are_read_from_their_beginning(
    make: Callable[..., Stream], kafka_admin: Any
) -> None:
    stream = make(DENSE.replace("save_every", 'start = "latest"\nsave_every'))
    stream.produce(samples(50))
    stream.drain()
    assert stream.checkpoint()["samples_learned"] == "0"  # latest: what was there before is not read
    kafka_admin.create_partitions({stream.samples: 2})
    stream.partitions = 2
    stream.produce(samples(100))
    one_partition = stream.worker("--drain")
    assert one_partition.wait(60) == 0
    assert "left unread" in stream.logs()
    stream.command("topics", "create", "--partitions", "2")
    stream.drain()
    assert stream.inspect()["offsets"] == {f"{stream.samples}-0": 100, f"{stream.samples}-1": 50}
