"""Sums behind the prequential metrics: each labelled sample is judged by the prediction that was served.

Five sums stand at S[at : at + 5]; w is the sample's weight, e = ŷ - y:

    regression               Σw   Σ w|e|            Σ w e²        mean of y   m2 of y (West, CACM 1979)
    binary and multiclass    Σw   Σ w log loss      Σ w [right]   –           –

`recent` keeps the same sums and multiplies them by γ = 2^(-1/5000) before each labelled sample. Its
histograms would cost 20,000 products a sample; instead a sample weighs w · scale there, and scale grows by
1/γ. When it passes 2^256, all recent bins and scale itself are multiplied by 2^-256, which is exact.
"""

from __future__ import annotations

from models.kernels.elementary import log
from models.kernels.jit import entry_point, helper
from models.kernels.journal import put
from models.kernels.plan import Plan, UInt8
from models.layout import BINS, HIST_SCALE, RECENT, TOTAL
from models.losses import BINARY, REGRESSION
from models.rows import Float64
from models.scaling import LIMIT

HALF_LIFE = 5_000
DECAY = 0.9998613801725043  # 2^(-1/5000)
GROWTH = 1.0001386390456164  # 2^(1/5000)
SCALE_MAX = 1.157920892373162e77  # 2^256
SCALE_DOWN = 8.636168555094445e-78  # 2^-256
SCALE_LOST = 7.458340731200207e-155  # 2^-512: bins below are forgotten, so that none becomes a denormal
CLIP = 1e-15


@helper
def observe(
    S: Float64,
    dirty: UInt8,
    plan: Plan,
    served: Float64,
    at: int,
    label: float,
    w: float,
    journal: Float64,
    n: int,
    journaling: bool,
) -> int:
    """Take a served prediction and its label into the sums; the journal's new length.

    A prediction that is no number, explodes or is no probability is left out.
    """
    if plan.task == REGRESSION:
        _observe_number(S, served[at], label, w)
        return n
    for k in range(plan.outputs):
        if not 0.0 <= served[at + k] <= 1.0:
            return n
    if plan.task == BINARY:
        p = served[at]
        right = (p >= 0.5) == (label == 1.0)
        of_label = p if label == 1.0 else 1.0 - p
    else:
        best = 0
        for k in range(1, plan.outputs):
            if served[at + k] > served[at + best]:
                best = k
        right = best == int(label)
        of_label = served[at + int(label)]
    loss = -log(min(max(of_label, CLIP), 1.0 - CLIP))
    _add_sums(S, TOTAL, 1.0, w, w * loss, w if right else 0.0)
    _add_sums(S, RECENT, DECAY, w, w * loss, w if right else 0.0)
    if plan.task == BINARY:
        position = int(label) * BINS + min(int(served[at] * BINS), BINS - 1)
        return _add_to_histograms(S, dirty, plan, position, w, journal, n, journaling)
    return n


@helper
def _add_sums(S: Float64, at: int, decay: float, w: float, first: float, second: float) -> None:
    S[at] = S[at] * decay + w
    S[at + 1] = S[at + 1] * decay + first
    S[at + 2] = S[at + 2] * decay + second


@helper
def _observe_number(S: Float64, served: float, label: float, w: float) -> None:
    e = served - label
    if not (abs(e) <= LIMIT and w * e * e <= LIMIT and w * label * label <= LIMIT):
        return
    for recent in range(2):
        at = RECENT if recent else TOTAL
        decay = DECAY if recent else 1.0
        _add_sums(S, at, decay, w, w * abs(e), w * e * e)
        S[at + 4] *= decay
        if w > 0.0:
            delta = label - S[at + 3]
            S[at + 3] += delta * (w / S[at])
            S[at + 4] += w * delta * (label - S[at + 3])


@helper
def _add_to_histograms(
    S: Float64,
    dirty: UInt8,
    plan: Plan,
    position: int,
    w: float,
    journal: Float64,
    n: int,
    journaling: bool,
) -> int:
    scale = S[HIST_SCALE] * GROWTH
    recent = plan.recent_histograms
    if scale > SCALE_MAX:
        scale *= SCALE_DOWN
        for p in range(recent, recent + 2 * BINS):
            smaller = S[p] * SCALE_DOWN
            n = put(S, dirty, p, smaller if smaller > SCALE_LOST else 0.0, journal, n, journaling)
    S[HIST_SCALE] = scale
    if w > 0.0:
        p = plan.histograms + position
        n = put(S, dirty, p, S[p] + w, journal, n, journaling)
        p = recent + position
        n = put(S, dirty, p, S[p] + w * scale, journal, n, journaling)
    return n


@entry_point()
def area_under_curve(histograms: Float64, bins: int) -> float:
    """The ROC AUC of two histograms, [first class, second class] × bins; NaN if one class is missing.

    The share of pairs that are ranked rightly, pairs within one bin counting half (Mann & Whitney 1947).
    """
    below = 0.0
    pairs = 0.0
    positives = 0.0
    for b in range(bins):
        first, second = histograms[b], histograms[bins + b]
        pairs += second * (below + 0.5 * first)
        below += first
        positives += second
    return pairs / (below * positives)
