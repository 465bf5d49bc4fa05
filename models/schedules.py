"""Learning rates over time. t = samples learned before; with the optimizers of `optimizers.CLOCKED` but for
"normalized-adaptive", steps taken before (the same thing where each sample brings a step).

    constant          α_t = α
    inverse-scaling   α_t = α / (t + 1)^power          (Robbins & Monro 1951; scikit-learn's `invscaling`)
    exponential       α_t = α factor^(t / every)
    step              α_t = α factor^⌊t / every⌋
    cosine            α_t = α (floor + (1 - floor) ½ (1 + cos(π min(t, horizon) / horizon)))
                                                       (Loshchilov & Hutter, ICLR 2017, without restarts)

With `warmup` samples, each is multiplied by min(1, (t + 1) / warmup) (Goyal et al. 2017).
"""

from __future__ import annotations

import math
from typing import NamedTuple

from models.kernels.elementary import cos, log
from models.kernels.elementary import exp as exponential
from models.kernels.elementary import power as to_the_power
from models.kernels.jit import part
from models.spec import ScheduleSpec

CONSTANT, INVERSE_SCALING, EXPONENTIAL, STEP, COSINE = 0, 1, 2, 3, 4
SCHEDULES = {
    "constant": CONSTANT,
    "inverse-scaling": INVERSE_SCALING,
    "exponential": EXPONENTIAL,
    "step": STEP,
    "cosine": COSINE,
}


class Schedule(NamedTuple):
    """A schedule as codes and numbers."""

    code: int
    rate: float
    power: float
    factor: float
    every: float
    horizon: float
    floor: float
    warmup: float


def make_schedule(spec: ScheduleSpec, rate: float) -> Schedule:
    """What the kernels are told."""
    return Schedule(
        SCHEDULES[spec.name], float(rate), float(spec.power), float(spec.factor), float(spec.every),
        float(spec.horizon), float(spec.floor), float(spec.warmup),
    )  # fmt: skip


@part
def rate_at(schedule: Schedule, t: float) -> float:
    """α_t."""
    rate = schedule.rate
    if schedule.code == INVERSE_SCALING:
        rate = rate / to_the_power(t + 1.0, schedule.power)
    elif schedule.code == EXPONENTIAL:
        rate *= exponential(t / schedule.every * log(schedule.factor))
    elif schedule.code == STEP:
        rate *= exponential(math.floor(t / schedule.every) * log(schedule.factor))
    elif schedule.code == COSINE:
        passed = min(t, schedule.horizon) / schedule.horizon
        wave = 0.5 * (1.0 + cos(math.pi * passed))
        rate *= schedule.floor + (1.0 - schedule.floor) * wave
    if t + 1.0 < schedule.warmup:
        rate *= (t + 1.0) / schedule.warmup
    return rate
