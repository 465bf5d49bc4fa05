"""Three workers, one of them killed every 20 seconds: how much of the throughput is left, and is it exact?

    python -m tests.consistency.endurance [--minutes 10] [--every 20]

The same backlog is worked on undisturbed first, then under kills. Afterwards the log must tile the input
without a gap or an overlap, every weight must be the number of times that its sample was sent, every sample
must have been predicted, and all workers must have had the log's state. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from confluent_kafka import Consumer, Producer, TopicPartition

from tests.consistency.audit import stored_weights
from tests.consistency.counting import DISTINCT, SLOTS, TABLE, distinct_values, slot
from tests.consistency.crew import Crew, Member
from tests.consistency.document import write_endurance
from tests.consistency.kafka_cluster import KafkaCluster
from tests.consistency.redis_nodes import RedisNode
from tests.integration.harness import Stream

PARTITIONS, WORKERS = 6, 3
BACKLOG = 300_000
"""So many samples wait at least, so that workers are never idle."""
WARM_SECONDS = 15.0
FLOW_SECONDS = 10.0


class Source:
    """Keeps a backlog in the topic; counts what it sent of each sample."""

    def __init__(self, kafka: str, topic: str, learned: Any) -> None:
        self.sent = 0
        self._learned = learned
        self._topic = topic
        self._producer = Producer(
            {"bootstrap.servers": kafka, "enable.idempotence": True, "linger.ms": 20, "log_level": 0,
             "queue.buffering.max.messages": 1_000_000}
        )  # fmt: skip
        self._values = [
            json.dumps({"id": f"s{i}", "features": {"s": distinct_values()[i]}, "label": 1.0}).encode()
            for i in range(DISTINCT)
        ]
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Source:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Send no more; returns when all is acknowledged."""
        self._over.set()
        self._thread.join()
        assert self._producer.flush(120) == 0

    def _run(self) -> None:
        while not self._over.is_set():
            if self.sent - self._learned() > BACKLOG:
                time.sleep(0.1)
            for _ in range(20_000 if self.sent - self._learned() <= BACKLOG else 0):
                i = self.sent
                self._producer.produce(self._topic, self._values[i % DISTINCT], partition=i % PARTITIONS)
                self.sent += 1
            self._producer.poll(0)


class Flow:
    """Follows the checkpoint: how long the partitions of a killed worker stand still."""

    def __init__(self, redis: RedisNode, model: str) -> None:
        self._redis, self._key = redis, f"gradstream:{{{model}}}"

    def read(self) -> dict[str, str]:
        with contextlib.closing(self._redis.client()) as client:
            return {k.decode(): v.decode() for k, v in client.hgetall(self._key).items()}

    def learned(self) -> int:
        return int(self.read().get("samples_learned", 0))

    def until_all_flow(self, since: dict[str, int], timeout: float = 60) -> float:
        """Seconds until every partition is beyond the offsets `since`."""
        begun = time.monotonic()
        while time.monotonic() < begun + timeout:
            now = self.offsets()
            if all(now[name] > offset for name, offset in since.items()):
                break
            time.sleep(0.05)
        return time.monotonic() - begun

    def offsets(self) -> dict[str, int]:
        return {name: int(at) for name, at in json.loads(self.read().get("offsets", "{}")).items()}


def measure(flow: Flow, seconds: float, disturb: Any) -> float:
    """Samples learned a second, while `disturb` does what it does until the time is over."""
    before, begun = flow.learned(), time.monotonic()
    disturb(begun + seconds)
    return (flow.learned() - before) / (time.monotonic() - begun)


def killing(crew: Crew, flow: Flow, every: float, told: list[float]) -> Any:
    """Kills a worker every so many seconds, and notes how long its partitions stood still."""
    dice = random.Random(1)

    def disturb(until: float) -> None:
        while time.monotonic() < until:
            due = time.monotonic() + every
            victim: Member = dice.choice(crew.members)
            crew.kill(victim)
            told.append(flow.until_all_flow(flow.offsets()))
            print(f"killed {victim.name}: all partitions flow after {told[-1]:.1f} s", file=sys.stderr)
            time.sleep(max(0.0, min(due, until) - time.monotonic()))

    return disturb


def audit(stream: Stream, kafka: str, redis: RedisNode, crew: Crew, sent: int) -> dict[str, Any]:
    """See the module."""
    rows, learned, following = read_log(kafka, f"{stream.name}.learning-log")
    expected = np.zeros(SLOTS, dtype=np.int64)
    for i, value in enumerate(distinct_values()):
        expected[slot(value)] = sent // DISTINCT + (i < sent % DISTINCT)
    with contextlib.closing(redis.client()) as client:
        weights = stored_weights(client, stream.name)[-SLOTS:].astype(np.int64)
        saved = (client.hget(f"gradstream:{{{stream.name}}}", "digest") or b"").decode()
    lines = crew.stopped()
    return {
        "produced": sent, "learned": rows,
        "lost": int(np.maximum(expected - np.minimum(learned, weights), 0).sum()),
        "repeated": int(np.maximum(np.maximum(learned, weights) - expected, 0).sum()),
        "unequal": sum(line["digest"] != saved for line in lines), "compared_workers": len(lines),
        "unpredicted": unpredicted(kafka, stream, following),
    }  # fmt: skip


def read_log(kafka: str, topic: str) -> tuple[int, Any, Counter[int]]:
    """Samples that count, how often each coordinate was learned, and where each partition's last range ends.

    One record after the other, since the log is larger than memory; plain as tests.consistency.audit.
    """
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": "audit", "fetch.queue.backoff.ms": 2})
    partition = TopicPartition(topic, 0, 0)
    _, end = consumer.get_watermark_offsets(partition)
    consumer.assign([partition])
    rows, at, following, learned = 0, 0, Counter[int](), np.zeros(SLOTS, dtype=np.int64)
    while at < end:
        for message in consumer.consume(1000, 1.0):
            assert message.error() is None, message.error()
            at = message.offset() + 1
            headers = {name: value.decode() for name, value in message.headers()}
            if message.key() != b"data" or following[int(headers["partition"])] != int(headers["from"]):
                continue
            following[int(headers["partition"])] = int(headers["to"])
            rows += int(headers["samples"])
            with pa.ipc.open_stream(message.value()) as reader:
                batch = reader.read_next_batch()
            column = batch.column(batch.schema.names.index("indices"))
            learned += np.bincount(np.asarray(column.flatten()) & (SLOTS - 1), minlength=SLOTS)
    consumer.close()
    return rows, learned, following


class _Prediction(msgspec.Struct):
    partition: int
    offset: int


def unpredicted(kafka: str, stream: Stream, ends: Counter[int]) -> int:
    """Samples without a prediction."""
    seen = {p: np.zeros(end, dtype=bool) for p, end in ends.items()}
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": "audit", "enable.partition.eof": True})
    consumer.assign([TopicPartition(f"{stream.name}.predictions", p, 0) for p in range(PARTITIONS)])
    decoder, left = msgspec.json.Decoder(_Prediction), set(range(PARTITIONS))
    while left:
        for message in consumer.consume(10_000, 1.0):
            if message.error() is not None:
                left.discard(message.partition())
                continue
            body = decoder.decode(message.value())
            seen[body.partition][body.offset] = True
    consumer.close()
    return int(sum((~found).sum() for found in seen.values()))


def run(minutes: float, every: float, folder: Path) -> dict[str, Any]:
    """The whole of it; see the module."""
    with KafkaCluster(folder / "kafka") as kafka, RedisNode(folder / "redis") as redis:
        top = 'group_id = "endurance"\nsession_timeout = "6s"'
        table = TABLE.format(name="endurance")
        stream = Stream(kafka.bootstrap, redis.url, "endurance", folder, table, PARTITIONS, top)
        stream.create()
        flow = Flow(redis, stream.name)
        with (
            Crew(stream.config, folder, {}) as crew,
            Source(kafka.bootstrap, stream.samples, flow.learned) as source,
        ):
            for number in range(WORKERS):
                crew.join(env={"GRADSTREAM_GROUP_INSTANCE_ID": f"static-{number}"})
            crew.wait_joined()
            time.sleep(WARM_SECONDS)
            calm = measure(flow, max(30.0, 6 * minutes), lambda until: time.sleep(until - time.monotonic()))
            waits: list[float] = []
            wild = measure(flow, 60 * minutes, killing(crew, flow, every, waits))
            source.stop()
            until = time.monotonic() + 300
            while sum(flow.offsets().values()) < source.sent and time.monotonic() < until:
                time.sleep(0.5)
            crew.wait_joined()
            time.sleep(1.0)
            crew.dismiss(30)
            result = audit(stream, kafka.bootstrap, redis, crew, source.sent)
    return {
        "minutes": minutes, "kills": len(waits), "undisturbed_per_second": round(calm),
        "under_kills_per_second": round(wild), "share": round(wild / calm, 3),
        "flow_again_seconds_max": round(max(waits), 2),
        "flow_again_seconds_median": round(sorted(waits)[len(waits) // 2], 2), **result,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--every", type=float, default=20.0, help="seconds between kills")
    parser.add_argument("--document", action="store_true", help="write the section of docs/results.md")
    arguments = parser.parse_args()
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        result = run(arguments.minutes, arguments.every, Path(folder))
    print(json.dumps(result, indent=1))
    if arguments.document:
        write_endurance(result, arguments.every, load_before)
    right = result["share"] >= 0.5 and result["flow_again_seconds_max"] <= FLOW_SECONDS
    exact = not any(result[name] for name in ("lost", "repeated", "unequal", "unpredicted"))
    sys.exit(0 if right and exact else 1)


if __name__ == "__main__":
    main()
