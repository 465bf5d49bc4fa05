"""The main job on real Kafka and Redis, from outside: samples in, predictions out, exact across crashes."""

from __future__ import annotations

import json
import os
import random
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.model import Model
from streams.pieces import Pieces
from tests.integration.harness import Stream, opened, terminate
from tests.streams.simulation import plain_fold

LONG = bool(os.environ.get("GRADSTREAM_LONG"))
"""The sizes of the promise itself; the short form keeps `make test` quick."""

DENSE = """
task = "binary"
save_every = "200ms"
[models."{name}".features]
numeric = ["a", "b", "c"]
"""
HASHED = """
task = "binary"
save_every = "200ms"
[models."{name}".features]
numeric = ["a"]
categorical = ["k", "m"]
interactions = [["k", "m"], ["k", "a"]]
hash_bits = 14
"""


def samples(n: int, seed: int = 1) -> list[bytes]:
    """n samples with a learnable label; one in ten has none, one in a hundred is invalid."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(n, 3))
    k, m = generator.integers(0, 30, n), generator.integers(0, 7, n)
    label = (x @ [1.0, -2.0, 0.5] + 0.3 * (k % 3) + generator.normal(size=n) > 0).astype(int)
    values = []
    for i in range(n):
        features: dict[str, Any] = {"a": x[i, 0], "b": x[i, 1], "c": x[i, 2], "k": f"k{k[i]}", "m": int(m[i])}
        body: dict[str, Any] = {"id": f"s{i}", "features": features, "label": int(label[i])}
        if i % 10 == 3:
            del body["label"]
        if i % 100 == 57:
            body["features"]["a"] = "far"
        values.append(json.dumps(body).encode())
    return values


def valid(n: int) -> int:
    return sum(i % 100 != 57 for i in range(n))


def labelled(n: int) -> int:
    return sum(i % 10 != 3 and i % 100 != 57 for i in range(n))


@pytest.fixture
def make(servers: Any, tmp_path: Path) -> Iterator[Callable[..., Stream]]:
    streams: list[Stream] = []

    def build(table: str, partitions: int = 1, top: str = "", name: str | None = None) -> Stream:
        name = name or f"m-{uuid.uuid4().hex[:8]}"
        stream = Stream(servers.kafka, servers.redis, name, tmp_path, table.format(name=name), partitions,
                        top or f'group_id = "{name}"')  # fmt: skip
        streams.append(stream)
        context = opened(stream)
        context.__enter__()
        return stream

    yield build
    for stream in streams:
        stream.stop_all()


def folded_tensors(stream: Stream) -> tuple[dict[str, bytes], list[tuple[str, int]]]:
    """What a plain single-threaded reader of the log would store, and what it learned in order."""
    from infra.settings import load_settings

    spec = load_settings(stream.config).models[stream.name].spec()
    model, _, learned = plain_fold(spec, stream.log_records())
    fields = Pieces(model.layout, buffered=spec.update.name != "sample").encode(model.folded())
    return fields, learned


def without_names(tensors: dict[str, bytes]) -> dict[str, bytes]:
    return {name: value for name, value in tensors.items() if name != "names"}


@pytest.mark.parametrize("table", [DENSE, HASHED], ids=["dense", "hashed"])
def test_each_valid_sample_gets_one_prediction_with_its_coordinates_and_key(
    make: Callable[..., Stream], table: str
) -> None:
    stream = make(table, partitions=2)
    n = 2000
    stream.produce(samples(n), key=lambda i: f"key-{i}".encode())
    stream.drain()
    records = stream.read(f"{stream.name}.predictions")
    assert len(records) == valid(n)
    inputs = {(r.partition, r.offset): r for r in stream.read(stream.samples)}
    for record in records:
        body = json.loads(record.value)
        source = inputs[record.partition, body["offset"]]
        assert record.key == source.key
        assert body["id"] == json.loads(source.value)["id"]
        assert (body["model"], body["topic"]) == (stream.name, stream.samples)
        assert 0 <= body["probability"] <= 1
        assert body["prediction"] == int(body["probability"] >= 0.5)
    found = stream.inspect()
    assert found["samples_learned"] == labelled(n)
    assert found["dead_letters"] == n - valid(n)
    assert found["lag"] == 0
    assert found["offsets"] == {f"{stream.samples}-{p}": n // 2 for p in range(2)}
    assert found["metrics"]["log_loss"] < 0.68
    letters = stream.read(f"{stream.name}.dead-letters")
    assert {dict(r.headers)["__connect.errors.exception.message"] for r in letters} == {
        b'features.a: expected a finite number, got "far"'
    }


def test_killed_ten_times_the_result_is_that_of_an_undisturbed_run(make: Callable[..., Stream]) -> None:
    n, kills = (200_000, 10) if LONG else (30_000, 4)
    values = samples(n)
    calm = make(HASHED)
    calm.produce(values)
    calm.drain()
    # Same topic name in both, so that predictions can be compared to the byte: only the model's name differs.
    wild = make(HASHED)
    dice = random.Random(5)
    for kill in range(kills):
        process = wild.worker(env={"GRADSTREAM_GROUP_ID": f"g-{uuid.uuid4().hex[:6]}"})
        wild.wait(lambda done=kill: len(worker_lines(wild, "assigned")) > done)
        killer = threading.Timer(dice.random() * 1.5, process.kill)
        killer.start()
        wild.produce(values[kill * n // kills : (kill + 1) * n // kills])
        killer.join()
        process.wait()
    wild.drain(env={"GRADSTREAM_GROUP_ID": f"g-{uuid.uuid4().hex[:6]}"})
    ours, theirs = wild.checkpoint(), calm.checkpoint()
    assert ours["digest"] == theirs["digest"]
    assert ours["metrics"] == theirs["metrics"]
    assert ours["dead_letters"] == theirs["dead_letters"]
    assert without_names(wild.tensors()) == without_names(calm.tensors())
    once, again = calm.predictions(), wild.predictions()
    assert once.keys() == again.keys()
    assert len(once) == valid(n)
    for coordinates, served in again.items():
        assert len(set(served)) == 1, f"a repeat of {coordinates} differs"
        expected = once[coordinates][0].replace(calm.name.encode(), wild.name.encode())
        assert served[0] == expected
    if LONG:
        assert any(len(served) > 1 for served in again.values()), "no kill hit a batch on its way"


def test_two_workers_end_with_the_bytes_of_a_plain_fold_of_the_log(make: Callable[..., Stream]) -> None:
    n = 100_000 if LONG else 24_000
    stream = make(HASHED, partitions=4)
    first, second = stream.worker(), stream.worker()
    stream.wait(lambda: sum(len(line["partitions"]) == 2 for line in worker_lines(stream, "assigned")) >= 2)
    stream.produce(samples(n))
    stream.wait_learned(labelled(n), timeout=120)
    assert terminate(first) == 0
    assert terminate(second) == 0
    fields, learned = folded_tensors(stream)
    assert len(learned) == len(set(learned)) == labelled(n)
    assert stream.checkpoint()["samples_learned"] == str(labelled(n))
    assert without_names(stream.tensors()) == fields
    digests = {line["digest"] for line in worker_lines(stream, "stopped")}
    workers = {line["worker"] for line in worker_lines(stream, "worker starts")}
    assert len(workers) == 2
    assert digests == {stream.checkpoint()["digest"]}
    writers = {record.worker for record in stream.log_records() if record.kind == "data"}
    assert writers == workers, "one worker did all the work"


def worker_lines(stream: Stream, event: str) -> list[dict[str, Any]]:
    lines = (stream.folder / f"{stream.name}.worker.log").read_text().splitlines()
    found = [json.loads(line) for line in lines if line.startswith("{")]
    return [line for line in found if line["event"] == event]


@pytest.mark.parametrize("running", [True, False], ids=["while it runs", "before a restart"])
def test_an_emptied_redis_is_written_again_from_the_log(make: Callable[..., Stream], running: bool) -> None:
    stream = make(DENSE)
    n = 4000
    stream.produce(samples(n))
    worker = stream.worker()
    stream.wait_learned(labelled(n))
    before = stream.tensors(), stream.checkpoint()["digest"]
    if not running:
        assert terminate(worker) == 0
    with stream.client() as client:
        client.delete(*client.keys(f"gradstream:{{{stream.name}}}*"))
    if running:
        stream.produce(samples(10, seed=9))
        stream.wait_learned(labelled(n) + labelled(10))
        assert terminate(worker) == 0
        fields, _ = folded_tensors(stream)
        assert without_names(stream.tensors()) == fields
    else:
        stream.drain()
        assert (stream.tensors(), stream.checkpoint()["digest"]) == before


def test_an_emptied_redis_is_written_again_while_the_stream_stands_still(make: Callable[..., Stream]) -> None:
    stream = make(DENSE)
    stream.produce(samples(500))
    worker = stream.worker()
    stream.wait_learned(labelled(500))
    before = stream.checkpoint()["digest"]
    with stream.client() as client:
        client.delete(*client.keys(f"gradstream:{{{stream.name}}}*"))
    stream.wait(lambda: stream.checkpoint().get("digest") == before, timeout=30)
    assert terminate(worker) == 0


def test_sigterm_finishes_saves_and_exits_0_within_ten_seconds(make: Callable[..., Stream]) -> None:
    stream = make(DENSE)
    worker = stream.worker()
    stream.produce(samples(20_000))
    stream.wait_learned(1)
    assert terminate(worker, timeout=10) == 0
    fields, learned = folded_tensors(stream)
    assert stream.checkpoint()["samples_learned"] == str(len(learned))
    assert without_names(stream.tensors()) == fields


def test_a_model_is_restored_from_its_checkpoint_without_reading_the_log_again(
    make: Callable[..., Stream],
) -> None:
    stream = make(HASHED)
    stream.produce(samples(3000))
    stream.drain()
    first = stream.checkpoint()
    stream.drain()
    lines = worker_lines(stream, "worker starts")
    assert lines[1]["samples_learned"] == int(first["samples_learned"])
    assert stream.checkpoint()["digest"] == first["digest"]


def test_one_worker_runs_all_models_of_its_file_or_the_one_that_is_named(make: Callable[..., Stream]) -> None:
    first, second = make(DENSE), make(HASHED)
    first.produce(samples(300))
    second.produce(samples(500))
    tables = second.config.read_text()
    first.config.write_text(first.config.read_text() + tables[tables.index(f'[models."{second.name}"]') :])
    process = first.worker("--drain", "--model", second.name)
    assert process.wait(60) == 0, first.logs()
    assert second.checkpoint()["samples_learned"] == str(labelled(500))
    assert first.checkpoint() == {}
    first.drain()
    assert first.checkpoint()["samples_learned"] == str(labelled(300))
    assert second.checkpoint()["samples_learned"] == str(labelled(500))


def test_weights_in_redis_are_named_and_agree_with_inspect(make: Callable[..., Stream]) -> None:
    stream = make(HASHED)
    stream.produce(samples(2000))
    stream.drain()
    with stream.client() as client:
        weights = {
            k.decode(): float(v) for k, v in client.hgetall(f"gradstream:{{{stream.name}}}:weights").items()
        }
    assert {"a", "intercept", "k=k1", "m=3", "k=k1*m=2", "k=k1*a"} <= weights.keys()
    found = stream.inspect()
    assert found["weights"] == pytest.approx(weights)
    assert Model is not None
