"""Encoded categories from TOML through a real Kafka and Redis, a worker killed in between."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from models.hashing import feature_hash
from tests.integration.harness import Stream, opened
from tests.servers import Servers

TABLE = """
task = "binary"
save_every = "100ms"
[models."{name}".features]
numeric = ["price"]
categorical = ["carrier"]
encode = [
  {{ name = "tail", as = "target", prior_weight = 5, bits = 10 }},
  {{ name = "airport", of = "dest", as = "frequency", bits = 8, scaling = "min-max" }},
]
interactions = [["carrier", "tail#target"], ["price", "airport#frequency"]]
"""
SAMPLES = 4_000
TAILS = 300


def sample(rng: random.Random, i: int) -> dict[str, Any]:
    tail = rng.randrange(TAILS)
    features: dict[str, Any] = {
        "price": rng.uniform(0, 9),
        "carrier": rng.choice(["UA", "AA"]),
        "tail": f"N{tail}",
        "dest": rng.choice(["LAX", "JFK", "JFK", "JFK", None]),
    }
    late = rng.random() < (0.9 if tail % 2 else 0.1)
    one = {"id": str(i), "features": features, "weight": rng.choice([0.5, 1.0])}
    return one if i % 10 == 3 else {**one, "label": int(late)}


BOUNDED = """
task = "binary"
save_every = "100ms"
[models."{name}".features]
categorical = ["user", "page"]
hash_bits = 12
vocabulary = {{ min_count = 3, expire_after = "1h" }}
"""


@pytest.fixture(params=[TABLE])
def stream(servers: Servers, tmp_path: Path, unique_name: str, request: pytest.FixtureRequest) -> Any:
    table, partitions = request.param.format(name=unique_name), 1 if request.param == BOUNDED else 2
    with opened(Stream(servers.kafka, servers.redis, unique_name, tmp_path, table, partitions)) as made:
        yield made


def tensor(stream: Stream, name: str) -> np.ndarray:
    """A tensor of the checkpoint, joined from its pieces."""
    found = stream.tensors()
    names = [name] if name in found else sorted(one for one in found if one.startswith(f"{name}/"))
    return np.concatenate([safetensors.numpy.load(found[one])[name] for one in names])


def counted(samples: list[dict[str, Any]]) -> np.ndarray:
    """Weight, and weight of the second class."""
    return np.array([[one["weight"], one["weight"] * one["label"]] for one in samples]).sum(axis=0)


def test_categories_are_counted_exactly_once_over_a_crash_and_shown_by_inspect(stream: Stream) -> None:
    rng = random.Random(6)
    samples = [sample(rng, i) for i in range(SAMPLES)]
    labelled = [one for one in samples if "label" in one]
    values = [json.dumps(one).encode() for one in samples]
    stream.produce(values[: SAMPLES // 2])
    worker = stream.worker()
    stream.wait_learned(SAMPLES // 5, timeout=240)  # the kernels of such a model may have to be compiled
    worker.kill()
    worker.wait()
    stream.produce([*values[SAMPLES // 2 :], b'{"features": {"tail": ["N1"]}}'])
    stream.drain()

    found = stream.inspect()
    learned = (found["samples_learned"], found["dead_letters"], found["refused"])
    assert learned == (len(labelled), 1, 0)
    assert len(stream.predictions()) == SAMPLES
    assert tensor(stream, "categories").tolist() == counted(labelled).tolist()
    table = tensor(stream, "categories.tail#target").reshape(1024, 2)
    slots = [feature_hash(f"tail={one['features']['tail']}") % 1024 for one in labelled]
    for slot in range(1024):
        own = [one for one, at in zip(labelled, slots, strict=True) if at == slot]
        assert table[slot].tolist() == (counted(own).tolist() if own else [0.0, 0.0])

    assert found["metrics"]["recent"]["roc_auc"] > 0.75, "the tail number alone decides"
    weights, scaling = found["weights"], found["scaling"]
    assert weights["tail#target"] + weights["carrier=UA*tail#target"] > 0.3
    assert {"airport#frequency", "price*airport#frequency", "carrier=AA*tail#target"} <= weights.keys()
    assert not any("tail=" in name or "airport=" in name for name in weights)
    assert scaling["tail#target"]["mean"] == pytest.approx(0.5, abs=0.05)
    most = max(sum(o["weight"] for o in labelled if o["features"]["dest"] == d) for d in ("LAX", "JFK"))
    assert scaling["airport#frequency"]["min"] == 0.0
    assert scaling["airport#frequency"]["max"] == pytest.approx(math.log1p(most), abs=1e-3)
    stream.command("verify", stream.name)
    assert stream.command("check").returncode == 0


@pytest.mark.parametrize("stream", [BOUNDED], indirect=True)
def test_a_bounded_vocabulary_is_counted_exactly_once_over_a_crash_and_forgets_by_event_time(
    stream: Stream,
) -> None:
    rng, hour, begin = random.Random(8), 3_600_000, 1_700_000_000_000
    samples: list[dict[str, Any]] = []
    for i in range(SAMPLES):
        page = rng.randrange(6)
        features = {"user": f"u{rng.randrange(3_000)}", "page": f"p{page}"}
        time = begin + i * 10 * hour // SAMPLES
        samples.append({"timestamp": time, "features": features, "label": int(rng.random() < page / 5)})
    values = [json.dumps(one).encode() for one in samples]
    stream.produce(values[: SAMPLES // 2])
    worker = stream.worker()
    stream.wait_learned(SAMPLES // 5, timeout=240)
    worker.kill()
    worker.wait()
    stream.produce(values[SAMPLES // 2 :])
    stream.drain()

    table: dict[int, tuple[int, int]] = {}
    for one in samples:
        for name, value in one["features"].items():
            slot = feature_hash(f"{name}={value}") % 4096
            n, seen = table.get(slot, (0, 0))
            n = 0 if one["timestamp"] - seen > hour else n
            table[slot] = (n + 1, max(seen, one["timestamp"]))
    found = tensor(stream, "vocabulary").reshape(4096, 2)
    assert {slot: (int(n), int(seen)) for slot, (n, seen) in enumerate(found) if n > 0} == table
    document = stream.inspect()
    memory, last = document["memory"]["vocabulary"], samples[-1]["timestamp"]
    there = [n for n, seen in table.values() if last - seen <= hour]
    assert memory["known"] == sum(n >= 3 for n in there)
    assert memory["waiting"] == sum(n < 3 for n in there)
    assert memory["expired"] == len(table) - len(there)
    assert document["metrics"]["recent"]["accuracy"] > 0.6
    assert "known" in stream.command("inspect", stream.name).stdout
    stream.command("verify", stream.name)
