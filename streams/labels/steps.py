"""The rows of one join, collected in any order and then put into that in which the model sees them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.kernels.fold import GIVEN, SERVE
from models.rows import Float64, Int64
from streams.labels.codec import OWN, WAITS, Events

_DTYPES = {
    "place": np.int64,
    "source": np.int64,
    "event": np.int8,
    "label": np.float64,
    "factor": np.float64,
    "time": np.int64,
}


@dataclass(slots=True)
class Arranged:
    """n rows in order; `source`, `origin` as in Steps and Model.join. `row_of`: of each predicted sample."""

    ids: list[str]
    source: Int64
    origin: Int64
    event: Events
    label: Float64
    factor: Float64
    time: Int64
    row_of: Int64


class Steps:
    """Rows with their places: lower ones are earlier.

    source: a sample's position in its batch, or, from `samples` on, that of a row that waited.
    """

    def __init__(self, samples: int) -> None:
        self._samples = samples
        self._single: dict[str, list[Any]] = {name: [] for name in _DTYPES}
        self._many: dict[str, list[npt.NDArray[Any]]] = {name: [] for name in _DTYPES}
        self._single_ids: list[str] = []
        self._ids: list[str] = []

    def add(
        self,
        place: int,
        source: int,
        event: int,
        id_: str,
        label: float = np.nan,
        factor: float = 1.0,
        time: int = 0,
    ) -> None:
        """One more row."""
        for name, value in zip(_DTYPES, (place, source, event, label, factor, time), strict=True):
            self._single[name].append(value)
        self._single_ids.append(id_)

    def add_all(
        self,
        ids: Sequence[str],
        place: Int64,
        source: Int64,
        event: int,
        label: Float64 | float = np.nan,
        factor: Float64 | float = 1.0,
        time: Int64 | int = 0,
    ) -> None:
        """n more rows of one event; a number counts for all of them."""
        for name, value in zip(_DTYPES, (place, source, event, label, factor, time), strict=True):
            self._many[name].append(np.broadcast_to(np.asarray(value, dtype=_DTYPES[name]), len(ids)))
        self._ids += ids

    def arranged(self) -> Arranged:
        """All rows, in the order of their places."""
        columns: dict[str, Any] = {
            name: np.concatenate([*self._many[name], np.array(self._single[name], dtype=dtype)])
            for name, dtype in _DTYPES.items()
        }
        order = np.argsort(columns["place"], kind="stable")
        ids = self._ids + self._single_ids
        _, source, event, label, factor, time = (column[order] for column in columns.values())
        predicted = (event == WAITS) | (event == OWN)
        row_of = np.full(self._samples, -1, dtype=np.int64)
        row_of[source[predicted]] = np.flatnonzero(predicted)
        origin = np.full(len(source), GIVEN, dtype=np.int64)
        here = source < self._samples
        origin[here] = row_of[source[here]]
        origin[predicted] = SERVE
        return Arranged(
            [ids[at] for at in order.tolist()], source, origin, event, label, factor, time, row_of
        )
