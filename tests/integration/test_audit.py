"""Two real workers on one model, one of them with a corrupted state: it stops, the other goes on."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer

from tests.integration.harness import ROOT, Stream, _environment, opened, terminate
from tests.servers import Servers

TABLE = """
task = "regression"
save_every = "100ms"
audit_every = 2
[models."{name}".features]
numeric = ["a", "b"]
"""


@pytest.fixture
def stream(servers: Servers, tmp_path: Path, unique_name: str) -> Iterator[Stream]:
    table, top = TABLE.format(name=unique_name), f'group_id = "{unique_name}"'
    made = Stream(servers.kafka, servers.redis, unique_name, tmp_path, table, partitions=2, top=top)
    with opened(made) as stream:
        yield stream


def corrupted(stream: Stream, after: int) -> subprocess.Popen[bytes]:
    """A worker whose state is wrong from log record `after` on."""
    with open(stream.folder / "corrupted.log", "wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.corrupted_worker", str(after),
             "--config", str(stream.config), "worker"],
            stderr=log, stdout=log, cwd=ROOT, env=_environment(),
        )  # fmt: skip
    stream.running.append(process)
    return process


def produce_until(stream: Stream, condition: Callable[[], bool], start: int = 0) -> int:
    """Samples in small groups, so that the log gets many records; how many there are then a partition."""
    producer = KafkaProducer(bootstrap_servers=stream.kafka, acks="all")
    at, until = start, time.monotonic() + 60
    with contextlib.closing(producer):
        while not condition():
            assert time.monotonic() < until, broken_log(stream)
            for partition in range(stream.partitions):
                body = {"features": {"a": at % 7, "b": at % 3}, "label": at % 5}
                producer.send(stream.samples, json.dumps(body).encode(), partition=partition)
            producer.flush()
            at += 1
            time.sleep(0.02)
    return at


def times(n: int) -> Callable[[], bool]:
    """A condition that holds after it was asked `n` times."""
    return iter([*[False] * n, True]).__next__


def broken_log(stream: Stream) -> str:
    return (stream.folder / "corrupted.log").read_text()


def lines(text: str, event: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return [line for line in found if line["event"] == event]


def assigned(stream: Stream) -> int:
    text = stream.logs() + broken_log(stream)
    return sum(len(line["partitions"]) == 1 for line in lines(text, "assigned"))


def test_the_corrupted_worker_stops_and_the_other_goes_on_with_the_right_state(stream: Stream) -> None:
    healthy, broken = stream.worker(), corrupted(stream, after=12)
    stream.wait(lambda: assigned(stream) >= 2)
    produced = produce_until(stream, lambda: broken.poll() is not None)
    text = broken_log(stream)
    assert broken.returncode == 1, text
    assert "corrupted\n" in text, "the test did not do what it says"
    assert "Traceback" not in text
    (worker,) = {line["worker"] for line in lines(text, "worker starts")}
    (other,) = {line["worker"] for line in lines(stream.logs(), "worker starts")}
    last = text.splitlines()[-1]
    assert last.startswith(f"gradstream: model {stream.name}: at log offset ")
    assert f"this worker ({worker}) has another state than {other}, and theirs is right" in last
    assert text.count("gradstream: ") == 1

    stream.wait(lambda: stream.inspect()["unequal"] is not None)
    finding = stream.inspect()["unequal"]
    assert finding["differing"] == [worker]
    assert set(finding["workers"]) == {worker, other}
    (offset,) = re.findall(r"at log offset (\d+) ", last)
    for at in (int(offset), finding["log_offset"]):  # each tells the first that it finds both have been at
        assert at > 12
        assert at % 2 == 0
    shown = stream.command("inspect", stream.name).stdout
    assert f"worker {worker} had a wrong state" in shown
    assert "unequal" in stream.command("models").stdout

    stream.wait(lambda: lines(stream.logs(), "another worker has a wrong state") != [])
    (told,) = lines(stream.logs(), "another worker has a wrong state")
    assert (told["differing"], told["level"]) == ([worker], "error")
    produced = produce_until(stream, times(20), start=produced)
    stream.wait_learned(2 * produced)
    verdict = json.loads(stream.command("verify", stream.name, "--json").stdout)
    assert verdict["equal"] is True, verdict
    assert verdict["samples_learned"] == 2 * produced
    assert terminate(healthy) == 0


def test_a_worker_that_was_wrong_does_not_begin_again_with_what_it_saved(stream: Stream) -> None:
    """Both are gone before the healthy one has saved once more: the checkpoint is the wrong worker's."""
    broken = corrupted(stream, after=4)
    produced = produce_until(stream, lambda: "corrupted\n" in broken_log(stream))
    stream.wait_learned(2 * produced)
    assert terminate(broken) == 0
    (worker,) = {line["worker"] for line in lines(broken_log(stream), "worker starts")}
    assert stream.checkpoint()["saved_by"] == worker
    assert stream.command("verify", stream.name, check=False).returncode == 1
    with stream.client() as client:
        finding = {"log_offset": 2, "workers": {worker: "wrong"}, "right": "right", "differing": [worker]}
        client.set(f"gradstream:{{{stream.name}}}:unequal", json.dumps(finding))
    stream.drain()
    (again,) = lines(stream.logs(), "worker starts")
    assert again["samples_learned"] == 2 * produced, "folded anew, from the log's start"
    produce_until(stream, times(1), start=produced)
    stream.drain()
    assert stream.command("verify", stream.name).returncode == 0
