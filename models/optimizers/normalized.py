"""Normalized adaptive steps: no rate to tune, no feature to scale.

For each feature x_i of a sample, in this order (Ross, Mineiro & Langford, Normalized Online Learning, UAI
2013; h is the sample's weight, r = ∂J/∂p):

    s_i ← the size of x_i so far, by `norm`
    p = Σ θ_i x_i,    N ← N + h Σ x_i² / s_i²,  t ← t + h
    G_i ← G_i + h r² x_i²
    θ_i ← θ_i - η √(t / N) r h x_i / (s_i √G_i)

    max   if |x_i| > s_i:  θ_i ← θ_i s_i / |x_i|,  s_i ← |x_i|     their NAG, algorithm 3: the largest value
    rms   c_i ← c_i + 1,  s_i² ← s_i² + (x_i² - s_i²) / c_i         the root mean square of the values that
                                                                    were there: one outlier does not stop a
                                                                    feature from learning
         if |x_i| > 10 s_i:  θ_i ← θ_i s_i / |x_i|,  s_i ← |x_i|,  c_i ← 1    instead: a scale of its own,
                                                                    or θ_i x_i and then all G would explode

Where all |x_i| are 1, as those of categories are, both are the same. A prediction takes x_i as the step would
rescale it: where θ_i would be, as ± s_i.

With one output and steps on single samples the last line is taken importance-aware
(optimizers/importance.py): the step moves the score by Q = √(t / N) Σ x_i² / (s_i √G_i), and the importance
is η h. Otherwise (several classes; batches and windows) the last two lines are taken as they stand, over the
sample's or the mean gradient g: G_i ← G_i + g_i², and g_i for r h x_i. η = 0.5 by default. With "max" that is
what Vowpal Wabbit does by default, but that it predicts before it rescales.
"""

from __future__ import annotations

import math

from models.kernels.jit import helper, part
from models.losses import Loss, derivative
from models.optimizers.catch_up import NORM, WEIGHT, Optimizer
from models.optimizers.importance import importance_step
from models.rows import Float64

FAR = 10.0
"""So many times the root mean square is another scale."""
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
        count = state[2 * room + at] + 1.0
        square = before + (x * x - before) / count
        if is_far(x, before):
            count, square = 1.0, x * x
            for k in range(outputs):
                w[at + k] *= math.sqrt(before) / size
        for k in range(outputs):
            state[room + at + k] = square
            state[2 * room + at + k] = count
        share: float = x * x / square
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
def is_far(x: float, square: float) -> bool:
    """Whether x is of another scale than the values of this mean square, 0 before the first."""
    return square > 0.0 and x * x > FAR * FAR * square


@helper
def bounded(o: Optimizer, x: float, size: float) -> float:
    """x as a prediction takes it, with `size` the state's s or s²: where θ would be rescaled, ± s."""
    if o.rms:
        if not is_far(x, size):
            return x
        s = math.sqrt(size)
    elif abs(x) <= size or size == 0.0:
        return x
    else:
        s = size
    return s if x > 0.0 else -s


@helper
def multiplier(clock: Float64) -> float:
    """√(t / N)."""
    return math.sqrt(clock[WEIGHT] / clock[NORM]) if clock[NORM] > 0.0 else 1.0


@part
def normalized_sample(
    o: Optimizer, loss: Loss, x: Float64, w: Float64, state: Float64, room: int, size: int,
    label: float, weight: float, rate: float, clock: Float64,
) -> float:  # fmt: skip
    """One importance-aware step with one output; the raw score p, NaN for the caller to refuse.

    x (size,) is the sample in compact positions, zero where it has none.
    """
    norm, p = 0.0, 0.0
    for j in range(size):
        norm += meet(o, x[j], 1, w, state, room, j)
        p += w[j] * x[j]
    clock[NORM] += weight * norm
    clock[WEIGHT] += weight
    slope = derivative(loss, p, label)
    squared = weight * slope * slope
    q = 0.0
    for j in range(size):
        total = state[j] + squared * (x[j] * x[j])
        state[j] = total
        if total > 0.0 and abs(x[j]) >= ROUGHLY_ZERO:
            q += x[j] * x[j] / spread(o, state, room, j)
    scale = multiplier(clock)
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
    scale = rate * multiplier(clock)
    for j in range(size):
        total = state[j] + g[j] * g[j]
        state[j] = total
        if total > 0.0 and state[room + j] > 0.0:
            w[j] -= scale * g[j] / spread(o, state, room, j)
