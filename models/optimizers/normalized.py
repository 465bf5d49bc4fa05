"""Normalized adaptive steps: no rate to tune, no feature to scale.

For each feature x_i of a sample, in this order (Ross, Mineiro & Langford, Normalized Online Learning, UAI
2013; h is the sample's weight, r = ∂J/∂p):

    s_i ← the size of x_i so far, by `norm`
    p = Σ θ_i x_i,    N ← N + h Σ x_i² / s_i²,  t ← t + h
    G_i ← G_i + h r² x_i²
    θ_i ← θ_i - η ρ √(t / N) r h x_i / (s_i √(G_i + s_i² D))

    max   if |x_i| > s_i:  θ_i ← θ_i s_i / |x_i|,  s_i ← |x_i|     their NAG, algorithm 3: the largest value
    rms   if |x_i| > 40 s_i:  x_i is taken as ±40 s_i, and θ_i ← θ_i s_i before / s_i after
          c_i ← c_i + 1,  s_i² ← s_i² + (x_i² - s_i²) / c_i         the root mean square of the values that
                                                                    were there: no outlier stops a feature
                                                                    from learning, or a model from predicting

D is 0 with "max", as in the paper: each feature's first steps are as long as they can be, whatever its first
samples say. With "rms" it is 50 G_0 / t, G_0 the intercept's: as if each feature had been in 50 samples
before, with gradients as long as those of all samples are on average. What is seldom there moves little.

ρ is 1, but with "rms" and a loss in units of the label (squared, absolute, huber, quantile): there it is the
root mean square of p - y so far, so that labels need no scaling either.

A prediction takes x_i as the step does: at most 40 s_i, or s_i with "max", once anything was seen. Gradients
of batches, windows and several classes take x_i as it is.

With one output and steps on single samples the last line is taken importance-aware
(optimizers/importance.py): the step moves the score by Q = ρ √(t / N) Σ x_i² / (s_i √(G_i + s_i² D)), and
the importance is η h. Otherwise (several classes; batches and windows) the last two lines are taken as they
stand, over the sample's or the mean gradient g: G_i ← G_i + g_i², and g_i for r h x_i. η is 1.5 by default, 3
in units of the label. With "max" and η = 0.5 that is what Vowpal Wabbit does by default, but that it predicts
before it rescales.
"""

from __future__ import annotations

import math

from models.kernels.jit import helper, part
from models.optimizers.catch_up import ERRORS, NORM, WEIGHT, Optimizer
from models.rows import Float64

FAR = 40.0
"""Values are taken as at most so many times their root mean square."""
PRIOR = 50.0
"""Samples that a feature counts as having been in before it was in any."""
ROUGHLY_ZERO = 1e-150
"""Values below are taken as no feature: their squares would be denormal."""


@helper
def meet(
    o: Optimizer, x: float, outputs: int, w: Float64, at: int, state: Float64, sizes: int, counts: int
) -> float:
    """Take the value x of the coordinate whose params are w[at : at + outputs] into s; (x / s)².

    Its s (with "rms" s²) stand at state[sizes] and on, and with "rms" its c at state[counts] and on.
    """
    size = abs(x)
    if size < ROUGHLY_ZERO:
        return 0.0
    if o.rms:
        before: float = state[sizes]
        near, count = within(x, before), state[counts] + 1.0
        square, share = before, 1.0
        if near * near != before:  # a category's values are all 1
            square = before + (near * near - before) / count
            share = near * near / square
        for k in range(outputs):
            if near != x:
                w[at + k] *= math.sqrt(before / square)
            state[sizes + k] = square
            state[counts + k] = count
        return share
    largest: float = state[sizes]
    if size > largest:
        for k in range(outputs):
            w[at + k] *= largest / size
            state[sizes + k] = size
        return 1.0
    ratio = size / largest
    return ratio * ratio


@helper
def prior(o: Optimizer, G: float, clock: Float64) -> float:
    """D, where G is that of the intercept."""
    return PRIOR * (G / clock[WEIGHT]) if o.rms else 0.0


@helper
def spread(o: Optimizer, G: float, size: float, prior: float) -> float:
    """s √(G + s² D); `size` is s, with "rms" s²."""
    if o.rms:
        s = 1.0 if size == 1.0 else math.sqrt(size)  # as of categories: no root
        return s * math.sqrt(G + size * prior)
    return size * math.sqrt(G)


@helper
def near(o: Optimizer, x: float, size: float) -> float:
    """x as a step takes it, with `size` the state's s or s² before it."""
    return within(x, size) if o.rms else x


@helper
def within(x: float, square: float) -> float:
    """x as it is taken where values of this mean square were seen, 0 before the first."""
    if square == 0.0 or x * x <= FAR * FAR * square:
        return x
    most = FAR * math.sqrt(square)
    return most if x > 0.0 else -most


@helper
def bounded(o: Optimizer, x: float, size: float) -> float:
    """x as a prediction takes it, with `size` the state's s or s²."""
    if o.rms:
        return within(x, size)
    if abs(x) <= size or size == 0.0:
        return x
    return size if x > 0.0 else -size


@helper
def take_error(o: Optimizer, p: float, label: float, weight: float, clock: Float64) -> None:
    """Take the error of a raw score in units of the label into ρ."""
    if o.by_error:
        clock[ERRORS] += weight * ((p - label) * (p - label))


@helper
def multiplier(o: Optimizer, clock: Float64) -> float:
    """ρ √(t / N)."""
    if not clock[NORM] > 0.0:
        return 1.0
    return math.sqrt((clock[ERRORS] if o.by_error else clock[WEIGHT]) / clock[NORM])


@part
def normalized_step(
    o: Optimizer, intercept: int, outputs: int, w: Float64, state: Float64, room: int, g: Float64, size: int,
    rate: float, clock: Float64,
) -> None:  # fmt: skip
    """One plain step over a gradient g, after `meet` of all features; the intercept's params come in it."""
    scale = rate * multiplier(o, clock)
    for k in range(outputs):
        own = g[intercept + k]
        shared = prior(o, state[intercept + k] + own * own, clock)
        for j in range(k, size, outputs):
            total = state[j] + g[j] * g[j]
            state[j] = total
            if total > 0.0 and state[room + j] > 0.0:
                w[j] -= scale * g[j] / spread(o, total, state[room + j], shared)
