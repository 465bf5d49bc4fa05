"""How many workers, and models, a rate needs."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from benchmarks.scaling.model import MOST_WORKERS, Costs, Place, binding, limits, load

DAY = 86_400


def batch(costs: Costs, place: Place, workers: int, rate: float) -> float:
    """Samples a batch at a rate that can be kept: of one round trip, more where that is too dear."""
    n = min(max(1.0, rate / workers * place.round_trip), float(costs.full))
    while n < costs.full and load(costs, place, workers, rate, n).total > 0.9:
        n = min(1.25 * n, float(costs.full))
    return n


class Size(msgspec.Struct, frozen=True):
    """What a rate needs: `models` of their own logs, each with so many workers; figures are of all of it."""

    name: str
    """Of the workload."""
    rate: float
    models: int
    workers: int
    cores: float
    """CPU that all workers use together."""
    log: float
    """Bytes a second of one log."""
    day: float
    """Bytes that all logs grow by in a day, on each replica."""
    read: float
    """Bytes a second that each worker receives."""
    redis: float
    """Bytes in Redis."""
    by: str
    """The limit that would be met first."""


def size(
    costs: Costs,
    place: Place,
    rate: float,
    used: float = 0.6,
    holds: Callable[[int, float], bool] = lambda _workers, _rate: True,
) -> Size:
    """The fewest workers that use no limit by more than `used`; several models if need be.

    holds: whether so many workers of one model keep up with a rate; if not, more models share it.
    """
    models = 1
    while True:
        part = rate / models
        for workers in range(1, MOST_WORKERS + 1):
            by, most = binding(limits(costs, place, workers))
            if part <= used * most:
                if holds(workers, part):
                    return _sized(costs, place, rate, models, workers, by)
                break
        models += max(1, models // 10)


def _sized(costs: Costs, place: Place, rate: float, models: int, workers: int, by: str) -> Size:
    part = rate / models
    n = batch(costs, place, workers, part)
    record = costs.log_bytes.share(n)
    return Size(
        name=costs.name,
        rate=rate,
        models=models,
        workers=workers,
        cores=models * workers * load(costs, place, workers, part, n).total,
        log=part * record,
        day=rate * record * DAY,
        read=part * (record + costs.sample_bytes / workers),
        redis=models * costs.save.stored,
        by=by,
    )
