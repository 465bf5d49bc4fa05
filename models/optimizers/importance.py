"""Importance-aware steps: as if a sample of weight h were h / n samples of weight n → 0, learned one by one.

Each of them moves the raw score p by -Q ∂J/∂p, where Q is the score's change by a step of size 1 on the
sample, so p(h) solves

    dp/dh = -Q ∂J/∂p,    and the step is  s = (p(0) - p(h)) / Q,    θ_i ← θ_i - s · (∂p/∂θ_i · rate_i)

It never overshoots a label, however large h is (Karampatziakis & Langford, Online Importance Weight Aware
Updates, UAI 2011; table 1 has the closed forms of most losses, the others are derived the same way).
"""

from __future__ import annotations

from models.kernels.elementary import exp, log
from models.kernels.jit import helper, part
from models.losses import (
    COUNTING,
    HINGE,
    HUBER,
    LOG,
    POISSON,
    SQUARED,
    SQUARED_HINGE,
    Loss,
    derivative,
)

TINY = 1e-9
"""Below this h Q the score hardly moves, and the plain step h ∂J/∂p is the better number."""
_NEWTON = 60


@part
def importance_step(loss: Loss, p: float, label: float, h: float, q: float) -> float:
    """s for weight h > 0 (learning rate included) at raw score p, with Q = q ≥ 0."""
    slope = derivative(loss, p, label)
    code, move = loss.code, h * q
    if move < TINY or slope == 0.0 or code == COUNTING:
        return h * slope
    if code == LOG:
        return _log_step(p, 1.0 if label == 1.0 else -1.0, h, q, slope)
    if code == SQUARED:
        return (p - label) * shrink(move) / q
    if code == HINGE:
        return slope * min(h, (1.0 + slope * p) / q)
    if code == SQUARED_HINGE:
        return 0.5 * slope * shrink(2.0 * move) / q
    if code == POISSON:
        return _poisson_step(p, label, h, q)
    if code == HUBER:
        return _huber_step(loss.delta, p - label, h, q)
    # absolute and quantile: a constant slope until the label is reached
    return slope * h if abs(slope) * move < abs(p - label) else (p - label) / q


@helper
def shrink(u: float) -> float:
    """1 - e^-u for u ≥ 0."""
    if u < 1e-3:
        return u * (1.0 - u / 2.0 * (1.0 - u / 3.0 * (1.0 - u / 4.0 * (1.0 - u / 5.0))))
    return 1.0 - exp(-u)


@part
def _log_step(p: float, sign: float, h: float, q: float, slope: float) -> float:
    """With the margin m = sign · p:  m(h) + e^m(h) = m + e^m + h Q, by Newton's method.

    The left side is convex and rising, and the first guess lies above: so do all that follow, each nearer.
    """
    m = sign * p
    if m > 30.0:
        return h * slope  # e^m is so large that m(h) - m is the first term of its series
    goal = m + exp(m) + h * q
    t = log(goal) if goal > 1.0 else goal
    for _ in range(_NEWTON):
        e = exp(t)
        change = (goal - t - e) / (1.0 + e)
        t += change
        if abs(change) <= 1e-15 * max(1.0, abs(t)):
            break
    return sign * (m - t) / q


@part
def _poisson_step(p: float, label: float, h: float, q: float) -> float:
    """v = e^-p:  dv/dh = Q (1 - y v), so  p - p(h) = log(e^-u + e^p (1 - e^-u) / y)  with u = y h Q."""
    rate = exp(p)
    u = label * h * q
    grown = h * q if u < 1e-12 else shrink(u) / label
    return log(1.0 - shrink(u) + rate * grown) / q


@part
def _huber_step(delta: float, error: float, h: float, q: float) -> float:
    """At a constant speed δ Q until the error is δ, then as the squared loss."""
    size = abs(error)
    sign = 1.0 if error > 0.0 else -1.0
    if size <= delta:
        return error * shrink(h * q) / q
    until = (size - delta) / (delta * q)
    if h <= until:
        return sign * delta * h
    return sign * (size - delta + delta * shrink((h - until) * q)) / q
