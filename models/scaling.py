"""Online scaling of the numeric columns.

Mean and population variance by Welford (Technometrics 1962), unweighted, per column:

    n ← n + 1,   δ = x - mean,   mean ← mean + δ / n,   m2 ← m2 + δ (x - mean),   variance = m2 / n

"standard": z = (x - mean) / √variance, 0 where the variance is 0 or x is missing (the running mean).
"none": z = x, the running mean where x is missing. A missing value leaves the scaler as it was.
A scaler is 3 d floats: n, mean and m2 of each column.
"""

from __future__ import annotations

import math

from models.kernels.jit import helper
from models.kernels.plan import UInt8
from models.rows import Float64, Int64

LIMIT = 1e150
"""Numbers beyond are taken as exploding: their squares would soon leave the range of a double."""


@helper
def take_in(old: Float64, at: int, numeric: Float64, row: int, d: int, new: Float64) -> bool:
    """Write into `new` the scaler old[at : at + 3 d] after it has seen numeric[row : row + d].

    False if a number is not finite or explodes.
    """
    bad = 0
    for c in range(d):
        x = numeric[row + c]
        n, mean, m2 = old[at + c], old[at + d + c], old[at + 2 * d + c]
        seen = x == x  # selected afterwards, not branched on, so that columns can be worked on side by side
        delta = x - mean
        moved = mean + delta / (n + 1.0)
        grown = m2 + delta * (x - moved)
        new[c] = n + 1.0 if seen else n
        new[d + c] = moved if seen else mean
        new[2 * d + c] = grown if seen else m2
        bad += 1 if seen and not (abs(moved) <= LIMIT and grown <= LIMIT) else 0
    return bad == 0


@helper
def scale(
    scaler: Float64, at: int, numeric: Float64, row: int, d: int, standard: UInt8, out: Float64, to: int
) -> None:
    """Write the scaled columns of numeric[row : row + d] to out[to : to + d]."""
    for c in range(d):
        x = numeric[row + c]
        mean = scaler[at + d + c]
        if standard[c] == 1:
            variance = scaler[at + 2 * d + c] / scaler[at + c]  # NaN, so not above 0, before the first value
            z = (x - mean) / math.sqrt(variance)
            out[to + c] = z if variance > 0.0 and x == x else 0.0
        else:
            out[to + c] = x if x == x else mean


@helper
def multiply(pairs: Int64, d: int, out: Float64, to: int) -> None:
    """Append the products of pairs of scaled columns: out[to + d + j] = z_a z_b."""
    for j in range(pairs.size // 2):
        out[to + d + j] = out[to + pairs[2 * j]] * out[to + pairs[2 * j + 1]]
