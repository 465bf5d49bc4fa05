"""A real worker whose updates are refused one after the other: it halts, says so, and is resumed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.harness import Stream, opened, terminate
from tests.servers import Servers

TABLE = """
task = "regression"
save_every = "100ms"
halt_after = 5
[models."{name}".features]
numeric = ["a"]
"""


@pytest.fixture
def stream(servers: Servers, tmp_path: Path, unique_name: str) -> Iterator[Stream]:
    table, top = TABLE.format(name=unique_name), f'group_id = "{unique_name}"'
    with opened(Stream(servers.kafka, servers.redis, unique_name, tmp_path, table, top=top)) as made:
        yield made


def samples(n: int, label: float) -> list[bytes]:
    return [json.dumps({"features": {"a": i}, "label": label}).encode() for i in range(n)]


def events(stream: Stream) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.logs().splitlines() if line.startswith("{")]


def told(stream: Stream, text: str) -> list[dict[str, Any]]:
    return [line for line in events(stream) if text in line["event"]]


def kinds(stream: Stream) -> list[str]:
    return [record.kind for record in stream.log_records()]


def test_a_model_halts_says_so_and_learns_again_when_it_is_resumed(stream: Stream) -> None:
    stream.produce(samples(20, 1.0))
    worker = stream.worker()
    stream.wait_learned(20)
    weights = stream.inspect()["weights"]
    assert stream.inspect()["halted"] is False

    stream.produce(samples(8, 1e200))
    stream.wait(lambda: stream.checkpoint()["halted"] == "1")
    stream.produce(samples(30, 2.0))
    stream.wait(lambda: stream.checkpoint()["skipped"] == "33")
    found = stream.inspect()
    assert (found["halted"], found["skipped"], found["refused"]) == (True, 33, 5)
    assert (found["samples_learned"], found["lag"]) == (20, 0)
    assert found["weights"] == weights
    assert len(stream.predictions()) == 58, "predictions go on"
    shown = stream.command("inspect", stream.name).stdout
    assert "learning has halted: too many updates in a row were refused, 33 samples" in shown
    assert f"gradstream resume {stream.name}" in shown
    assert "halted" in stream.command("models").stdout
    stream.wait(lambda: told(stream, "learning has halted") != [])
    (line,) = told(stream, "learning has halted")
    assert line["level"] == "error"
    assert f"gradstream resume {stream.name}" in line["event"]
    assert sum(line["new"] for line in told(stream, "updates refused")) == 5

    resumed = stream.command("resume", stream.name)
    end = len(kinds(stream))
    assert resumed.stdout == (
        f"Appended to {stream.name}.learning-log at offset {end - 1}: model {stream.name} had halted, with "
        "33 samples not learned; it learns again from here.\n"
    )
    assert kinds(stream)[-1] == "resume"
    stream.wait(lambda: stream.checkpoint()["halted"] == "0")
    stream.produce(samples(10, 1.0))
    stream.wait_learned(30)
    stream.wait(lambda: told(stream, "learning goes on") != [])
    found = stream.inspect()
    assert (found["halted"], found["skipped"], found["refused"]) == (False, 33, 5)
    assert found["weights"] != weights
    assert terminate(worker) == 0
    assert json.loads(stream.command("verify", stream.name, "--json").stdout)["equal"] is True


def test_a_halted_model_is_still_halted_after_a_restart_and_resumed_without_a_worker(stream: Stream) -> None:
    stream.produce(samples(5, 1e200) + samples(10, 1.0))
    stream.drain()
    assert stream.inspect()["halted"] is True
    stream.produce(samples(10, 1.0))
    stream.drain()
    assert (stream.inspect()["halted"], stream.inspect()["skipped"]) == (True, 20)
    stream.command("resume", stream.name)
    stream.produce(samples(10, 1.0))
    stream.drain()
    found = stream.inspect()
    assert (found["halted"], found["samples_learned"], found["skipped"]) == (False, 10, 20)


def test_resuming_a_model_that_has_not_halted_writes_nothing(stream: Stream) -> None:
    stream.produce(samples(10, 1.0))
    stream.drain()
    before = kinds(stream)
    assert stream.command("resume", stream.name).stdout == (
        f"Model {stream.name} has not halted: nothing to resume, nothing was written.\n"
    )
    assert kinds(stream) == before


def test_resuming_when_redis_lags_behind_or_has_nothing_is_harmless(stream: Stream) -> None:
    stream.produce(samples(10, 1.0))
    stream.drain()
    digest = stream.inspect()["digest"]
    with stream.client() as client:
        client.delete(*client.keys(f"gradstream:{{{stream.name}}}*"))
    assert "has no checkpoint in Redis" in stream.command("resume", stream.name).stdout
    stream.drain()
    found = stream.inspect()
    assert (found["digest"], found["ignored"], found["halted"]) == (digest, 1, False)


def test_nothing_begun_is_one_line(stream: Stream) -> None:
    done = stream.command("resume", stream.name, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"gradstream: model {stream.name}: its learning log ")
    assert "is empty, so there is nothing to resume" in done.stderr
    assert done.stderr.count("\n") == 1
    assert kinds(stream) == []
