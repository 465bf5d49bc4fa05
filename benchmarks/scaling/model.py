"""What W workers of one model can take: formulas over measured costs. Nothing here measures or draws lots.

    W  workers            R  samples a second of all of them together, all labelled
    n  samples a batch    s(n) = a/n + b  µs a sample of a stage that takes a + b·n µs a batch

    own(n)      parse + learn + write + encode + transport + fetch + read   µs for a worker's own sample
    foreign(n)  read + decode + fold                                        µs for another worker's
    again(n)    undo + redo                                                 µs for one that is taken back
    q(W)        0 with one worker, else 1                                   of own samples, those taken back
    still       (idle + save.microseconds / save_every) / 10⁶               cores, whatever R is

    cores of a worker = R/W · (own + (W - 1) · foreign + q · again) / 10⁶ + still

Solved for 1 core it is the rate that the workers' CPU allows; with more workers it comes to 10⁶ / foreign,
the fold on one core. The log's bytes a sample, L(n), meet two more limits: what one partition takes, R · L,
and what its leader sends, because every worker reads all of it, and so does every other replica: R · L · (W
+ replicas - 1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from streams.pacing import TARGET
from streams.stride import CHUNK
from streams.transport import FETCH_BYTES

OWN = ("parse", "learn", "write", "encode", "transport", "fetch", "read")
FOREIGN = ("read", "decode", "fold")
AGAIN = ("undo", "redo")
STAGES = tuple(dict.fromkeys((*OWN, *FOREIGN, *AGAIN)))
CPU, FOLD, LOG, LEADER, NETWORK = (
    "workers' cores",
    "fold on one core",
    "log's partition",
    "log leader's network",
    "workers' network",
)
MOST_WORKERS = 64


class Line(msgspec.Struct, frozen=True):
    """fixed + each · n: µs, or bytes, of a batch of n samples."""

    fixed: float = 0.0
    each: float = 0.0

    def of(self, n: float) -> float:
        """Of a batch of n samples."""
        return self.fixed + self.each * n

    def share(self, n: float) -> float:
        """Of one sample of such a batch."""
        return self.fixed / n + self.each

    @classmethod
    def through(cls, n: float, small: float, m: float, large: float) -> Line:
        """The line through two batches, of n and of m samples; neither part is negative."""
        each = max(0.0, (large - small) / (m - n))
        fixed = max(0.0, small - each * n)
        return cls(fixed, each if fixed else large / m)


class Save(msgspec.Struct, frozen=True):
    """A save of a model on which learning goes on."""

    microseconds: float
    """CPU time of the worker."""
    bytes: float
    """That go to Redis."""
    stored: float
    """Bytes that Redis has then."""


class Costs(msgspec.Struct, frozen=True):
    """Of one workload; stages: µs by STAGES, those that are missing cost nothing."""

    name: str
    stages: Mapping[str, Line]
    log_bytes: Line
    """Of a record of the log with n samples."""
    sample_bytes: float
    prediction_bytes: float
    save: Save
    idle: float = 0.0
    """CPU µs a second of a worker without anything to do."""

    def still(self, save_every: float) -> float:
        """Cores that a worker needs whatever comes."""
        return 1e-6 * (self.idle + self.save.microseconds / save_every)

    def line(self, stages: tuple[str, ...]) -> Line:
        """All these stages one after the other."""
        found = [self.stages[stage] for stage in stages if stage in self.stages]
        return Line(sum(one.fixed for one in found), sum(one.each for one in found))

    @property
    def full(self) -> int:
        """Samples of a batch when more than enough wait: what one fetch brings, CHUNK at most."""
        return samples_a_fetch(self.sample_bytes)


def samples_a_fetch(sample_bytes: float) -> int:
    """What one fetch brings of a partition where more than enough waits, CHUNK at most."""
    return int(max(1, min(CHUNK, FETCH_BYTES / sample_bytes)))


@dataclass(frozen=True)
class Place:
    """What the servers are. log: bytes a second that one partition takes; network: of each host, each way."""

    log: float
    network: float
    replicas: int = 3
    save_every: float = 1.0
    round_trip: float = 0.002


@dataclass(frozen=True)
class Load:
    """Cores that one worker needs, by what for."""

    own: float
    foreign: float
    again: float
    still: float

    @property
    def total(self) -> float:
        """Above 1 it falls behind."""
        return self.own + self.foreign + self.again + self.still


def taken_back(workers: int) -> float:
    """q: what pacing lets it come to at most."""
    return 0.0 if workers == 1 else TARGET


def own_microseconds(costs: Costs, workers: int, n: float) -> float:
    """CPU µs of a worker for each sample that it processes itself, all that comes with it included."""
    others = (workers - 1) * costs.line(FOREIGN).share(n)
    return costs.line(OWN).share(n) + others + taken_back(workers) * costs.line(AGAIN).share(n)


def load(costs: Costs, place: Place, workers: int, rate: float, n: float) -> Load:
    """Of one worker at `rate` samples a second of all."""
    mine = 1e-6 * rate / workers
    return Load(
        own=mine * costs.line(OWN).share(n),
        foreign=mine * (workers - 1) * costs.line(FOREIGN).share(n),
        again=mine * taken_back(workers) * costs.line(AGAIN).share(n),
        still=costs.still(place.save_every),
    )


def fold_limit(costs: Costs, n: float) -> float:
    """Samples a second that one core folds: no number of workers comes beyond it."""
    return 1e6 / costs.line(FOREIGN).share(n)


def limits(costs: Costs, place: Place, workers: int, n: float | None = None) -> dict[str, float]:
    """Samples a second that each resource allows; n: samples a batch, as many as there can be if None."""
    n = costs.full if n is None else n
    record = costs.log_bytes.share(n)
    left = max(0.0, 1 - costs.still(place.save_every))
    received = record + costs.sample_bytes / workers
    sent = (record + costs.prediction_bytes) / workers
    one = load(costs, place, workers, 1.0, n)
    return {
        FOLD if one.foreign > one.own + one.again else CPU: left / (one.total - one.still),
        LOG: place.log / record,
        LEADER: place.network / (record * (workers + place.replicas - 1)),
        NETWORK: place.network / max(received, sent),
    }


def binding(found: Mapping[str, float]) -> tuple[str, float]:
    """The limit that is met first, and its samples a second."""
    name = min(found, key=lambda one: found[one])
    return name, found[name]
