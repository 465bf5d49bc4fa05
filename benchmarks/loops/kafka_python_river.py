"""Peer `kafka-python-river`: the client that most tutorials use around River, as its documentation shows it.

Polled by the batch, sent without waiting, flushed at the end; the client is pure Python, which is its price.

    python -m benchmarks.loops.kafka_python_river BOOTSTRAP SAMPLES-TOPIC PREDICTIONS-TOPIC COUNT
"""

from __future__ import annotations

import gc
import sys

from kafka import KafkaConsumer, KafkaProducer

from benchmarks.loops.river_learner import RiverLearner
from benchmarks.report import Report, now


def run(bootstrap: str, samples: str, predictions: str, count: int) -> Report:
    """Process `count` records; raises KafkaError for the first prediction that was not taken."""
    learner = RiverLearner(samples)
    consumer = KafkaConsumer(
        samples,
        bootstrap_servers=bootstrap,
        group_id=predictions,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        check_crcs=False,
        max_poll_records=5_000,
    )
    producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all", linger_ms=5, batch_size=512 * 1024)
    gc.collect()
    gc.freeze()
    done, first, sent = 0, 0.0, None
    while done < count:
        for records in consumer.poll(timeout_ms=1_000).values():
            first = first or now()
            for record in records[: count - done]:
                value = learner.predict_and_learn(record.value, record.offset)
                sent = producer.send(predictions, value, partition=0)
                done += 1
    producer.flush(60)
    assert sent is not None
    sent.get(60)
    report = Report(first, now(), done)
    consumer.close(autocommit=False)
    producer.close()
    return report


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])).write()
