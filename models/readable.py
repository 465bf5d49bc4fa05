"""What people read of a model: weights under names, and what features with a memory hold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from models.layout import Layout
from models.rows import Float64
from models.spec import ModelSpec, class_text


class Weight(NamedTuple):
    """One weight. `scaling` is that of a scaled column, on whose scale the weight stands.

    It has "mean" and "std" of a standardised column, "min" and "max" of a min-max scaled one, else nothing.
    """

    name: str
    value: float
    scaling: dict[str, float]


class Wanted:
    """Weights that have a name: those of dense features, of the intercept, of the hashed ones in `names`.

    names: full hash → name; hashed coordinates without one are left out, those that collide share a value.
    `coordinates` are theirs in the table; a network's params have no names.
    """

    def __init__(self, spec: ModelSpec, layout: Layout, names: Mapping[int, str]) -> None:
        self._spec, self._layout = spec, layout
        self.features: list[str] = []
        self.coordinates = np.zeros(0, dtype=np.int64)
        if layout.shape.sizes:
            return
        hashes = np.fromiter(names, np.int64, len(names)) if layout.hashed else np.zeros(0, np.int64)
        always = layout.shape.always
        hashed = always + (hashes & (layout.hashed - 1))
        self.coordinates = np.concatenate([np.arange(always), hashed])
        self.features = [*spec.features.dense_columns(), *spec.features.product_names(), "intercept"]
        if layout.hashed:
            self.features += names.values()

    def weights(self, scaler: Float64, values: Float64, top: int | None) -> list[Weight]:
        """The `top` weights by |value| (all of them if None), ties in the order of the features.

        `scaler` is (3, d), `values` (len(coordinates), K). Several classes: `CLASS:name`.
        """
        values = values.reshape(-1)
        order = np.argsort(-np.abs(values), kind="stable")[:top]
        columns = _columns(self._spec, scaler)
        result = []
        for j in order:
            i, k = divmod(int(j), self._layout.outputs)
            scaling = columns[i] if i < self._layout.columns else {}
            prefix = f"{class_text(self._spec.classes[k])}:" if self._layout.outputs > 1 else ""
            result.append(Weight(prefix + self.features[i], float(values[j]), scaling))
        return result


def _columns(spec: ModelSpec, scaler: Float64) -> list[dict[str, float]]:
    """How each column is scaled, as in Weight."""
    result = []
    for scaling, column in zip(spec.features.scalings(), scaler.T.tolist(), strict=True):
        count, second, third = column
        if scaling == "standard":
            result.append({"mean": second, "std": (third / count) ** 0.5 if count > 0 else 0.0})
        else:
            result.append({"min": second, "max": third} if scaling == "min-max" else {})
    return result


LOOKED_AT = 1 << 20
"""Slots of a table that are looked at; of a larger one every 2nd, 4th …, and the result is an estimate."""


def read_memory(spec: ModelSpec, layout: Layout, S: Float64) -> dict[str, dict[str, Any]]:
    """Of a bounded vocabulary ("vocabulary") how many hashed coordinates are known, still waiting, and
    expired by the latest event time; of an encoded feature ("dest#target") how many slots are used.
    "slots": of how many.
    """
    found: dict[str, dict[str, Any]] = {}
    if spec.features.vocabulary is not None:
        counts, each = _slots(layout, S, "vocabulary")
        n, seen = counts[counts[:, 0] > 0.0].T
        expired = seen.max(initial=0.0) - seen > (spec.features.vocabulary.expire_after or math.inf)
        known = (n >= spec.features.vocabulary.min_count) & ~expired
        waiting = ~(known | expired)
        sums = {"known": known, "waiting": waiting, "expired": expired}
        found["vocabulary"] = {name: each * int(those.sum()) for name, those in sums.items()}
        found["vocabulary"]["slots"] = each * len(counts)
    for one in spec.features.encode:
        counts, each = _slots(layout, S, f"categories.{one.column}")
        found[one.column] = {"used": each * int((counts[:, 0] > 0.0).sum()), "slots": each * len(counts)}
    return found


def _slots(layout: Layout, S: Float64, name: str) -> tuple[Float64, int]:
    """Rows of a table, and for how many each stands."""
    table = layout.view(S, name)
    each = max(1, len(table) // LOOKED_AT)
    return table[::each], each
