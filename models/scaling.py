"""Online scaling of the numeric columns.

"standard" and "none" keep mean and population variance by Welford (Technometrics 1962), unweighted:

    n ← n + 1,   δ = x - mean,   mean ← mean + δ / n,   m2 ← m2 + δ (x - mean),   variance = m2 / n

"min-max" keeps the smallest and the largest value seen: n, low, high.

    standard   z = (x - mean) / √variance      0 where the variance is 0 or x is missing (the running mean)
    min-max    z = (x - low) / (high - low)    0 where high = low or x is missing (the smallest value seen)
    none       z = x                           the running mean where x is missing

A missing value leaves the scaler as it was. A prediction comes before its x is taken in, so min-max may give
it less than 0 or more than 1. A scaler is 3 d floats: n, mean and m2 (or n, low and high) of each column.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from models.kernels.jit import helper, unsigned
from models.rows import Float64, Int64

Codes = npt.NDArray[np.uint8]

LIMIT = 1e150
"""Numbers beyond are taken as exploding: their squares would soon leave the range of a double."""

NONE, STANDARD, MIN_MAX = 0, 1, 2
SCALINGS = {"none": NONE, "standard": STANDARD, "min-max": MIN_MAX}


@helper
def take_in(old: Float64, at: int, numeric: Float64, row: int, d: int, scalings: Codes, new: Float64) -> bool:
    """Write into `new` the scaler old[at : at + 3 d] after it has seen numeric[row : row + d].

    scalings: (d,) the code of each column. False if a number is not finite or explodes.
    """
    extremes = 0
    for c in range(d):
        extremes += scalings[c] == MIN_MAX
    if extremes == 0:
        return _take_in_moments(old, at, numeric, row, d, new)
    bad = 0
    for c in range(d):
        x = numeric[unsigned(row + c)]
        n, second, third = old[unsigned(at + c)], old[unsigned(at + d + c)], old[unsigned(at + 2 * d + c)]
        seen = x == x  # selected afterwards, not branched on, so that columns can be worked on side by side
        first = n == 0.0
        delta = x - second
        moved = second + delta / (n + 1.0)
        grown = third + delta * (x - moved)
        low = x if first or x < second else second
        high = x if first or x > third else third
        a, b = (low, high) if scalings[c] == MIN_MAX else (moved, grown)
        new[unsigned(c)] = n + 1.0 if seen else n
        new[unsigned(d + c)] = a if seen else second
        new[unsigned(2 * d + c)] = b if seen else third
        bad += 1 if seen and not (abs(a) <= LIMIT and b <= LIMIT) else 0
    return bad == 0


@helper
def _take_in_moments(old: Float64, at: int, numeric: Float64, row: int, d: int, new: Float64) -> bool:
    """As `take_in`, where no column is min-max: without branches."""
    bad = 0
    for c in range(d):
        x = numeric[unsigned(row + c)]
        n, mean, m2 = old[unsigned(at + c)], old[unsigned(at + d + c)], old[unsigned(at + 2 * d + c)]
        seen = x == x
        delta = x - mean
        moved = mean + delta / (n + 1.0)
        grown = m2 + delta * (x - moved)
        new[unsigned(c)] = n + 1.0 if seen else n
        new[unsigned(d + c)] = moved if seen else mean
        new[unsigned(2 * d + c)] = grown if seen else m2
        fine = (abs(moved) <= LIMIT) & (grown <= LIMIT)
        bad += seen & (not fine)
    return bad == 0


@helper
def scale(
    scaler: Float64, at: int, numeric: Float64, row: int, d: int, scalings: Codes, out: Float64, to: int
) -> None:
    """Write the scaled columns of numeric[row : row + d] to out[to : to + d]."""
    others = 0
    for c in range(d):
        others += scalings[c] != STANDARD
    if others == 0:
        _standardise(scaler, at, numeric, row, d, out, to)
        return
    for c in range(d):
        x = numeric[row + c]
        second, third = scaler[at + d + c], scaler[at + 2 * d + c]
        if scalings[c] == STANDARD:
            variance = third / scaler[at + c]  # NaN, so not above 0, before the first value
            z = (x - second) / math.sqrt(variance)
            out[to + c] = z if variance > 0.0 and x == x else 0.0
        elif scalings[c] == MIN_MAX:
            z = (x - second) / (third - second)
            out[to + c] = z if third > second and x == x else 0.0
        else:
            out[to + c] = x if x == x else second


@helper
def _standardise(scaler: Float64, at: int, numeric: Float64, row: int, d: int, out: Float64, to: int) -> None:
    """As `scale`, of standard columns alone: without branches, so that they are worked on side by side."""
    for c in range(d):
        x = numeric[unsigned(row + c)]
        variance = scaler[unsigned(at + 2 * d + c)] / scaler[unsigned(at + c)]
        z = (x - scaler[unsigned(at + d + c)]) / math.sqrt(variance)
        out[unsigned(to + c)] = z if variance > 0.0 and x == x else 0.0


@helper
def multiply(pairs: Int64, d: int, out: Float64, to: int) -> None:
    """Append the products of pairs of scaled columns: out[to + d + j] = z_a z_b."""
    for j in range(pairs.size // 2):
        out[to + d + j] = out[to + pairs[2 * j]] * out[to + pairs[2 * j + 1]]
