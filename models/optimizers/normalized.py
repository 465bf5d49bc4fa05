"""Normalized adaptive steps: no rate to tune, no feature to scale.

For each feature x_i of a sample, in this order (Ross, Mineiro & Langford, Normalized Online Learning, UAI
2013; h is the sample's weight, r = ∂J/∂p):

    s_i ← the size of x_i so far, by `norm`
    p = Σ θ_i x_i,    N ← N + h Σ x_i² / s_i²,  t ← t + h
    G_i ← G_i + h r² x_i²
    θ_i ← θ_i - η ρ √(t / N) r h x_i / (s_i √G_i)

    max   if |x_i| > s_i:  θ_i ← θ_i s_i / |x_i|,  s_i ← |x_i|     their NAG, algorithm 3: the largest value
    rms   if |x_i| > 10 s_i:  x_i is taken as ±10 s_i, and θ_i ← θ_i s_i before / s_i after
          c_i ← c_i + 1,  s_i² ← s_i² + (x_i² - s_i²) / c_i         the root mean square of the values that
                                                                    were there: no outlier stops a feature
                                                                    from learning, or a model from predicting

ρ is 1, but with "rms" and a loss in units of the label (squared, absolute, huber, quantile): there it is the
root mean square of p - y so far, so that labels need no scaling either.

Where all |x_i| are 1, as those of categories are, both are the same. A prediction takes x_i as the step does:
at most 10 s_i, or s_i with "max", once anything was seen. Gradients of batches, windows and several classes
take x_i as it is.

With one output and steps on single samples the last line is taken importance-aware
(optimizers/importance.py): the step moves the score by Q = ρ √(t / N) Σ x_i² / (s_i √G_i), and the importance
is η h. Otherwise (several classes; batches and windows) the last two lines are taken as they stand, over the
sample's or the mean gradient g: G_i ← G_i + g_i², and g_i for r h x_i. η is 2 by default, 1 with several
classes. With "max" and η = 0.5 that is what Vowpal Wabbit does by default, but that it predicts before it
rescales.
"""

from __future__ import annotations

import math

from models.kernels.jit import helper, part
from models.losses import Loss, derivative
from models.optimizers.catch_up import ERRORS, NORM, WEIGHT, Optimizer
from models.optimizers.importance import importance_step
from models.rows import Float64

FAR = 10.0
"""Values are taken as at most so many times their root mean square."""
ROUGHLY_ZERO = 1e-150
"""Values below are taken as no feature: their squares would be denormal."""


@helper
def meet(o: Optimizer, x: float, outputs: int, w: Float64, state: Float64, room: int, at: int) -> float:
    """Take the value x of the coordinate whose params are w[at : at + outputs] into s; (x / s)²."""
    size = abs(x)
    if size < ROUGHLY_ZERO:
        return 0.0
    if o.rms:
        before: float = state[room + at]
        near, count = within(x, before), state[2 * room + at] + 1.0
        square = before + (near * near - before) / count
        for k in range(outputs):
            if near != x:
                w[at + k] *= math.sqrt(before / square)
            state[room + at + k] = square
            state[2 * room + at + k] = count
        share: float = near * near / square
        return share
    largest: float = state[room + at]
    if size > largest:
        for k in range(outputs):
            w[at + k] *= largest / size
            state[room + at + k] = size
        return 1.0
    ratio = size / largest
    return ratio * ratio


@helper
def spread(o: Optimizer, state: Float64, room: int, j: int) -> float:
    """s √G of param j."""
    s: float = math.sqrt(state[room + j]) if o.rms else state[room + j]
    return s * math.sqrt(state[j])


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
def normalized_sample(
    o: Optimizer, loss: Loss, x: Float64, w: Float64, state: Float64, room: int, size: int,
    label: float, weight: float, rate: float, clock: Float64,
) -> float:  # fmt: skip
    """One importance-aware step with one output; the raw score p, NaN for the caller to refuse.

    x (size,) is the sample in compact positions, zero where it has none; it is left as it was taken.
    """
    norm, p = 0.0, 0.0
    for j in range(size):
        near = within(x[j], state[room + j]) if o.rms else x[j]
        norm += meet(o, x[j], 1, w, state, room, j)
        x[j] = near
        p += w[j] * near
    clock[NORM] += weight * norm
    clock[WEIGHT] += weight
    take_error(o, p, label, weight, clock)
    slope = derivative(loss, p, label)
    squared = weight * slope * slope
    q = 0.0
    for j in range(size):
        total = state[j] + squared * (x[j] * x[j])
        state[j] = total
        if total > 0.0 and abs(x[j]) >= ROUGHLY_ZERO:
            q += x[j] * x[j] / spread(o, state, room, j)
    scale = multiplier(o, clock)
    s = importance_step(loss, p, label, rate * weight, scale * q) * scale
    for j in range(size):
        if state[j] > 0.0 and abs(x[j]) >= ROUGHLY_ZERO:
            w[j] -= s * x[j] / spread(o, state, room, j)
    return p


@part
def normalized_step(
    o: Optimizer, w: Float64, state: Float64, room: int, g: Float64, size: int, rate: float, clock: Float64
) -> None:
    """One plain step over a gradient g, after `meet` of all features."""
    scale = rate * multiplier(o, clock)
    for j in range(size):
        total = state[j] + g[j] * g[j]
        state[j] = total
        if total > 0.0 and state[room + j] > 0.0:
            w[j] -= scale * g[j] / spread(o, state, room, j)
