"""Measure gradstream against its peers on the local stack: `make bench`, or python -m benchmarks.run -h."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console

from benchmarks.machine import describe
from benchmarks.peers import LATE, PEERS, Bench, Run
from benchmarks.results import Results, summarise, table
from benchmarks.samples import create_topics, late, produce_late, produce_samples
from benchmarks.watch import BenchmarkError, cores
from infra.local import LocalStack
from models.errors import GradstreamError

RESULTS = Path(__file__).parent / "results"
TOPIC = "bench.samples"
WARM_UP_TOPIC = "bench.warm-up"
WARM_UP_SAMPLES = 2_000
NAIVE_SAMPLES = 20_000
"""What `naive` is given unless told otherwise: all would take a minute, at the same CPU time each."""

CONTESTANTS = ("ours", LATE, *PEERS[1:])

console = Console(stderr=True)


def parse_peers(_context: click.Context, _parameter: click.Parameter, value: str) -> list[str]:
    """Names separated by commas."""
    names = [name.strip() for name in value.split(",") if name.strip()]
    for name in names:
        if name not in CONTESTANTS:
            raise click.BadParameter(f"{name!r} is no peer, expected some of {', '.join(CONTESTANTS)}")
    if not names or len(set(names)) < len(names):
        raise click.BadParameter(f"{value!r}: expected at least one peer, each once")
    return names


def measure(bench: Bench, peers: list[str], counts: dict[str, int], repeats: int) -> list[Run]:
    """Each peer once on a small topic, to compile and cache its kernels; then the runs, interleaved."""
    for peer in peers:
        console.print(f"warming up {peer}")
        bench.run(peer, WARM_UP_TOPIC, WARM_UP_SAMPLES, f"warm-up-{peer}")
    runs = []
    for repeat in range(1, repeats + 1):
        for peer in peers:
            run = bench.run(peer, TOPIC, counts[peer], f"bench-{peer}-{repeat}")
            speed = f"{run.rate:,.0f} samples/s, {run.cpu_microseconds:.2f} µs of CPU each"
            console.print(f"{repeat}/{repeats} {peer}: {speed}")
            runs.append(run)
    return runs


def benchmark(samples: int, naive_samples: int, repeats: int, peers: list[str]) -> Results:
    """Start the stack on the first core, fill the topics, measure on the second."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the worker of the moment ends too
    server_core, worker_core = cores()
    os.sched_setaffinity(0, {server_core})  # the servers inherit it
    counts = {peer: min(samples, naive_samples) if peer == "naive" else samples for peer in peers}
    with tempfile.TemporaryDirectory(prefix="gradstream-bench-") as folder, LocalStack(Path(folder)) as stack:
        status = stack.status()
        if status.kafka is None or status.redis is None:
            raise BenchmarkError(f"the local stack in {folder} does not answer")
        machine = describe(status.redis)
        create_topics(status.kafka, [TOPIC, WARM_UP_TOPIC, *late(TOPIC), *late(WARM_UP_TOPIC)])
        produce_samples(status.kafka, WARM_UP_TOPIC, WARM_UP_SAMPLES)
        size = produce_samples(status.kafka, TOPIC, samples)
        if LATE in peers:
            produce_late(status.kafka, WARM_UP_TOPIC, WARM_UP_SAMPLES)
            produce_late(status.kafka, TOPIC, samples)
        console.print(f"{samples:,} samples of {size / samples:.0f} bytes are on {TOPIC}")
        runs = measure(Bench(status.kafka, status.redis, Path(folder), worker_core), peers, counts, repeats)
    settings: dict[str, object] = {
        "samples": samples,
        "bytes_per_sample": round(size / samples, 1),
        "repeats": repeats,
        "samples_of": counts,
        "server_core": server_core,
        "worker_core": worker_core,
    }
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Results(at, settings, machine, summarise(runs), runs)


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--samples", type=click.IntRange(min=1), default=200_000, help="Samples on the topic.")
@click.option(
    "--naive-samples", type=click.IntRange(min=1), default=NAIVE_SAMPLES, help="Of these, for naive."
)
@click.option("--repeats", type=click.IntRange(min=1), default=5, help="Measured runs of each peer.")
@click.option("--peers", callback=parse_peers, default=",".join(CONTESTANTS), help="Who runs, in this order.")
@click.option("--quick", is_flag=True, help="A tenth of the samples, two repeats: a look, not a result.")
def main(samples: int, naive_samples: int, repeats: int, peers: list[str], quick: bool) -> None:
    """Samples per second of one worker process on one core: gradstream and its peers."""
    if quick:
        samples, naive_samples, repeats = max(1, samples // 10), max(1, naive_samples // 10), min(2, repeats)
    try:
        results = benchmark(samples, naive_samples, repeats, peers)
    except GradstreamError as error:
        console.print(f"error: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(1)
    machine = results.machine
    title = f"{machine['cpu']}, Python {machine['python']}, Apache Kafka {machine['kafka']}"
    # A file gets the whole width that the table needs.
    Console(width=None if sys.stdout.isatty() else 140).print(table(results.summary, title))
    console.print(f"all of it: {results.write(RESULTS)}", soft_wrap=True)


if __name__ == "__main__":
    main()
