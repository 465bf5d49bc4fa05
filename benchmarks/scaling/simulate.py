"""W workers of one model on one log, event by event, as far beyond this machine as one likes.

A worker does one thing at a time, in turn: fold what of the log has come (View.fold_run), append the first
batches whose predictions are acknowledged (Appender), process a batch (Processor). The product's own Pacing
says how much may be pending; undone pending is learned again before the next prediction, as in View. The
log is a queue with a bandwidth, and what it sends to its readers another one. Each worker owns one
partition, to which samples come at a steady rate. Times vary by chance (VARIES), lest workers go in lock
step; the same setup and seed give the same figures.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from functools import cache
from random import Random
from statistics import median

from benchmarks.scaling.sim_parts import Record, Setup, Simulated
from benchmarks.scaling.sim_worker import Worker

Event = Callable[[], None]
VARIES = 0.3
"""How much longer or shorter than its mean a computation or a way over the network may take."""


class Simulation:
    """The log, the clock, and the workers."""

    def __init__(self, setup: Setup) -> None:
        self.setup, self.costs = setup, setup.costs
        self.line = cache(setup.costs.line)
        self.now = 0.0
        self.log: list[Record] = []
        self.processed = 0
        self.logged = 0
        self._random = Random(setup.seed)
        self._events: list[tuple[float, int, Event]] = []
        self._count = 0
        self._partition_free = self._leader_free = 0.0
        self._partition_busy = self._leader_busy = 0.0
        self._cores = [0.0] * (setup.cores or 0)
        self.workers = [Worker(self, i) for i in range(setup.workers)]

    def at(self, time: float, event: Event) -> None:
        """Do it then."""
        self._count += 1
        heapq.heappush(self._events, (time, self._count, event))

    def varied(self, seconds: float) -> float:
        """How long takes this time what takes so long in the mean."""
        return seconds * self._random.uniform(1 - VARIES, 1 + VARIES)

    def arrived(self, number: int) -> int:
        """Samples that have come to a worker's partition; what rounding leaves goes to the first one's."""
        setup = self.setup
        if self.now < setup.seconds:
            return int(setup.rate / setup.workers * self.now)
        each, left = divmod(int(setup.rate * setup.seconds), setup.workers)
        return each + (left if number == 0 else 0)

    def computes(self, seconds: float) -> float:
        """When work that takes so long and is begun now is done."""
        if not self._cores:
            return self.now + seconds
        begun = max(self.now, heapq.heappop(self._cores))
        heapq.heappush(self._cores, begun + seconds)
        return begun + seconds

    def acknowledged(self, samples: int) -> float:
        """When predictions that are sent now are acknowledged; the servers' work for them is done then."""
        half = self.varied(self.setup.round_trip / 2)
        return max(self.now + half, self.computes(1e-6 * self.setup.servers * samples)) + half

    def append(self, record: Record, answered: Event) -> None:
        """A record is on its way; all workers see it when it has been written and sent to each."""
        setup, half = self.setup, self.varied(self.setup.round_trip / 2)
        written = record.bytes / setup.bandwidth
        sent = record.bytes * (setup.workers + setup.replicas - 1) / setup.network

        def arrive() -> None:
            self._partition_free = max(self.now, self._partition_free) + written
            self._leader_free = max(self._partition_free, self._leader_free) + sent
            record.visible = self._leader_free + half
            self.log.append(record)
            self.logged += record.samples
            self._partition_busy += self._counted(self._partition_free, written)
            self._leader_busy += self._counted(self._leader_free, sent)
            self.at(self._partition_free + half, answered)
            self.at(record.visible, self._wake)

        self.at(self.now + half, arrive)

    def _counted(self, end: float, seconds: float) -> float:
        """How much of what takes so long and ends then is in the time that figures are of."""
        return max(0.0, min(end, self.setup.until) - max(end - seconds, self.setup.warm))

    def _wake(self) -> None:
        for worker in self.workers:
            worker.look()

    def run(self) -> Simulated:
        """All of it."""
        setup, marks = self.setup, [0] * self.setup.workers
        total = int(setup.rate * setup.seconds)
        for worker in self.workers:
            self.at(0.0, worker.look)
        warm = False
        while self._events:
            time, _, event = heapq.heappop(self._events)
            if time > setup.until:
                self.now = setup.until
                break
            if not warm and time >= setup.warm:
                warm = True
                marks = [worker.folded for worker in self.workers]
                for worker in self.workers:
                    worker.forget_figures()
            self.now = time
            event()
            if min(worker.folded for worker in self.workers) >= total:
                break
        if not warm:
            marks = [0] * setup.workers
        return self._figures(marks, self.now - (setup.warm if warm else 0.0))

    def _figures(self, marks: list[int], seconds: float) -> Simulated:
        workers = self.workers
        own = sum(worker.figures.processed for worker in workers)
        records = sum(worker.figures.records for worker in workers)
        trips = [trip for worker in workers for trip in worker.figures.trips]
        span = max(seconds, 1e-9)
        return Simulated(
            throughput=min(w.folded - mark for w, mark in zip(workers, marks, strict=True)) / span,
            redone=sum(one.redone - one.figures.redone_before for one in workers) / max(1, own),
            busy=sum(worker.figures.busy for worker in workers) / len(workers) / span,
            cpu=1e6 * sum(worker.figures.busy for worker in workers) / max(1, own),
            unseen=sum(worker.figures.unseen for worker in workers) / max(1, own),
            log_seconds=median(trips) if trips else 0.0,
            batch=own / max(1, sum(worker.figures.batches for worker in workers)),
            record=sum(worker.figures.sent for worker in workers) / max(1, records),
            log_busy=max(self._partition_busy, self._leader_busy) / span,
            processed=self.processed,
            logged=self.logged,
            folded=tuple(worker.folded for worker in workers),
        )


def simulate(setup: Setup) -> Simulated:
    """Run it."""
    return Simulation(setup).run()
