"""What commands show of labels that come late, on real servers: counts, lag, one sample, mistakes."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer

from tests.integration.harness import Stream, opened
from tests.servers import Servers

TABLE = """
labels = "{name}.labels"
label_horizon = "1m"
label_patience = "10s"
waiting_limit = 40
task = "binary"
[models."{name}".features]
numeric = ["x"]
"""
T0 = 1_700_000_000_000
WAITING = 12


def late_stream(servers: Servers, folder: Path, name: str) -> Stream:
    return Stream(servers.kafka, servers.redis, name, folder, TABLE.format(name=name), partitions=2)


@pytest.fixture
def stream(servers: Servers, tmp_path: Path, unique_name: str) -> Iterator[Stream]:
    with opened(late_stream(servers, tmp_path, unique_name)) as made:
        yield made


@pytest.fixture(scope="module")
def joined(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stream]:
    """For all tests that change nothing."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    with opened(late_stream(servers, tmp_path_factory.mktemp("joined"), name)) as made:
        join(made)
        yield made


def send(stream: Stream, topic: str, *messages: tuple[int, dict[str, Any]]) -> None:
    """Messages, each to a partition; times are seconds after T0."""
    producer = KafkaProducer(bootstrap_servers=stream.kafka, acks="all")
    try:
        for partition, message in messages:
            timed = {**message, "timestamp": T0 + int(message["timestamp"] * 1000)}
            producer.send(f"{stream.name}.{topic}", json.dumps(timed).encode(), partition=partition)
        producer.flush()
    finally:
        producer.close()


def sample(partition: int, id_: str, seconds: float, **more: Any) -> tuple[int, dict[str, Any]]:
    return partition, {"id": id_, "features": {"x": seconds}, "timestamp": seconds, **more}


def label(partition: int, id_: str, seconds: float, **more: Any) -> tuple[int, dict[str, Any]]:
    return partition, {"id": id_, "label": 1, "timestamp": seconds, **more}


def join(stream: Stream) -> None:
    """Samples a0 … in partition 0, b0 … in 1; a0 and b0 get their labels; one of nobody is kept."""
    samples = [sample(p, f"{'ab'[p]}{i}", i) for i in range(1 + WAITING // 2) for p in (0, 1)]
    send(stream, "samples", *samples)
    send(stream, "labels", label(0, "a0", 2), label(1, "b0", 4), label(1, "b0", 5), label(0, "nobody", 6))
    stream.drain()


def waiting(stream: Stream, id_: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(
        stream.command("inspect", stream.name, "--waiting", id_, "--json").stdout
    )
    assert (document["model"], document["id"]) == (stream.name, id_)
    return document


def refused(stream: Stream, *arguments: str) -> str:
    """The one line on standard error of a command that fails."""
    done = stream.command("inspect", stream.name, *arguments, check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    return done.stderr.removeprefix("gradstream: ").rstrip("\n")


# The state of all


def test_inspect_has_what_the_checkpoint_says_of_labels_and_their_lag(joined: Stream) -> None:
    labels = joined.inspect()["labels"]
    stored = json.loads(joined.checkpoint()["labels"])
    assert {name: labels[name] for name in stored} == stored
    counts = ("joined", "expired", "dropped", "early", "repeated", "unmatched", "corrections", "waiting")
    assert [labels[name] for name in counts] == [2, 0, 0, 1, 1, 0, 0, WAITING]
    assert labels["offsets"] == {f"{joined.name}.labels-0": 2, f"{joined.name}.labels-1": 2}
    assert labels["partitions"][f"{joined.name}.samples-0"] == {
        "waiting": WAITING // 2,
        "early_waiting": 1,
        "sample_time": T0 + 6000,
        "label_time": T0 + 6000,
    }
    assert labels["delays"]["count"] == 2
    assert labels["delays"]["mean_seconds"] == 3.0
    assert (labels["lag"], labels["redis"]["limit"]) == (0, 40)
    assert labels["redis"]["waiting_bytes"] > 100 * WAITING


def test_inspect_for_people_has_counts_and_offsets_of_labels(joined: Stream) -> None:
    shown = joined.command("inspect", joined.name).stdout
    for text in (
        "waiting        12 of 40, ",
        "joined         2 ",
        "lag of labels  0",
        "delay          mean 3 s",
    ):
        assert text in shown
    row = next(line.split() for line in shown.splitlines() if line.startswith(f"{joined.name}.samples-1"))
    assert row == [f"{joined.name}.samples-1", "7", "0", f"{joined.name}.labels-1", "2", "0"]
    assert f"{joined.name}.samples-0        6             1  2023-11-14T22:13:26.000Z" in shown
    assert "!" not in shown
    assert "with a label of their own 0.0%" in shown


def test_models_shows_how_many_wait(joined: Stream) -> None:
    rows = {row["model"]: row for row in json.loads(joined.command("models", "--json").stdout)}
    assert rows[joined.name]["waiting"] == WAITING
    header = joined.command("models").stdout.splitlines()[0]
    assert re.search("samples learned +waiting +dead letters", header)


def test_inspect_tells_of_lag_of_samples_that_will_be_let_go_and_of_labels_elsewhere(stream: Stream) -> None:
    join(stream)
    send(stream, "samples", *(sample(0, f"c{i}", 7) for i in range(11)))
    send(stream, "labels", label(0, "b9", 7), label(1, "b9", 7), label(1, "a4", 8))
    document = stream.inspect()
    assert (document["lag"], document["labels"]["lag"]) == (11, 3)
    stream.drain()
    shown = stream.command("inspect", stream.name).stdout
    assert f"! 23 samples wait, 85% of what may wait in {stream.name}.samples-0 (waiting_limit 40" in shown
    assert "were let go" not in shown
    document = waiting(stream, "a4")
    assert (document["waiting"]["partition"], document["early"]["partition"]) == (0, 1)
    shown = stream.command("inspect", stream.name, "--waiting", "a4").stdout
    assert "! sample and label are in partitions of different numbers" in shown
    send(stream, "samples", *(sample(0, f"d{i}", 7) for i in range(5)))
    stream.drain()
    assert "! 2 samples were let go before their labels came" in stream.command("inspect", stream.name).stdout
    assert stream.inspect()["labels"]["dropped"] == 2


def test_a_model_whose_settings_are_gone_has_its_counts_without_lag(joined: Stream, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text(joined.config.read_text().replace(f'"{joined.name}"', '"other"'))
    inspect = ("--config", str(other), "inspect", joined.name)
    labels = json.loads(joined.command(*inspect, "--json").stdout)["labels"]
    assert (labels["joined"], labels["lag"], labels["redis"]["limit"]) == (2, None, None)
    found = json.loads(joined.command(*inspect, "--waiting", "a1", "--json").stdout)["waiting"]
    assert (found["partition"], found["label_until"]) == (0, None)
    assert "expires" not in joined.command(*inspect, "--waiting", "a1").stdout


def test_a_model_with_labels_in_its_samples_has_none_of_that(
    servers: Servers, tmp_path: Path, unique_name: str
) -> None:
    with opened(Stream(servers.kafka, servers.redis, unique_name, tmp_path, 'task = "binary"')) as plain:
        plain.produce([b'{"features": {"x": 1}, "label": 1}'])
        plain.drain()
        assert plain.inspect()["labels"] is None
        assert "waiting" not in plain.command("inspect", plain.name).stdout
        line = refused(plain, "--waiting", "a")
        assert line == f"model '{plain.name}': its labels stand in its samples, so no sample waits"


# One sample


def test_a_sample_that_waits_is_shown_as_it_was_predicted(joined: Stream) -> None:
    document = waiting(joined, "b3")
    told = json.loads(joined.predictions()[1, 3][0])
    assert told["id"] == "b3"
    found = document["waiting"]
    assert (document["early"], document["joined"]) == (None, None)
    assert (found["topic"], found["partition"], found["offset"]) == (told["topic"], 1, told["offset"])
    assert (found["prediction"], found["probability"]) == (told["prediction"], told["probability"])
    assert (found["timestamp"], found["waited_seconds"]) == (T0 + 3000, 3.0)
    assert (found["sample_time"], found["label_time"]) == (T0 + 6000, T0 + 5000)
    assert found["label_from"] == T0 + 3000 - 10_000
    assert found["label_until"] == T0 + 3000 + 60_000
    assert found["waits_until"] == T0 + 3000 + 70_000
    shown = joined.command("inspect", joined.name, "--waiting", "b3").stdout
    assert f"in {joined.name}.samples-1 @3, as of learning log offset" in shown
    assert "2023-11-14T22:13:23.000Z, for 3 s" in shown
    assert "in time from 2023-11-14T22:13:13.000Z to 2023-11-14T22:14:23.000Z" in shown
    assert "when a clock is past 2023-11-14T22:14:33.000Z" in shown


def test_an_early_label_and_a_joined_sample_are_found_by_their_ids(joined: Stream) -> None:
    early = waiting(joined, "nobody")
    assert early["early"] == {
        "topic": f"{joined.name}.labels",
        "partition": 0,
        "offset": 1,
        "label": 1,
        "weight": 1.0,
        "timestamp": T0 + 6000,
        "kept_until": T0 + 16_000,
    }
    assert (early["waiting"], early["joined"]) == (None, None)
    shown = joined.command("inspect", joined.name, "--waiting", "nobody").stdout
    assert f"1 of 2023-11-14T22:13:26.000Z, in {joined.name}.labels-0 @1" in shown
    assert waiting(joined, "a0")["joined"] == {"topic": f"{joined.name}.samples", "partition": 0}
    assert "whose labels have come" in joined.command("inspect", joined.name, "--waiting", "a0").stdout


def test_an_id_that_nobody_knows_is_told_in_one_line(joined: Stream) -> None:
    line = (
        f"model '{joined.name}': no sample \"zz\" waits, no label of it is kept, and it is not among those "
        "that were joined last"
    )
    assert refused(joined, "--waiting", "zz") == line
    assert refused(joined, "--waiting", "zz", "--json") == line


# What stands in Redis is not gradstream's


@contextmanager
def instead(stream: Stream, key: str, field: str, content: str | bytes) -> Iterator[None]:
    """A field of a hash holds something else inside the block: others list the models of this Redis too."""
    with stream.client() as client:
        kept = client.hget(key, field)
        client.hset(key, field, content)
        try:
            yield
        finally:
            client.hset(key, field, kept)


def test_bad_content_in_redis_is_told_in_one_line(joined: Stream) -> None:
    key = f"gradstream:{{{joined.name}}}:waiting:0"
    for content in (b"{}", b"a", b"\xff", b'{"offset": "x"}', b"[" * 10_000):
        with instead(joined, key, "a1", content):
            line = refused(joined, "--waiting", "a1")
            assert line.startswith(f"Redis key {key}: not what gradstream writes of waiting samples (")
            assert line.endswith(
                f"delete it and {key}:about to have them written again from the learning log"
            )
    with instead(joined, f"{key}:about", "early", '[["a"]]'):
        assert refused(joined, "--waiting", "a1").startswith(f"Redis key {key}: not what ")
    for found in ("{}", "[1]", "x"):
        with instead(joined, f"gradstream:{{{joined.name}}}", "labels", found):
            line = refused(joined)
            assert line.startswith(
                f"Redis key gradstream:{{{joined.name}}}: not a checkpoint of gradstream ("
            )


def test_what_waits_is_written_again_when_its_keys_were_deleted(stream: Stream) -> None:
    join(stream)
    key = f"gradstream:{{{stream.name}}}:waiting:0"
    with stream.client() as client:
        client.delete(key)
        client.set(key, "text")
        assert "WRONGTYPE" in refused(stream, "--waiting", "b1")
        client.delete(key, f"{key}:about")
        assert refused(stream, "--waiting", "a1").startswith(f"model '{stream.name}': no sample \"a1\" waits")
        send(stream, "labels", label(0, "a2", 8))
        stream.drain()
        assert waiting(stream, "a1")["waiting"]["offset"] == 1
        assert client.hlen(key) == WAITING // 2 - 1


# Files of samples and labels


def test_produce_gives_samples_and_labels_the_same_keys(stream: Stream, tmp_path: Path) -> None:
    samples, labels = tmp_path / "samples.jsonl", tmp_path / "labels.csv"
    rows = [{"id": f"s{i}", "features": {"x": i}, "timestamp": T0 + i} for i in range(50)]
    samples.write_text("".join(json.dumps(row) + "\n" for row in rows))
    labels.write_text("id,label,timestamp\n" + "".join(f"s{i},{i % 2},{T0 + i}\n" for i in range(50)))
    stream.command("produce", stream.samples, str(samples))
    stream.command("produce", f"{stream.name}.labels", str(labels), "--labels")
    sent = stream.read(stream.samples), stream.read(f"{stream.name}.labels")
    assert {r.partition for r in sent[0]} == {0, 1}
    for records in sent:
        assert [r.key for r in records] == [json.loads(r.value)["id"].encode() for r in records]
    stream.drain()
    assert stream.inspect()["labels"]["joined"] == 50
    shown = stream.command("tail", f"{stream.name}.labels", "--from-beginning", "--max-messages", "50").stdout
    assert f"s7 s7 label=1 timestamp={T0 + 7}\n" in shown


def test_check_and_inspect_say_what_is_wrong_with_samples_whose_labels_come_late(stream: Stream) -> None:
    send(stream, "samples", sample(0, "a", 1), (1, {"features": {"x": 2}, "timestamp": 2}))
    stream.drain()
    for command in (["check"], ["inspect", stream.name]):
        shown = stream.command(*command).stdout
        assert "! 1 of 2 samples have no id that a label could name" in shown
        assert "nothing is learned" not in shown
