"""The peers do the same work: real servers, real processes, the same 500 samples."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from confluent_kafka import Consumer, TopicPartition

from benchmarks.peers import PEERS, Bench, Run
from benchmarks.samples import QUIET, create_topics, produce_samples
from tests.servers import Servers

SAMPLES = 500
LONGER = 700


@pytest.fixture(scope="module")
def outcome(
    servers: Servers, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[Run, list[dict[str, Any]]]]:
    """Each peer's run over one topic, and the predictions that it wrote."""
    folder = tmp_path_factory.mktemp("peers")
    samples = f"{folder.name}-{os.getpid()}"
    create_topics(servers.kafka, [samples])
    produce_samples(servers.kafka, samples, SAMPLES)
    bench = Bench(servers.kafka, servers.redis, folder, core=max(os.sched_getaffinity(0)), timeout=60.0)
    return {
        peer: (
            bench.run(peer, samples, SAMPLES, f"{samples}-{peer}"),
            read_predictions(servers.kafka, f"{samples}-{peer}.predictions"),
        )
        for peer in PEERS
    }


def read_predictions(kafka: str, topic: str) -> list[dict[str, Any]]:
    """All that stands on the topic's one partition, without the model's name, in which peers differ."""
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": topic, **QUIET})
    try:
        _, end = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=30)
        consumer.assign([TopicPartition(topic, 0, 0)])
        messages = consumer.consume(end, timeout=30)
    finally:
        consumer.close()
    assert not [m.error() for m in messages if m.error()]
    return [
        {k: v for k, v in msgspec.json.decode(m.value() or b"").items() if k != "model"} for m in messages
    ]


@pytest.mark.parametrize("peer", [peer for peer in PEERS if peer != "naive"])
def test_a_peer_predicts_what_river_predicts(
    peer: str, outcome: dict[str, tuple[Run, list[dict[str, Any]]]]
) -> None:
    predictions, expected = outcome[peer][1], outcome["naive"][1]
    assert len(predictions) == len(expected) == SAMPLES
    for ours, rivers in zip(predictions, expected, strict=True):
        assert ours == rivers | {"probability": pytest.approx(rivers["probability"], rel=1e-9)}


@pytest.mark.parametrize("peer", PEERS)
def test_a_peer_learns_something(peer: str, outcome: dict[str, tuple[Run, list[dict[str, Any]]]]) -> None:
    probabilities = [prediction["probability"] for prediction in outcome[peer][1]]
    assert probabilities[0] == 0.5
    assert min(probabilities) < 0.1
    assert max(probabilities) > 0.9


@pytest.mark.parametrize("peer", PEERS)
def test_a_run_reports_all_samples_time_and_memory(
    peer: str, outcome: dict[str, tuple[Run, list[dict[str, Any]]]]
) -> None:
    run = outcome[peer][0]
    assert (run.peer, run.samples) == (peer, SAMPLES)
    assert run.cpu_seconds > 0
    assert run.rate == SAMPLES / run.seconds > 0
    assert run.peak_bytes > 20_000_000  # no Python with numpy is smaller


def test_naive_stops_at_its_part_of_a_longer_topic(servers: Servers, topic_name: str, tmp_path: Path) -> None:
    create_topics(servers.kafka, [topic_name])
    produce_samples(servers.kafka, topic_name, LONGER)
    bench = Bench(servers.kafka, servers.redis, tmp_path, core=max(os.sched_getaffinity(0)), timeout=60.0)
    assert bench.run("naive", topic_name, SAMPLES, f"{topic_name}-part").samples == SAMPLES
