"""The study as tables."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.scaling import texts
from benchmarks.scaling.model import (
    AGAIN,
    FOREIGN,
    MOST_WORKERS,
    OWN,
    STAGES,
    Costs,
    Place,
    binding,
    fold_limit,
    limits,
)
from benchmarks.scaling.part import Part, beside, thousands
from benchmarks.scaling.sizing import Size
from benchmarks.scaling.study import WORKERS, Study, place

FAR = 1e7
MB, GB = 1e6, 1e9


def parts(study: Study) -> list[Part]:
    """All tables."""
    at = place(study.log)
    return [
        _costs(study.costs),
        _limits(study.costs, at),
        _compared(study),
        _beyond(study),
        _sizes(study.sizes),
    ]


def _costs(costs: Sequence[Costs]) -> Part:
    rows = [
        [stage, *(f"{one.stages[stage].fixed:,.0f} + {one.stages[stage].each:.2f} n" for one in costs)]
        for stage in STAGES
    ]
    for name, stages in (("own", OWN), ("foreign", FOREIGN), ("again", AGAIN)):
        rows.append(
            [f"**{name}**, µs a sample", *(f"{one.line(stages).share(one.full):.2f}" for one in costs)]
        )
    rows.append(["n of a full batch", *(f"{one.full:,}" for one in costs)])
    rows.append(["B a sample: topic", *(f"{one.sample_bytes:,.0f}" for one in costs)])
    rows.append(["prediction", *(f"{one.prediction_bytes:,.0f}" for one in costs)])
    rows.append(["log", *(f"{one.log_bytes.share(one.full):,.0f}" for one in costs)])
    rows.append(
        ["save: ms, MB", *(f"{one.save.microseconds / 1e3:.1f}, {one.save.bytes / MB:.1f}" for one in costs)]
    )
    return Part("Costs", texts.COSTS, ["stage", *(one.name for one in costs)], rows)


def _limits(costs: Sequence[Costs], at: Place) -> Part:
    rows = []
    for one in costs:
        for workers in WORKERS:
            found = limits(one, at, workers)
            by, most = binding(found)
            figures = [thousands(value) for value in found.values()]
            rows.append([f"{one.name}, {workers}", *figures, f"**{thousands(most)}**", by])
        rows.append([f"{one.name}, fold alone", thousands(fold_limit(one, one.full)), "", "", "", "", ""])
    text = texts.LIMITS.format(gigabits=8 * at.network / GB, replicas=at.replicas, log=at.log / MB)
    header = [
        "workers",
        "CPU",
        "log's partition",
        "log leader's network",
        "a worker's network",
        "most",
        "limit",
    ]
    return Part("Limits", text, header, rows)


def _compared(study: Study) -> Part:
    rows = []
    for one in study.compared:
        run, simulated = one.run, one.simulated
        rows.append(
            [
                f"{run.workers}",
                *beside(run.rate, simulated.throughput, 0),
                *beside(run.cpu, simulated.cpu, 2),
                f"{one.formula:.2f}",
                f"{run.redone:.2f}",
                f"{simulated.redone:.2f}",
                f"{run.record:,.0f}",
                f"{simulated.record:,.0f}",
            ]
        )
    header = [
        "workers",
        "samples/s",
        "simulated",
        "off",
        "CPU µs",
        "simulated",
        "off",
        "formula",
        "redone",
        "simulated",
    ]
    return Part("Real and simulated", texts.COMPARED, [*header, "record", "simulated"], rows)


def _beyond(study: Study) -> Part:
    rows = []
    for one in study.beyond:
        found = one.simulated
        rows.append(
            [
                f"{one.workers}",
                thousands(one.offered),
                thousands(found.throughput),
                thousands(one.limit),
                f"{found.redone:.2f}",
                f"{found.batch:,.0f}",
                f"{found.busy:.2f}",
                f"{found.log_busy:.2f}",
                f"{found.unseen:,.0f}",
                f"{1e3 * found.log_seconds:.1f}",
            ]
        )
    header = ["workers", "offered k/s", "learned k/s", "formula's most k/s", "redone", "batch", "worker busy"]
    return Part("Beyond this machine", texts.BEYOND, [*header, "log busy", "unseen", "log ms"], rows)


def _sizes(sizes: Sequence[Size]) -> Part:
    rows = [
        [
            f"{one.name}, {thousands(one.rate)} k/s",
            f"{one.models:,}",
            f"{one.workers}",
            f"{one.models * one.workers:,}",
            f"{one.cores:,.1f}",
            f"{one.log / MB:,.1f}",
            f"{one.read / MB:,.1f}",
            f"{one.day / GB:,.0f}",
            f"{one.redis / MB:,.1f}",
            one.by,
        ]
        for one in sizes
    ]
    header = [
        "samples",
        "models",
        "workers each",
        "workers",
        "cores",
        "log MB/s",
        "worker reads MB/s",
        "log GB a day",
    ]
    return Part("How much is needed", texts.SIZES, [*header, "Redis MB", "first limit"], rows)


def far(study: Study) -> str:
    """What 64 workers on one log would need for ten million samples a second."""
    at, costs = place(study.log), study.costs[0]
    found = limits(costs, at, MOST_WORKERS)
    times = [f"{name} {FAR / most:,.1f} times" for name, most in found.items() if 1.05 * most < FAR]
    record = costs.log_bytes.share(costs.full)
    return texts.FAR.format(
        workers=MOST_WORKERS,
        written=FAR * record / GB,
        sent=FAR * record * (MOST_WORKERS + at.replicas - 1) / GB,
        fold=FAR / fold_limit(costs, costs.full),
        times=", ".join(times),
    )
