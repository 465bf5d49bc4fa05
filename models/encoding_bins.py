"""Numbers as categories: the bin that a number falls into.

Edges e_1 < … < e_k make the bins (-inf,e_1), [e_1,e_2) … [e_k,inf): an edge belongs to the bin above it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from models.encoding_names import category_text
from models.errors import SpecError
from models.rows import Float64
from models.spec import BinnedFeature


class Bins:
    """The bins of one feature; their texts are the values of a category: `age=[18,30)`."""

    def __init__(self, feature: BinnedFeature) -> None:
        self._edges = np.array(feature.edges, dtype=np.float64)
        increasing = bool(np.isfinite(self._edges).all() and (np.diff(self._edges) > 0.0).all())
        if not feature.edges or not increasing:
            raise SpecError(f"features.bins: {feature.name}: expected edges that increase")
        self.texts = bin_texts(feature.edges)

    def texts_of(self, numbers: Float64) -> list[str | None]:
        """The bin of each of n numbers, None where it is missing (NaN)."""
        places = np.searchsorted(self._edges, numbers, side="right")
        places[np.isnan(numbers)] = len(self.texts)
        known = [*self.texts, None]
        return [known[place] for place in places.tolist()]


def bin_texts(edges: Sequence[float]) -> list[str]:
    """`(-inf,18)`, `[18,30)`, `[30,inf)` for the edges 18 and 30."""
    texts = ["-inf", *map(category_text, edges), "inf"]
    return [f"{'[' if i else '('}{low},{high})" for i, (low, high) in enumerate(pairwise(texts))]
