"""Peer `getmany`: aiokafka's consumer alone, on uvloop; nothing is predicted or produced.

It makes an object of each record, as every loop over aiokafka's records has to.

    python -m benchmarks.loops.getmany BOOTSTRAP SAMPLES-TOPIC PREDICTIONS-TOPIC COUNT
"""

from __future__ import annotations

import gc
import sys

import uvloop
from aiokafka import AIOKafkaConsumer

from benchmarks.report import Report, now


async def run(bootstrap: str, samples: str, group: str, count: int) -> Report:
    """Read `count` records."""
    consumer = AIOKafkaConsumer(
        samples,
        bootstrap_servers=bootstrap,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        check_crcs=False,
        max_partition_fetch_bytes=4 * 1024 * 1024,
    )
    await consumer.start()
    gc.collect()
    gc.freeze()
    gc.disable()
    done, first = 0, 0.0
    while done < count:
        found = await consumer.getmany(timeout_ms=1_000, max_records=count - done)
        first = first or now()
        done += sum(map(len, found.values()))
    report = Report(first, now(), done)
    await consumer.stop()
    return report


if __name__ == "__main__":
    uvloop.run(run(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))).write()
