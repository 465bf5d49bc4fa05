"""What the stream's predictions are compared with.

The running base rate: each flight gets the share of late ones among those before it. The frozen model: the
same learner on the same bytes, which learns in January as the live one does and never again.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from models.model import Model
from models.rows import Float64, Rows
from models.spec import ModelSpec
from streams.demo.flights import Flights
from streams.ingest import Ingest


class _Record(NamedTuple):
    """A Kafka record, as far as ingest looks at it."""

    offset: int
    timestamp: int
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


def base_rate(labels: Float64) -> Float64:
    """(n,) (late + ½) / (known + 1) over the flights before each; labels (n,) with NaN for unknown."""
    known = np.isfinite(labels)
    late = np.where(known, labels, 0.0)
    known_before = np.cumsum(known) - known
    late_before = np.cumsum(late) - late
    return (late_before + 0.5) / (known_before + 1.0)


def encoded(spec: ModelSpec, flights: Flights) -> Rows:
    """The flights as the worker encodes them, from the same bytes."""
    pairs = zip(flights.keys, flights.values, strict=True)
    records = [_Record(offset, 0, key, value) for offset, (key, value) in enumerate(pairs)]
    rows = Ingest("frozen", spec).decode("flights", 0, records).rows
    if len(rows) != len(flights):
        raise AssertionError(f"{len(flights) - len(rows)} of the demo's own flights are no valid samples")
    return rows


def frozen_after_january(spec: ModelSpec, flights: Flights) -> Float64:
    """(n,) probabilities of a model that learns from the flights of January alone."""
    rows = encoded(spec, flights)
    january = int(np.searchsorted(flights.after_january, True))
    model = Model(spec)
    learned = model.predict_and_learn(rows.slice(0, january))
    rest = model.predict(rows.slice(january, len(rows)))
    return np.concatenate([learned.served[:, 0], rest[:, 0]])
