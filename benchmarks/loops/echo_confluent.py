"""Peer `echo-confluent`: each record goes out again as it came; the least that a Python process can take.

One record at a time, because `consume` waits until it has all that it was asked for.

    python -m benchmarks.loops.echo_confluent BOOTSTRAP SAMPLES-TOPIC PREDICTIONS-TOPIC COUNT
"""

from __future__ import annotations

import gc
import sys

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer

from benchmarks.loops.confluent import consumer_settings, producer_settings, raise_error
from benchmarks.report import Report, now


def run(bootstrap: str, samples: str, echoes: str, count: int) -> Report:
    """Send `count` records back; raises KafkaException."""
    failed: list[KafkaError] = []
    consumer = Consumer(consumer_settings(bootstrap, group=echoes))
    producer = Producer(producer_settings(bootstrap, failed) | {"linger.ms": 0})
    consumer.subscribe([samples])
    gc.collect()
    gc.freeze()
    done, first = 0, 0.0
    while done < count:
        message = consumer.poll(1.0)
        if message is None or raise_error(message):
            continue
        first = first or now()
        producer.produce(echoes, message.value(), partition=0)
        producer.poll(0)
        done += 1
    producer.flush(60)
    report = Report(first, now(), done)
    if failed:
        raise KafkaException(failed[0])
    consumer.close()
    return report


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])).write()
