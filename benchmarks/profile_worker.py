"""Where a worker's time goes: cProfile of `gradstream worker --drain` on the benchmark's stream.

    python -m benchmarks.profile_worker [--samples 200000] [--top 40]

Counting slows calls down, native code it does not: compare rows with rows, not with a benchmark's result.
"""

from __future__ import annotations

import pstats
import tempfile
from pathlib import Path

import click

from benchmarks.peers import Bench
from benchmarks.samples import create_topics, produce_samples
from benchmarks.watch import cores
from infra.local import LocalStack

TOPIC = "profile.samples"


@click.command()
@click.option("--samples", type=click.IntRange(min=1), default=200_000, show_default=True)
@click.option("--top", type=click.IntRange(min=1), default=40, show_default=True, help="Functions to show.")
def main(samples: int, top: int) -> None:
    """Profile one worker, with its imports and kernels' loading; functions by their own time."""
    _, core = cores()
    temporary = tempfile.TemporaryDirectory(prefix="gradstream-profile-")
    with temporary as folder, LocalStack(Path(folder)) as stack:
        status = stack.status()
        assert status.kafka is not None
        assert status.redis is not None
        create_topics(status.kafka, [TOPIC])
        produce_samples(status.kafka, TOPIC, samples)
        profile = Path(folder) / "worker.pstats"
        bench = Bench(status.kafka, status.redis, Path(folder), core, profile=profile)
        bench.run("ours", TOPIC, samples, "profile")
        pstats.Stats(str(profile)).sort_stats("tottime").print_stats(top)


if __name__ == "__main__":
    main()
