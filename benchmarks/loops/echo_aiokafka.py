"""Peer `echo-aiokafka`: each record goes out again as it came, on uvloop; what any Faust worker stands on.

python -m benchmarks.loops.echo_aiokafka BOOTSTRAP SAMPLES-TOPIC PREDICTIONS-TOPIC COUNT
"""

from __future__ import annotations

import gc
import sys

import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from benchmarks.report import Report, now


async def run(bootstrap: str, samples: str, echoes: str, count: int) -> Report:
    """Send `count` records back, none of which is waited for until the last."""
    consumer = AIOKafkaConsumer(
        samples,
        bootstrap_servers=bootstrap,
        group_id=echoes,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", linger_ms=0)
    await consumer.start()
    await producer.start()
    gc.collect()
    gc.freeze()
    done, first, sent = 0, 0.0, None
    while done < count:
        for records in (await consumer.getmany(timeout_ms=1_000)).values():
            first = first or now()
            for record in records:
                sent = await producer.send(echoes, record.value, partition=0)
                done += 1
    assert sent is not None
    await sent
    report = Report(first, now(), done)
    await producer.stop()
    await consumer.stop()
    return report


if __name__ == "__main__":
    uvloop.run(run(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))).write()
