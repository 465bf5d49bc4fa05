"""Steps that a param missed, because no sample had its feature, made up for when it is needed again.

With momentum, Adam and AdamW a step whose gradient is zero moves a param nevertheless; with these and RMSProp
its state decays. A sparse step must not touch 2^bits params, so each param notes the step t up to which it
was brought, and the steps since then are taken at once: one by one while what is left of the last gradient
counts (Optimizer.memory), by closed forms behind that. The result is that of dense steps, but for rounding.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from models.kernels.elementary import exp, log, power
from models.kernels.jit import helper, part
from models.optimizers import ADAM, ADAMW, MOMENTUM, NESTEROV, RMSPROP
from models.rows import Float64, Int64
from models.schedules import Schedule, rate_at


class Optimizer(NamedTuple):
    """An optimizer as code and numbers."""

    code: int
    states: int  # numbers kept for each param
    drifts: bool  # a param moves while its gradient is zero
    constant: bool  # the rate is the same in each step
    memory: int  # steps
    clock: int  # where in S the clock stands; -1: nowhere
    rms: bool  # normalized adaptive steps by the root mean square
    by_error: bool  # and in units of the label
    penalised: int  # which state is q; -1: none
    l1: float
    l2: float
    beta: float
    mu: float
    rho: float
    beta1: float
    beta2: float
    epsilon: float
    decay: float
    clip_value: float
    clip_norm: float
    schedule: Schedule


STEPS, DECAYED, NORM, WEIGHT = 0, 1, 2, 3
ERRORS = DECAYED
"""In the clock: steps taken; Σ log(1 - α λ), or squared errors; N and t of models.optimizers.normalized."""


@helper
def rate_of(o: Optimizer, step: int) -> float:
    """The rate of the step-th step of an optimizer with a clock."""
    return o.schedule.rate if o.constant else rate_at(o.schedule, step - 1.0)


@part
def moved_by_momentum(o: Optimizer, w: float, m: float, since: int, now: int) -> float:
    """The param after the steps since + 1 … now with gradient zero."""
    scale = o.mu if o.code == NESTEROV else 1.0
    for s in range(since + 1, min(now, since + o.memory) + 1):
        m *= o.mu
        w -= rate_of(o, s) * (scale * m)
    return w


@part
def moved_by_adam(
    o: Optimizer, w: float, m: float, v: float, since: int, now: int, decayed: float, decayed_now: float
) -> float:
    """The param after the steps since + 1 … now with gradient zero.

    `decayed`, `decayed_now`: the clock's DECAYED after these two steps, where rates are not constant.
    """
    decay = o.decay if o.code == ADAMW else 0.0
    last = since
    if m != 0.0:
        last = min(now, since + o.memory)
        kept1, kept2 = power(o.beta1, float(since)), power(o.beta2, float(since))
        for s in range(since + 1, last + 1):
            m *= o.beta1
            v *= o.beta2
            kept1 *= o.beta1
            kept2 *= o.beta2
            change = (m / (1.0 - kept1)) / (math.sqrt(v / (1.0 - kept2)) + o.epsilon)
            w -= rate_of(o, s) * (change + decay * w)
    if decay > 0.0 and last < now and w != 0.0:
        if o.constant:
            w *= power(1.0 - o.schedule.rate * decay, float(now - last))
        else:
            behind = 0.0
            for s in range(since + 1, last + 1):
                behind += log(1.0 - rate_of(o, s) * decay)
            w *= exp((decayed_now - decayed) - behind)
    return w


@part
def param_now(o: Optimizer, S: Float64, states: Int64, j: int, p: int) -> float:
    """The param at S[p] as it is after all steps so far; its i-th number stands at S[states[i] + j]."""
    w: float = S[p]
    now = int(S[o.clock + STEPS])
    if o.code == MOMENTUM or o.code == NESTEROV:
        m, since = S[states[0] + j], int(S[states[1] + j])
        return w if m == 0.0 or since >= now else moved_by_momentum(o, w, m, since, now)
    since = int(S[states[2] + j])
    if since >= now:
        return w
    decayed = 0.0 if o.constant or o.code != ADAMW else S[states[3] + j]
    m, v = S[states[0] + j], S[states[1] + j]
    return moved_by_adam(o, w, m, v, since, now, decayed, S[o.clock + DECAYED])


@part
def catch_up(
    o: Optimizer, w: Float64, state: Float64, room: int, start: int, stop: int, now: int, decayed_now: float
) -> None:
    """Bring the gathered params start … stop - 1 and their states to step `now`."""
    code = o.code
    if code in (ADAM, ADAMW):
        for j in range(start, stop):
            since, m, v = int(state[2 * room + j]), state[j], state[room + j]
            if since < now:
                decayed = 0.0 if o.constant or code != ADAMW else state[3 * room + j]
                w[j] = moved_by_adam(o, w[j], m, v, since, now, decayed, decayed_now)
                missed = now - since
                state[j] = m * power(o.beta1, float(missed)) if missed < o.memory else 0.0
                state[room + j] = v * power(o.beta2, float(missed))
    elif code in (MOMENTUM, NESTEROV):
        for j in range(start, stop):
            since, m = int(state[room + j]), state[j]
            if since < now and m != 0.0:
                w[j] = moved_by_momentum(o, w[j], m, since, now)
                missed = now - since
                state[j] = m * power(o.mu, float(missed)) if missed < o.memory else 0.0
    elif code == RMSPROP:
        for j in range(start, stop):
            since = int(state[room + j])
            if since < now and state[j] != 0.0:
                state[j] *= power(o.rho, float(now - since))
