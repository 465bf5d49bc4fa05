"""What Kafka's client and Faust cost a worker, found by difference: what it takes beyond its stages."""

from __future__ import annotations

import msgspec

from benchmarks.scaling.live import PACED_BATCH, Run
from benchmarks.scaling.log_speed import Log
from benchmarks.scaling.model import Costs, Line

BATCH, RECORD = ("parse", "learn", "write"), ("encode", "fetch", "read")
"""Stages that are gone through once a batch, and once a record of the log, in which several may leave."""


def with_client(costs: Costs, log: Log, backlog: Run, paced: Run | None, known: Costs | None = None) -> Costs:
    """Costs with `fetch`, `read` and `transport`, with the CPU of a worker that waits, and Redis' bytes.

    backlog: one worker at full batches; paced: at small ones. Without it what a batch costs, whatever is in
    it, is that of `known`, another workload.
    """
    assert (paced is None) != (known is None), "either a paced run or costs that are known"
    stages = {**costs.stages, "fetch": Line(log.fetch)}
    if paced is not None:
        stages["read"] = Line.through(paced.record, paced.read, backlog.record, backlog.read)
    elif known is not None:
        fixed = min(known.stages["read"].fixed, backlog.read)
        stages["read"] = Line(fixed, (backlog.read - fixed) / backlog.record)
    costs = msgspec.structs.replace(costs, stages=stages, idle=backlog.idle)
    n = costs.full
    rest = n * _rest(costs, backlog, n)
    if paced is not None:
        small = PACED_BATCH * _rest(costs, paced, PACED_BATCH)
        stages["transport"] = Line.through(PACED_BATCH, small, n, rest)
    elif known is not None:
        fixed = min(known.stages["transport"].fixed, rest)
        stages["transport"] = Line(fixed, (rest - fixed) / n)
    save = msgspec.structs.replace(costs.save, stored=float(backlog.redis_bytes))
    return msgspec.structs.replace(costs, stages=stages, save=save)


def _rest(costs: Costs, run: Run, n: float) -> float:
    """µs of a sample in one worker that no stage and no save explains; n: samples processed at once."""
    batch, record = costs.line(BATCH).share(n), costs.line(RECORD).share(run.record)
    return max(0.0, run.cpu - batch - record - costs.save.microseconds / run.rate)
