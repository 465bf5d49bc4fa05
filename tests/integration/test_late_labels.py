"""Labels on a topic of their own, on real servers: each is joined exactly once, or it is said why not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.consistency.late_audit import letters
from tests.consistency.late_traffic import LIVE, traffic
from tests.integration.harness import Stream, terminate
from tests.integration.late_labels import audit, send, waiting

Make = Callable[..., Stream]


@pytest.mark.parametrize("on_missing", ["drop", "negative"])
@pytest.mark.parametrize("partitions", [1, 4])
def test_each_label_in_time_joins_its_sample_exactly_once(
    make_late: Make, partitions: int, on_missing: str
) -> None:
    stream, made = make_late(partitions, f'on_missing = "{on_missing}"'), traffic(4_000, partitions)
    send(stream, made)
    stream.drain()
    audit(stream, made, negative=on_missing == "negative")
    counted = letters(stream)
    assert sum(counted.values()) == made.counts["duplicates"] + made.counts["unmatched"], "one letter each"


def test_labels_that_come_while_the_worker_runs_are_joined_as_well(make_late: Make) -> None:
    stream, made = make_late(4), traffic(3_000, 4, kinds=LIVE)
    worker = stream.worker()
    stream.wait(lambda: '"event": "assigned"' in stream.logs())
    for start in range(0, len(made.messages), 700):
        send(stream, made, start, start + 700)
    stream.wait(lambda: waiting(stream) == 4)
    assert terminate(worker) == 0
    audit(stream, made)


# What the topics have to be


def test_a_labels_topic_that_is_not_there_is_one_line(make_late: Make, kafka_admin: Any) -> None:
    stream = make_late()
    kafka_admin.delete_topics([stream.labels])
    stream.wait(lambda: stream.labels not in kafka_admin.list_topics())
    assert stream.worker("--drain").wait(60) == 1
    assert stream.logs().count(f"gradstream: no topic {stream.labels}") == 1
    assert "Traceback" not in stream.logs()


def test_partition_counts_that_differ_are_one_line(make_late: Make, kafka_admin: Any) -> None:
    from kafka.admin import NewPartitions

    stream = make_late(2)
    kafka_admin.create_partitions({stream.labels: NewPartitions(3)})
    stream.wait(lambda: len(kafka_admin.describe_topics([stream.labels])[0]["partitions"]) == 3)
    assert stream.worker("--drain").wait(60) == 1
    (line,) = [line for line in stream.logs().splitlines() if line.startswith("gradstream: ")]
    assert f"{stream.labels}: has 3 partitions" in line
    assert f"{stream.samples} has 2" in line
    assert "Traceback" not in stream.logs()
