"""All feature transforms from TOML through a real Kafka and Redis, a crash included."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import pytest

from tests.integration.harness import Stream, opened
from tests.servers import Servers

TABLE = """
task = "binary"
save_every = "100ms"
[models."{name}".features]
numeric = [{{ name = "price", transform = "log", scaling = "min-max" }}, {{ name = "years", of = "age" }}]
categorical = ["carrier"]
bins = [{{ name = "age", edges = [18, 30, 65] }}]
time = ["hour-of-day", "day-of-week"]
utc_offset = "+01:00"
text = [{{ name = "title", words = 2, characters = [3, 3], norm = "l2" }}]
interactions = [["age", "carrier"], ["carrier", "price"]]
hash_bits = 12
"""
SAMPLES = 4_000
DAY = 86_400_000


def sample(rng: random.Random, i: int) -> dict[str, Any]:
    features: dict[str, Any] = {
        "price": 10 ** rng.uniform(-2, 5),
        "age": rng.uniform(0, 90),
        "carrier": rng.choice(["UA", "AA"]),
        "title": " ".join(rng.choices(["free", "shipping", "today", "only"], k=3)),
    }
    late = features["age"] > 65 or "free shipping" in features["title"] or math.log(features["price"]) > 8
    time = 1_700_000_000_000 + rng.randrange(30 * DAY)
    return {"id": str(i), "features": features, "label": int(late), "timestamp": time}


@pytest.fixture
def stream(servers: Servers, tmp_path: Path, unique_name: str) -> Any:
    table = TABLE.format(name=unique_name)
    with opened(Stream(servers.kafka, servers.redis, unique_name, tmp_path, table, partitions=2)) as made:
        yield made


def test_all_transforms_are_learned_exactly_once_over_a_crash_and_shown_by_inspect(stream: Stream) -> None:
    rng = random.Random(5)
    samples = [sample(rng, i) for i in range(SAMPLES)]
    prices = [math.log1p(one["features"]["price"]) for one in samples]
    values = [json.dumps(one).encode() for one in samples]
    bad = [b'{"features": {"title": 12}}', b'{"features": {"age": "old"}}']
    stream.produce(values[: SAMPLES // 2])
    worker = stream.worker()
    stream.wait_learned(SAMPLES // 4)
    worker.kill()
    worker.wait()
    stream.produce([*values[SAMPLES // 2 :], *bad])
    stream.drain()

    found = stream.inspect()
    assert (found["samples_learned"], found["dead_letters"], found["refused"]) == (SAMPLES, 2, 0)
    assert len(stream.predictions()) == SAMPLES
    assert found["metrics"]["roc_auc"] > 0.9, "what decides are a bin, two words and a logarithm"
    weights = found["weights"]
    assert weights["age=[65,inf)"] > 0.3 > weights["age=[18,30)"]
    assert weights["title~free shipping"] > 0.3 > weights["title~shipping free"]
    assert {
        "title#fre",
        "age=[18,30)*carrier=UA",
        "carrier=UA*price",
        "time.day-of-week.cos",
    } <= weights.keys()
    assert found["scaling"]["price"] == pytest.approx({"min": min(prices), "max": max(prices)}, rel=1e-12)
    assert found["scaling"]["years"].keys() == {"mean", "std"}
    shown = stream.command("inspect", stream.name).stdout
    assert {"weight", "min", "max"} <= set(shown.split())

    messages = [dict(record.headers) for record in stream.read(f"{stream.name}.dead-letters")]
    reasons = {headers["__connect.errors.exception.message"].decode() for headers in messages}
    assert reasons == {
        "features.title: expected text, got 12",
        'features.age: expected a finite number, got "old"',
    }
    stream.command("verify", stream.name)
    assert "time.hour-of-day.sin" in stream.command("check").stdout
