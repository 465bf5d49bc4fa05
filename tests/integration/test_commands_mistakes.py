"""What each command says when something is not there: one line, a non-zero exit, nothing else."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pytest

from tests.integration.harness import Stream
from tests.servers import KAFKA_VARIABLE, REDIS_VARIABLE, Servers

TABLE = 'task = "regression"\n'
SECONDS = 30


def refused() -> str:
    """An address where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def stream(servers: Servers, tmp_path: Path, unique_name: str, monkeypatch: pytest.MonkeyPatch) -> Stream:
    """Settings of a model without topics."""
    for variable in (KAFKA_VARIABLE, REDIS_VARIABLE):  # stronger than the file, in which the mistakes are
        monkeypatch.delenv(variable, raising=False)
    made = Stream(servers.kafka, servers.redis, unique_name, tmp_path, TABLE)
    made.write_config()
    (tmp_path / "one.csv").write_text("a\n1\n")
    return made


def fails(stream: Stream, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command that must fail in time, with one line."""
    file = str(stream.folder / "one.csv")
    names = {"NAME": stream.name, "TOPIC": stream.samples, "FILE": file}
    done = stream.command(*(names.get(word, word) for word in arguments), check=False, timeout=SECONDS)
    assert done.returncode == 1
    assert done.stderr.startswith("gradstream: ")
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
    return done


NEEDS_KAFKA = [
    ("topics", "create"),
    ("produce", "TOPIC", "FILE"),
    ("tail", "TOPIC"),
    ("models",),
    ("resume", "NAME"),
    ("reset", "NAME", "--yes"),
    ("worker", "--drain"),
]
NEEDS_REDIS = [
    ("models",),
    ("inspect", "NAME"),
    ("verify", "NAME"),
    ("resume", "NAME"),
    ("reset", "NAME", "--yes"),
]


@pytest.mark.parametrize("arguments", NEEDS_KAFKA, ids=lambda words: words[0])
def test_a_broker_that_refuses(stream: Stream, arguments: tuple[str, ...]) -> None:
    stream.kafka = refused()
    stream.write_config()
    assert f"Kafka at {stream.kafka}: connection refused" in fails(stream, *arguments).stderr


@pytest.mark.parametrize("arguments", NEEDS_REDIS, ids=lambda words: words[0])
def test_a_redis_that_refuses(stream: Stream, arguments: tuple[str, ...]) -> None:
    address = refused()
    stream.redis = f"redis://:secret-word@{address}/0"
    stream.write_config()
    done = fails(stream, *arguments)
    assert f"Redis at redis://{address}/0: " in done.stderr
    assert "secret-word" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    "arguments", [("tail", "TOPIC"), ("produce", "TOPIC", "FILE")], ids=lambda words: words[0]
)
def test_a_topic_that_is_not_there(stream: Stream, arguments: tuple[str, ...]) -> None:
    assert f"no topic '{stream.samples}'" in fails(stream, *arguments).stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("inspect", "none"),
        ("verify", "none"),
        ("resume", "none"),
        ("reset", "none"),
        ("topics", "create", "--model", "none"),
    ],
)
def test_a_model_that_nobody_knows(stream: Stream, arguments: tuple[str, ...]) -> None:
    assert "no model 'none' in " in fails(stream, *arguments).stderr


def test_a_model_without_a_checkpoint(stream: Stream) -> None:
    assert "no checkpoint in Redis" in fails(stream, "inspect", "NAME", "--json").stderr


def test_a_key_in_redis_that_is_no_checkpoint(stream: Stream) -> None:
    with stream.client() as client:
        client.hset(f"gradstream:{{{stream.name}}}", mapping={"version": "one"})
        line = fails(stream, "inspect", "NAME").stderr
        assert f"Redis key gradstream:{{{stream.name}}}: not a checkpoint" in line
        stream.command("reset", stream.name, "--yes")
        assert not client.exists(f"gradstream:{{{stream.name}}}")


def test_more_replicas_than_brokers(stream: Stream) -> None:
    assert "cannot create topic" in fails(stream, "topics", "create", "--replication-factor", "99").stderr


def test_check_tells_all_that_is_wrong_at_once(stream: Stream) -> None:
    stream.kafka, stream.redis = refused(), f"redis://{refused()}/0"
    stream.write_config()
    done = stream.command("check", check=False, timeout=SECONDS)
    assert done.returncode == 1
    assert f"✘ Kafka at {stream.kafka}: connection refused" in done.stdout
    assert f"✘ Redis at {stream.redis}: " in done.stdout
    assert done.stderr == ""


def test_check_tells_that_topics_are_missing_and_how_to_make_them(stream: Stream) -> None:
    done = stream.command("check", check=False)
    assert done.returncode == 1
    assert f"✘ no topic {stream.samples}; run gradstream topics create" in done.stdout
