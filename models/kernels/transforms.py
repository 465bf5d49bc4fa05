"""What is done to numbers before they are rows: compiled, so that every machine makes the same bits of them.

log   sign(x) log(1 + |x|); for a small |x|, where 1 + |x| rounds, with Kahan's correction
      log(1 + a) = log(u) a / (u - 1), u = fl(1 + a)   (HP-15C Advanced Functions Handbook, 1982)
wave  sin and cos of 2π t; quarters of a turn are taken off exactly first, so that wave(1/4) = (1, 0)
"""

from __future__ import annotations

import math

from models.kernels.elementary import cos, log, sin
from models.kernels.jit import entry_point, helper
from models.rows import Float64, Int64


@helper
def signed_log(x: float) -> float:
    """sign(x) log(1 + |x|), to 3 ulp; NaN of NaN."""
    size = abs(x)
    u = 1.0 + size
    if u == 1.0:
        return x
    y = log(u) * (size / (u - 1.0))
    return y if x > 0.0 else -y


@helper
def wave(t: float) -> tuple[float, float]:
    """sin and cos of 2π t for 0 ≤ t ≤ 1, to 1e-15."""
    quarter = int(4.0 * t + 0.5)
    r = 2.0 * math.pi * (t - 0.25 * quarter)  # the difference is exact
    s, c = sin(r), cos(r)
    if quarter & 1:
        s, c = c, -s
    return (-s, -c) if quarter & 2 else (s, c)


@entry_point()
def take_logs(numeric: Float64, columns: Int64) -> None:
    """Replace the given columns of an (n, d) array by their signed logarithms."""
    for i in range(numeric.shape[0]):
        for j in range(columns.size):
            numeric[i, columns[j]] = signed_log(numeric[i, columns[j]])


@entry_point()
def write_waves(turns: Float64, numeric: Float64, column: int) -> None:
    """Write sin and cos of (n,) turns to two neighbouring columns of an (n, d) array."""
    for i in range(turns.size):
        numeric[i, column], numeric[i, column + 1] = wave(turns[i])
