"""All of it: costs, real workers, how far model and simulation are off, and what they say of more workers."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import msgspec
import uvloop

from benchmarks.scaling import costs as bench
from benchmarks.scaling import log_speed
from benchmarks.scaling.client import with_client
from benchmarks.scaling.live import PACED, Run, Tell, Workers
from benchmarks.scaling.log_speed import Log
from benchmarks.scaling.model import Costs, Place, binding, limits, own_microseconds
from benchmarks.scaling.sim_parts import Setup, Simulated
from benchmarks.scaling.simulate import simulate
from benchmarks.scaling.sizing import Size, size
from benchmarks.scaling.workloads import DENSE_10, WORKLOADS
from benchmarks.suite.place import Place as Stack
from benchmarks.watch import BenchmarkError
from infra.local import LocalStack

NETWORK = 1250e6
"""Bytes a second: 10 Gbit/s."""
WORKERS = (1, 2, 4, 8, 16, 32, 64)
RATES = (1e5, 3e5, 1e7)
RATES_SIZED = (1e3, 1e4, 1e5, 1e6, 1e7)
SEEDS = (1, 2, 3)
"""By all of which workers have to keep up."""
KEPT_UP = 0.97
"""Of what is offered, that workers have to have learned."""
REAL = (1, 2, 4)
LOOPBACK = 1e12


@dataclass(frozen=True)
class Effort:
    """samples: of real runs, by workload; seconds: that are simulated of few workers, and of many."""

    stages: int
    repeats: int
    samples: dict[str, int]
    paced_seconds: float
    real: Sequence[int]
    few: float
    many: float


FULL = Effort(
    60_000, 3, {"dense-10": 600_000, "dense-100": 80_000, "sparse-40": 80_000}, 5.0, REAL, 20.0, 5.0
)
QUICK = Effort(
    20_000, 1, {"dense-10": 100_000, "dense-100": 20_000, "sparse-40": 20_000}, 2.0, (1, 2), 3.0, 1.5
)


class Compared(msgspec.Struct, frozen=True):
    """A real run of so many workers on this machine's cores, and what formula and simulation say of it."""

    run: Run
    simulated: Simulated
    formula: float
    """CPU µs for each sample that a worker processes itself."""


class Beyond(msgspec.Struct, frozen=True):
    """So many workers with a core each, by simulation and by formula."""

    workers: int
    offered: float
    simulated: Simulated
    limit: float
    by: str


class Study(msgspec.Struct, frozen=True):
    """What was measured and computed."""

    costs: list[Costs]
    log: Log
    compared: list[Compared]
    beyond: list[Beyond]
    sizes: list[Size]


def place(log: Log) -> Place:
    """Where the workers of the tables are: a log like this machine's, behind a network of 10 Gbit/s."""
    return Place(log=log.bytes_per_second, network=NETWORK, round_trip=log.round_trip)


async def live(effort: Effort, tell: Tell) -> tuple[Log, list[Run], Run]:
    """The log alone; one worker at small batches, one on each workload, and more on the first."""
    with tempfile.TemporaryDirectory(prefix="gradstream-bench-") as folder, LocalStack(Path(folder)) as stack:
        status = stack.status()
        if status.kafka is None or status.redis is None or not (status.kafka_pid and status.redis_pid):
            raise BenchmarkError(f"the local stack in {folder} does not answer")
        cores = sorted(os.sched_getaffinity(0))
        at = Stack(status.kafka, status.redis, Path(folder), cores[-1], cores, prefix="scaling")
        workers = Workers(at, (status.kafka_pid, status.redis_pid), tell)
        log = await log_speed.measure(at)
        tell(f"log: {log.bytes_per_second / 1e6:,.0f} MB/s, {1e3 * log.round_trip:.1f} ms an append")
        paced = await workers.run(DENSE_10, 1, round(PACED * effort.paced_seconds), PACED)
        runs = [await workers.run(one, 1, effort.samples[one.name]) for one in WORKLOADS]
        samples = effort.samples[DENSE_10.name]
        runs += [await workers.run(DENSE_10, count, samples) for count in effort.real if count > 1]
    return log, runs, paced


def study(effort: Effort, tell: Tell) -> Study:
    """Measure and compute; raises BenchmarkError."""
    measured = []
    for one in WORKLOADS:
        tell(f"{one.name}: stages without Kafka")
        measured.append(bench.measure(one, effort.stages, effort.repeats))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # as a worker has
        log, runs, paced = runner.run(live(effort, tell))
    first = with_client(measured[0], log, runs[0], paced)
    found = [first] + [
        with_client(one, log, run, None, first) for one, run in zip(measured[1:], runs[1:], strict=False)
    ]
    tell("comparing")
    compared = [compare(first, log, run) for run in runs if run.workload == first.name]
    more = beyond(first, place(log), effort, tell)
    return Study(found, log, compared, more, sizes(found, place(log), effort, tell))


def compare(costs: Costs, log: Log, run: Run) -> Compared:
    """The same by simulation: all workers and the servers on the cores of this machine."""
    rate = 1e7
    setup = Setup(
        costs,
        run.workers,
        rate,
        seconds=run.samples / rate,
        until=600.0,
        warm=600.0,
        bandwidth=log.bytes_per_second,
        network=LOOPBACK,
        round_trip=log.round_trip,
        cores=len(os.sched_getaffinity(0)),
        servers=run.servers,
    )
    simulated = simulate(setup)
    return Compared(run, simulated, own_microseconds(costs, run.workers, simulated.batch))


def beyond(costs: Costs, at: Place, effort: Effort, tell: Tell) -> list[Beyond]:
    """More workers than this machine holds, each on a core of its own, at several rates."""
    made = []
    for workers in WORKERS:
        by, most = binding(limits(costs, at, workers))
        seconds = effort.few if workers <= 8 else effort.many
        for offered in RATES:
            tell(f"simulating {workers} workers, {offered:,.0f} samples/s")
            made.append(
                Beyond(workers, offered, simulate(_setup(costs, at, workers, offered, seconds)), most, by)
            )
    return made


def sizes(costs: Sequence[Costs], at: Place, effort: Effort, tell: Tell) -> list[Size]:
    """What rates need, by the formulas, and so that the simulation keeps up with them too."""
    made = []
    for one in costs:

        @cache
        def holds(workers: int, rate: float, of: Costs = one) -> bool:
            tell(f"simulating {workers} workers, {of.name}, {rate:,.0f} samples/s")
            setup = _setup(of, at, workers, rate, effort.few)
            seeds = SEEDS if workers > 1 else SEEDS[:1]
            return all(simulate(replace(setup, seed=i)).throughput >= KEPT_UP * rate for i in seeds)

        made += [size(one, at, rate, holds=holds) for rate in RATES_SIZED]
    return made


def _setup(costs: Costs, at: Place, workers: int, rate: float, seconds: float) -> Setup:
    """Workers with a core each."""
    return Setup(
        costs,
        workers,
        rate,
        seconds=seconds,
        until=seconds,
        warm=seconds / 2,
        bandwidth=at.log,
        network=at.network,
        replicas=at.replicas,
        round_trip=at.round_trip,
        save_every=at.save_every,
    )
