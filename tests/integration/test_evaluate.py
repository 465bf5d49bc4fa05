"""evaluate and tune on a real topic: what a worker would show, and nothing live is touched."""

from __future__ import annotations

import contextlib
import json
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from confluent_kafka import Producer
from kafka import KafkaAdminClient

from tests.integration.harness import Stream, opened
from tests.servers import Servers

TABLE = """
task = "binary"
[models."{name}".features]
numeric = ["a", "b"]
categorical = ["k"]
interactions = [["k", "a"]]
hash_bits = 12
"""
NOBODY = "redis://127.0.0.1:1/0"
SAME = ("metrics", "samples_learned", "dead_letters", "refused", "skipped", "halted", "digest")
"""What `evaluate --json` and `inspect --json` both have."""


def messages(n: int, seed: int = 1, refused: bool = True) -> list[dict[str, Any]]:
    """n samples: one in ten without a label, one in fifty invalid, some that no model can learn from."""
    rng = np.random.default_rng(seed)
    made = []
    for i in range(n):
        a, b = (round(float(x), 4) for x in rng.normal(size=2))
        features = {"a": a, "b": b, "k": f"k{rng.integers(40)}"}
        body: dict[str, Any] = {"id": f"s{i}", "features": features, "label": int(a - b + rng.normal() > 0)}
        if i % 10 == 3:
            del body["label"]
        if i % 7 == 0:
            body["weight"] = 2.5
        if i % 50 == 17:
            body["features"]["b"] = "far"
        if refused and i % 400 == 201:
            body["features"]["a"] = 1e200
        made.append(body)
    return made


def encoded(bodies: Sequence[dict[str, Any]]) -> list[bytes]:
    return [json.dumps(body).encode() for body in bodies]


@pytest.fixture
def stream(servers: Servers, tmp_path: Path, unique_name: str) -> Iterator[Stream]:
    table = TABLE.format(name=unique_name)
    with opened(Stream(servers.kafka, servers.redis, unique_name, tmp_path, table)) as made:
        yield made


def evaluated(stream: Stream, source: str, *arguments: str) -> dict[str, Any]:
    """`evaluate --json`, with a Redis that is not there."""
    done = stream.command(
        "--set", f"redis.url={NOBODY}", "evaluate", stream.name, "--from", source, "--json", *arguments
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("update", ["sample", "batch"])
def test_metrics_and_state_are_exactly_those_of_a_worker_on_one_partition(
    stream: Stream, update: str
) -> None:
    stream.write_config(f'update = "{update}"\n{stream.table}')
    bodies = messages(6_000)
    stream.produce(encoded(bodies))
    before = evaluated(stream, stream.samples)
    stream.drain()
    live = stream.inspect()
    after = evaluated(stream, stream.samples)
    for key in SAME:
        assert before[key] == live[key], key
        assert after[key] == live[key], key
    assert (live["dead_letters"], before["records"]) == (120, 6_000)
    assert live["refused"] > 0
    path = stream.folder / "samples.jsonl"
    path.write_bytes(b"\n".join(encoded(bodies)))
    from_file = evaluated(stream, str(path))
    assert [from_file[key] for key in SAME] == [live[key] for key in SAME]


def test_nothing_live_is_touched(stream: Stream) -> None:
    stream.produce(encoded(messages(300)))

    def live() -> tuple[Any, ...]:
        with contextlib.closing(KafkaAdminClient(bootstrap_servers=stream.kafka)) as admin:
            groups = sorted(
                one[0] if isinstance(one, tuple) else one["group_id"] for one in admin.list_groups()
            )
            topics = sorted(admin.list_topics())
        with contextlib.closing(stream.client()) as client:
            keys = sorted(client.scan_iter(f"gradstream:{{{stream.name}}}*"))
            known = client.sismember("gradstream:models", stream.name)
        written = [len(stream.read(f"{stream.name}.{end}")) for end in ("predictions", "learning-log")]
        return groups, topics, keys, known, written

    before = live()
    evaluated(stream, stream.samples)
    stream.command("tune", stream.name, "--from", stream.samples, "--candidates", "4")
    assert live() == before
    assert before[2:] == ([], 0, [0, 0])


def test_partitions_are_merged_by_event_time(servers: Servers, tmp_path: Path, unique_name: str) -> None:
    """Three partitions with interleaved times are one recording in the order of time."""
    table = TABLE.format(name=unique_name)
    with opened(Stream(servers.kafka, servers.redis, unique_name, tmp_path, table, partitions=3)) as stream:
        bodies = messages(3_000, refused=False)
        for i, body in enumerate(bodies):
            body["timestamp"] = 1_700_000_000_000 + i * 10
        in_order = stream.folder / "in-order.jsonl"
        in_order.write_bytes(b"\n".join(encoded(bodies)))
        # The partitions' numbers are not in the order of time, so that no other merge gives it by chance.
        thirds = [bodies[start::3] for start in (1, 2, 0)]
        stream.produce(encoded([body for three in zip(*thirds, strict=True) for body in three]))
        by_time = evaluated(stream, str(in_order))
        merged = evaluated(stream, stream.samples)
        assert [merged[key] for key in SAME] == [by_time[key] for key in SAME]
        assert evaluated(stream, stream.samples) | {"seconds": 0} == merged | {"seconds": 0}
        shuffled = stream.folder / "otherwise.jsonl"
        shuffled.write_bytes(b"\n".join(encoded([body for third in thirds for body in third])))
        assert evaluated(stream, str(shuffled))["digest"] != by_time["digest"]


def test_only_committed_samples_are_recorded_and_an_open_transaction_is_not_waited_for(
    stream: Stream,
) -> None:
    values = encoded(messages(900, refused=False))
    producer = Producer({"bootstrap.servers": stream.kafka, "transactional.id": stream.name, "log_level": 0})
    producer.init_transactions(30)
    for turn in range(3):
        producer.begin_transaction()
        for value in values[turn * 300 : (turn + 1) * 300]:
            producer.produce(stream.samples, value, partition=0)
        producer.flush(30)
        if turn == 1:
            producer.abort_transaction(30)
        elif turn == 0:
            producer.commit_transaction(30)
    try:
        found = evaluated(stream, stream.samples)
        committed = stream.folder / "committed.jsonl"
        committed.write_bytes(b"\n".join(values[:300]))
        alone = evaluated(stream, str(committed))
        assert [found[key] for key in SAME] == [alone[key] for key in SAME]
        assert found["records"] == 300
    finally:
        producer.abort_transaction(30)


def test_dead_letters_of_a_topic_are_told_by_their_offsets(stream: Stream) -> None:
    stream.produce(encoded(messages(200, refused=False)))
    told = evaluated(stream, stream.samples)["first_dead_letters"]
    assert [one["at"] for one in told] == [f"{stream.samples}-0 @{i}" for i in (17, 67, 117, 167)]
    assert told[0]["reason"] == 'features.b: expected a finite number, got "far"'
    limited = evaluated(stream, stream.samples, "--limit", "100")
    assert (limited["records"], limited["dead_letters"]) == (100, 2)


def test_tuning_on_a_topic_gives_settings_that_a_worker_takes(stream: Stream) -> None:
    slow = 'optimizer = { name = "sgd", learning_rate = 1e-5 }\n'
    stream.write_config(slow + stream.table)
    stream.produce(encoded(messages(3_000)))
    race = ("tune", stream.name, "--from", stream.samples, "--candidates", "16")
    best = json.loads(stream.command(*race, "--json").stdout)["ranked"][0]
    done = stream.command(*race)
    head = stream.config.read_text().split("[models.")[0]
    assert tomllib.loads(done.stdout)["models"][stream.name]["samples"] == stream.samples
    stream.config.write_text(head + done.stdout)
    stream.drain()
    live = stream.inspect()
    assert live["metrics"] == best["metrics"]
    assert best["current"] is False


def test_a_topic_that_is_not_there_is_told_with_the_nearest(stream: Stream) -> None:
    done = stream.command("evaluate", stream.name, "--from", stream.samples + "s", check=False)
    assert done.returncode == 1
    assert f"no such file, and as a topic: Kafka at {stream.kafka}: no topic" in done.stderr
    assert f"did you mean '{stream.samples}'?" in done.stderr
    assert done.stderr.count("\n") == 1


def test_options_of_files_are_wrong_usage_with_a_topic(stream: Stream) -> None:
    done = stream.command("evaluate", stream.name, "--from", stream.samples, "--id", "x", check=False)
    assert done.returncode == 2
    assert f"--id is for files; {stream.samples} is a topic" in done.stderr


def test_an_empty_topic_is_told(stream: Stream) -> None:
    done = stream.command("evaluate", stream.name, "--from", stream.samples, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{stream.samples}: there is no record in it" in done.stderr
