"""The year as it went: a sample when a flight leaves, its label when it lands, in the order of event time.

It leaves at the scheduled time plus dep_delay. It is at its gate again after its time in the air and 25
minutes of taxiing; then it is known whether it is late. What has no arrival time has no label, ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from models.rows import Float64, Int64
from streams.demo import flights
from streams.demo.config import LABELS, SAMPLES

TAXIING_MINUTES = 25
FEBRUARY = int(np.datetime64("2013-02-01T05:00", "ms").astype(np.int64))
"""When January ends in New York, ms since 1970."""
NEVER = int(np.iinfo(np.int64).max)
MINUTE = 60_000


class LabelMessage(msgspec.Struct, gc=False):
    """A label as any producer would write it. timestamp: RFC 3339."""

    id: str
    label: int
    timestamp: str


@dataclass(frozen=True, slots=True)
class Traffic:
    """n flights in the order in which they left.

    samples, outcomes (n,): the messages; no outcome of a flight that never landed. labels (n,): 1 late, 0
    not, NaN never known. departed, landed (n,): ms since 1970; landed is NEVER for some. order (n + m,): i
    where flight i leaves, ~i where it lands, by event time; what leaves at a minute comes before what lands
    then, as a worker takes them. scheduled: flights on the schedule, those that never left included.
    """

    scheduled: int
    ids: list[str]
    samples: list[bytes]
    outcomes: list[bytes | None]
    labels: Float64
    departed: Int64
    landed: Int64
    order: Int64

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def labelled(self) -> int:
        """How many land."""
        return len(self.order) - len(self)

    @property
    def after_january(self) -> npt.NDArray[np.bool_]:
        """(n,) whether the flight left in February or later."""
        return self.departed >= FEBRUARY

    @property
    def last_landing(self) -> int:
        """The flight that lands last."""
        return int(~self.order[self.order < 0][-1])

    def known_at(self, time: int) -> Float64:
        """(n,) the labels of what has landed by then, NaN for the others."""
        return np.where(self.landed <= time, self.labels, np.nan)

    def records(self) -> Iterator[tuple[str, bytes, bytes]]:
        """(topic, key, value) of everything in its order; samples and labels are keyed by the id."""
        keys = [id_.encode() for id_ in self.ids]
        for i in self.order.tolist():
            outcome = None if i >= 0 else self.outcomes[~i]
            if outcome is None:
                yield SAMPLES, keys[i], self.samples[i]
            else:
                yield LABELS, keys[~i], outcome


def load(limit: int | None = None) -> Traffic:
    """The first `limit` flights of the schedule, all if None; raises DemoError without the data."""
    scheduled, left = flights.read(limit)
    minutes = flights.scheduled_minutes(left) + left["dep_delay"].to_numpy()
    by_departure = np.argsort(minutes, kind="stable")
    left, minutes = left.take(by_departure), minutes[by_departure]
    ids, labels = flights.ids_of(left), flights.labels_of(left)
    in_the_air = left["air_time"].to_numpy().astype(np.float64)
    lands = np.isfinite(in_the_air) & np.isfinite(labels)
    arrivals = minutes + np.where(lands, in_the_air + TAXIING_MINUTES, 0).astype(np.int64)
    messages = map(flights.Message, ids, flights.features_of(left), flights.rfc3339(minutes))
    departed, landed = minutes * MINUTE, np.where(lands, arrivals * MINUTE, NEVER)
    return Traffic(
        scheduled=scheduled,
        ids=ids,
        samples=list(map(msgspec.json.Encoder().encode, messages)),
        outcomes=_outcomes(ids, labels, flights.rfc3339(arrivals), lands),
        labels=np.where(lands, labels, np.nan),
        departed=departed,
        landed=landed,
        order=event_order(departed, landed),
    )


def event_order(departed: Int64, landed: Int64) -> Int64:
    """(n + m,) i where flight i leaves, ~i where it lands; at the same time departures come first."""
    lands = np.flatnonzero(landed != NEVER)
    times = np.concatenate([departed, landed[lands]])
    return np.concatenate([np.arange(len(departed)), ~lands])[np.argsort(times, kind="stable")]


def _outcomes(
    ids: list[str], labels: Float64, times: list[str], lands: npt.NDArray[np.bool_]
) -> list[bytes | None]:
    encode: Any = msgspec.json.Encoder().encode
    return [
        encode(LabelMessage(id_, int(label), time)) if known else None
        for id_, label, time, known in zip(ids, labels.tolist(), times, lands.tolist(), strict=True)
    ]
