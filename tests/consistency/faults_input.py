"""Rows of the fault table: what can happen to the topics of the samples."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable

from confluent_kafka import Producer
from kafka import TopicPartition
from kafka.admin import KafkaAdminClient, NewPartitions

from tests.consistency.counting import sample
from tests.consistency.episode import Episode
from tests.consistency.row import Row
from tests.consistency.verdict import plain_log
from tests.topics import read_topic

KEYS = 400
"""Keys of the compacted topic: a sample lives until the next one of its key."""


def admin(e: Episode) -> contextlib.closing[KafkaAdminClient]:
    """A client for administration, closed at the end of the block."""
    return contextlib.closing(KafkaAdminClient(bootstrap_servers=e.kafka.bootstrap))


def compacted(e: Episode) -> None:
    """The topic is compacted while nobody reads: offsets are missing, here and there and at the ends."""
    e.topic_config(
        e.stream.samples, cleanup_policy="compact", segment_ms="500", min_cleanable_dirty_ratio="0.001",
        max_compaction_lag_ms="1000",
    )  # fmt: skip
    e.wait_progress()
    for _ in e.times(1, 3):
        e.all_leave()
        e.pause(2.0, 4.0)
        before = len(read_topic(e.kafka.bootstrap, e.stream.samples))
        e.fault("the input is compacted")
        e.wait(lambda n=before: len(read_topic(e.kafka.bootstrap, e.stream.samples)) < n, 40, "compaction")
        e.all_back()
        e.pause(0.5, 2.0)
        e.fault("and a worker killed in it")
        e.crew.kill(e.any_member())
        e.wait_progress(50)
    e.topic_config(e.stream.samples, cleanup_policy="delete", segment_ms="604800000")
    e.input_compacted = True


def transactions(e: Episode) -> None:
    """Some samples come in transactions, some of which are aborted, the last one too."""
    producer = Producer(
        {"bootstrap.servers": e.kafka.bootstrap, "transactional.id": e.stream.name, "log_level": 0}
    )
    producer.init_transactions(30)
    for turn in e.times(4, 12):
        producer.begin_transaction()
        for i in range(300):
            partition = i % e.row.partitions
            producer.produce(e.stream.samples, sample(30_000 + turn * 300 + i), partition=partition)
        producer.flush(30)
        e.pause(0.0, 0.8)
        if turn % 2 == 0:
            producer.commit_transaction(30)
        else:
            e.fault("transaction aborted")
            producer.abort_transaction(30)
    e.fault("and a worker killed")
    e.crew.kill(e.any_member())
    e.wait_progress()


def deleted(e: Episode) -> None:
    """Records are deleted beyond the model's position: workers stop and say so; told to skip, they go on."""
    e.wait_progress()
    e.all_leave()
    e.pause(1.0, 2.0)
    next_ = json.loads(e.checkpoint()["offsets"])
    ends = e.ends()
    e.fault("samples deleted before they were read")
    with admin(e) as client:
        for name, end in ends.items():
            middle = next_[name] + max(1, (end - next_[name]) // 2)
            tp = TopicPartition(e.stream.samples, int(name.rpartition("-")[2]))
            client.delete_records({tp: middle})
    e.must_stop("is outside of the topic", "on_hole")
    e.stream.table = f'on_hole = "skip"\n{e.stream.table}'
    e.write_config()
    e.all_back()
    e.wait_progress()
    e.input_deleted = True
    holes = plain_log(e).holes
    e.report.expect({p for p, _, _ in holes} == set(range(e.row.partitions)), f"holes: {holes}")


def made_again(e: Episode) -> None:
    """The samples topic is deleted and made again: workers stop; after a reset they begin anew."""
    e.wait_progress()
    e.feeder.pause()
    time.sleep(1.0)
    e.fault("the samples topic deleted and made again")
    e.supervise(False)
    with admin(e) as client:
        client.delete_topics([e.stream.samples])
    e.command_until_done("topics", "create", "--partitions", str(e.row.partitions))
    e.feeder.go_on()
    e.must_end("gradstream reset")
    e.must_stop("was deleted and made again", "gradstream reset")
    e.stream.command("--config", str(e.direct_config()), "reset", e.stream.name, "--yes", "--force")
    e.command_until_done("topics", "create", "--partitions", str(e.row.partitions))
    e.predicted = False  # offsets of the old topic and of the new one look the same in the predictions
    e.all_back()
    e.supervise(True)
    e.wait_progress()


def partitions_added(e: Episode) -> None:
    """Partitions are added while all run: they open at 0, when their predictions have a place to go."""
    e.crew.wait_joined()
    e.wait_progress()
    e.fault("partitions added to the samples topic")
    more = e.row.partitions + 2
    with admin(e) as client:
        client.create_partitions({e.stream.samples: NewPartitions(more)})
    e.feeder.partitions = more
    e.pause(0.0, 3.0)
    e.command_until_done("topics", "create")
    e.wait(
        lambda: len(json.loads(e.checkpoint().get("offsets", "{}"))) == more, 60, "opening of all partitions"
    )
    e.fault("and a worker killed")
    e.crew.kill(e.any_member())
    e.wait_progress()


def dead_letters(e: Episode) -> None:
    """A thousand invalid samples a second, and workers killed in the middle."""
    over = threading.Event()
    thread = threading.Thread(target=_flood, args=(e, over.is_set), daemon=True)
    thread.start()
    try:
        for _ in e.times(1, 3):
            e.wait_progress()
            e.fault("1,000 dead letters a second, a worker killed")
            e.crew.kill(e.any_member())
    finally:
        over.set()
        thread.join()
    e.wait_progress()


def _flood(e: Episode, over: Callable[[], bool]) -> None:
    producer = Producer({"bootstrap.servers": e.kafka.bootstrap, "enable.idempotence": True, "log_level": 0})
    while not over():
        for i in range(100):
            producer.produce(e.stream.samples, sample(7), partition=i % e.row.partitions)
        producer.poll(0)
        time.sleep(0.1)
    producer.flush(30)


ROWS = [
    Row("compacted", compacted, "compacted input", workers=2, keys=KEYS),
    Row("transactions", transactions, "input with aborted transactions", workers=2, short=True),
    Row("deleted", deleted, "records deleted beyond the position", seeds=1, workers=2),
    Row("input-again", made_again, "input topic made again", seeds=1, forward=False, workers=2),
    Row("partitions", partitions_added, "partitions added while running", workers=2, short=True),
    Row("dead-letters", dead_letters, "1,000 dead letters a second", seeds=1, workers=2),
]
