"""The benchmark's stream: ten named numeric features and a label, the same bytes at every run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]


def names(features: int) -> tuple[str, ...]:
    """x0, x1, …"""
    return tuple(f"x{i}" for i in range(features))


FEATURES = names(10)
LEARNING_RATE = 0.1
"""Of AdaGrad, with every peer."""

CHUNK = 10_000

QUIET: dict[str, Any] = {"log_level": 3}
"""librdkafka tells errors alone: a broker that has just started makes it chat."""


def encoded_samples(
    count: int, seed: int = 7, label: bool = True, features: int = len(FEATURES)
) -> Iterator[bytes]:
    """`count` samples as JSON, about 181 bytes each if of ten numbers; without labels where those come late.

    x_j ~ N(μ_j, s_j²) with means and scales of different sizes, so that standardising matters; the label
    is 1 with probability σ(θ·z + ε), z the standardised features, ε ~ N(0, ½²): no learner can be perfect.
    """
    rng = np.random.default_rng(seed)
    named = names(features)
    mean = np.linspace(-150.0, 200.0, features)
    scale = np.logspace(0.0, 2.0, features)
    theta = rng.normal(size=features) * np.sqrt(len(FEATURES) / features)
    encode = msgspec.json.Encoder().encode
    for start in range(0, count, CHUNK):
        # Whole chunks are drawn, so that a shorter stream is the beginning of a longer one.
        z = rng.normal(size=(CHUNK, features))
        score = z @ theta + rng.normal(scale=0.5, size=CHUNK)
        labels = (rng.random(CHUNK) < 1.0 / (1.0 + np.exp(-score))).astype(int).tolist()
        x = np.round(mean + scale * z, 6).tolist()
        for i in range(min(CHUNK, count - start)):
            own = {"label": labels[i]} if label else {}
            yield encode({"features": dict(zip(named, x[i], strict=True)), **own})


def encoded_labels(topic: str, count: int, seed: int = 7) -> Iterator[bytes]:
    """The labels of the samples on the one partition of `topic`, which have no ids of their own."""
    encode = msgspec.json.Encoder().encode
    for i, value in enumerate(encoded_samples(count, seed)):
        yield encode({"id": f"{topic}-0-{i}", "label": msgspec.json.decode(value)["label"]})


def create_topics(bootstrap: str, names: list[str], partitions: int = 1) -> None:
    """Create topics; raises KafkaException where one exists or the broker refuses."""
    admin = AdminClient({"bootstrap.servers": bootstrap, **QUIET})
    created = admin.create_topics(
        [NewTopic(name, num_partitions=partitions, replication_factor=1) for name in names]
    )
    for future in created.values():
        future.result(timeout=30)


def late(topic: str) -> tuple[str, str]:
    """The topics with the samples of `topic` without labels, and with their labels."""
    return f"{topic}.unlabelled", f"{topic}.labels"


def produce_late(bootstrap: str, topic: str, count: int, behind: int = 10_000) -> None:
    """Write the stream of `topic` once more, each label `behind` samples after its own, acknowledged."""
    samples, labels = late(topic)
    producer, of_labels = bulk_producer(bootstrap), encoded_labels(samples, count)
    for i, value in enumerate(encoded_samples(count, label=False)):
        producer.produce(samples, value, partition=0)
        if i >= behind:
            producer.produce(labels, next(of_labels), partition=0)
    for value in of_labels:
        producer.produce(labels, value, partition=0)
    flush_all(producer, bootstrap)


def bulk_producer(bootstrap: str) -> Producer:
    """Exact, and quick with many records."""
    return Producer(
        {
            "bootstrap.servers": bootstrap,
            "acks": "all",
            "enable.idempotence": True,
            "linger.ms": 5,
            "queue.buffering.max.messages": 0,
            **QUIET,
        }
    )


def flush_all(producer: Producer, bootstrap: str) -> None:
    """Until all is acknowledged; raises TimeoutError."""
    if left := producer.flush(60):
        raise TimeoutError(f"{left} records were not acknowledged by {bootstrap} within 60 s")


def produce_samples(bootstrap: str, topic: str, count: int, seed: int = 7) -> int:
    """Write the stream to `topic`, acknowledged; returns its size in bytes (values alone)."""
    producer = bulk_producer(bootstrap)
    total = 0
    for value in encoded_samples(count, seed):
        producer.produce(topic, value, partition=0)
        total += len(value)
    flush_all(producer, bootstrap)
    return total
