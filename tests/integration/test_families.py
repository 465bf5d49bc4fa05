"""Every family, loss and kind of optimizer from TOML through a real Kafka and Redis, a crash included."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.harness import Stream, opened
from tests.integration.test_worker import folded_tensors, without_names
from tests.servers import Servers

SAMPLES = 3_000
FEATURES = """
save_every = "100ms"
[models."{name}".features]
numeric = ["a", "b"]
categorical = ["k"]
hash_bits = 12
"""
FAMILIES = {
    "linear, the default": 'task = "binary"',
    "linear, hinge": 'task = "binary"\nloss = "hinge"\n'
    'optimizer = { name = "nesterov", learning_rate = 0.005 }',
    "linear, huber": 'task = "regression"\nloss = { name = "huber", delta = 0.5 }',
    "linear, poisson": 'task = "regression"\nloss = "poisson"',
    "linear, classes": 'task = "multiclass"\nclasses = [0, 1, 2]',
    "linear, lazy adam": 'task = "binary"\n'
    'optimizer = { name = "adamw", learning_rate = 0.01, schedule = { name = "cosine", warmup = 100 } }',
    "factorization machine": 'task = "binary"\nlearner = { name = "factorization-machine", factors = 4 }',
    "factorization machine, classes": 'task = "multiclass"\nclasses = [0, 1, 2]\nlearner = "fm"\n'
    'update = "batch"\nbatch_size = 16',
    "network": 'task = "binary"\nlearner = { name = "mlp", hidden = [16, 8], embedding = 4 }\n'
    'optimizer = { name = "adam", learning_rate = 0.01, clip_norm = 5 }',
    "network, window": 'task = "regression"\nlearner = { name = "mlp", hidden = [8], activation = "gelu" }\n'
    'update = { name = "window", window_size = 64, stride = 8, steps = 2 }',
}


def sample(rng: random.Random, i: int, top: int) -> bytes:
    features = {"a": rng.gauss(0, 1), "b": rng.gauss(5, 2), "k": f"k{rng.randrange(40)}"}
    signal = features["a"] + (features["b"] - 5) / 2 * (1 if features["k"] < "k2" else -1)
    label = min(top, max(0, round(signal + top / 2)))
    return json.dumps({"id": str(i), "features": features, "label": label}).encode()


@pytest.fixture
def stream(servers: Servers, tmp_path: Path, unique_name: str, request: Any) -> Iterator[Stream]:
    table = FAMILIES[request.param] + FEATURES.format(name=unique_name)
    top = f'group_id = "{unique_name}"'
    with opened(Stream(servers.kafka, servers.redis, unique_name, tmp_path, table, 2, top=top)) as made:
        yield made


def trivial(found: dict[str, Any]) -> bool:
    """Whether the metrics are those of a model that has learned nothing."""
    recent = found["metrics"]["recent"]
    if "r2" in recent:
        return bool(recent["r2"] < 0.05)
    return bool(recent["accuracy"] < (0.6 if len(found["metrics"]) == 4 else 0.45))


@pytest.mark.parametrize("stream", FAMILIES, indirect=True)
def test_each_sample_is_learned_exactly_once_over_a_crash(stream: Stream) -> None:
    rng = random.Random(3)
    top = 1 if 'task = "binary"' in stream.table else 2
    values = [sample(rng, i, top) for i in range(SAMPLES)]
    stream.produce(values[: SAMPLES // 2])
    worker = stream.worker()
    stream.wait_learned(SAMPLES // 4)
    worker.kill()
    worker.wait()
    stream.produce(values[SAMPLES // 2 :])
    stream.drain()

    found = stream.inspect()
    assert (found["samples_learned"], found["dead_letters"], found["refused"]) == (SAMPLES, 0, 0)
    assert len(stream.predictions()) == SAMPLES
    assert not trivial(found), found["metrics"]
    fields, learned = folded_tensors(stream)
    assert len(learned) == len(set(learned)) == SAMPLES
    assert without_names(stream.tensors()) == fields
    stream.command("verify", stream.name)


BAD = {
    "poisson": (
        'task = "regression"\nloss = "poisson"',
        {"features": {"a": 1}, "label": -1},
        "label: expected a finite number of 0 or more (loss 'poisson'), got -1",
    ),
    "class": (
        'task = "multiclass"\nclasses = [0, 1, 2]\nlearner = "fm"',
        {"features": {"a": 1}, "label": 3},
        "label: expected one of 0, 1, 2, got 3",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_label_that_the_loss_does_not_take_is_a_dead_letter(
    servers: Servers, tmp_path: Path, unique_name: str, kind: str
) -> None:
    table, bad, reason = BAD[kind]
    table += FEATURES.format(name=unique_name)
    top = f'group_id = "{unique_name}"'
    with opened(Stream(servers.kafka, servers.redis, unique_name, tmp_path, table, top=top)) as stream:
        good = {"features": {"a": 1}, "label": 2}
        stream.produce([json.dumps(one).encode() for one in (good, bad, good)])
        stream.drain()
        assert stream.inspect()["samples_learned"] == 2
        (letter,) = stream.read(f"{unique_name}.dead-letters")
        assert dict(letter.headers)["__connect.errors.exception.message"].decode() == reason
