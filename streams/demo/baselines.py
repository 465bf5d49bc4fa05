"""What the stream's predictions are compared with; labels come as late to these as to the stream.

The running base rate: each flight gets the share of late ones among those that landed before it leaves.
The frozen model: the same learner on the same bytes, which learns from what lands in January as the live one
does, and never again.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from models.kernels.fold import SERVE
from models.model import Model
from models.rows import Float64, Int64, Rows
from models.spec import ModelSpec
from streams.demo.traffic import FEBRUARY, Traffic
from streams.ingest import Ingest


class _Record(NamedTuple):
    """A Kafka record, as far as ingest looks at it."""

    offset: int
    timestamp: int
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


def base_rate(labels: Float64, departed: Int64, landed: Int64) -> Float64:
    """(n,) (late + ½) / (known + 1) over what has landed before each leaves; labels (n,) NaN if never."""
    known = np.flatnonzero(np.isfinite(labels))
    by_landing = known[np.argsort(landed[known], kind="stable")]
    late = np.concatenate([[0.0], np.cumsum(labels[by_landing])])
    count = np.searchsorted(landed[by_landing], departed, side="left")
    rates: Float64 = (late[count] + 0.5) / (count + 1.0)
    return rates


def encoded(spec: ModelSpec, samples: list[bytes]) -> Rows:
    """The flights as the worker encodes them, from the same bytes."""
    records = [_Record(offset, 0, b"", value) for offset, value in enumerate(samples)]
    rows = Ingest("frozen", spec).decode("flights", 0, records).rows
    if len(rows) != len(samples):
        raise AssertionError(f"{len(samples) - len(rows)} of the demo's own flights are no valid samples")
    return rows


def in_order(rows: Rows, labels: Float64, order: Int64) -> tuple[Rows, Int64]:
    """Rows as things went, and for Model.join the origin of each.

    order (e,): as of Traffic, every landing after its departure; its row is the flight's again, labelled.
    """
    lands = order < 0
    flight = np.where(lands, ~order, order)
    row_of_departure = np.empty(len(rows), dtype=np.int64)
    row_of_departure[flight[~lands]] = np.flatnonzero(~lands)
    went = rows.take(flight)
    went.labels = np.where(lands, labels[flight], np.nan)
    return went, np.where(lands, row_of_departure[flight], SERVE)


def frozen_after_january(spec: ModelSpec, traffic: Traffic) -> Float64:
    """(n,) probabilities of a model that learns from what has landed by the end of January alone."""
    rows = encoded(spec, traffic.samples)
    january = int(np.searchsorted(traffic.departed, FEBRUARY))
    by_then = january + int((traffic.landed < FEBRUARY).sum())
    order = traffic.order[:by_then]
    went, origin = in_order(rows, traffic.labels, order)
    model = Model(spec)
    learned = model.join(went, np.zeros((len(went), 1)), origin)
    rest = model.predict(rows.slice(january, len(rows)))
    return np.concatenate([learned.served[order >= 0, 0], rest[:, 0]])
