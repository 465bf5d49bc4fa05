"""The parts of an evaluation: the curve's points, and the merge of a topic's partitions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.spec import FeatureSpec, ModelSpec
from streams.evaluation.curve import FIRST_STRIDE, MOST, Curve, Point
from streams.evaluation.merge import EventTimes, merged
from streams.ingest import Ingest
from tests.streams.kafka_records import TIMESTAMP, kafka_records


def point(samples: int) -> Point:
    return Point(samples, samples, {})


def curve_of(total: int, cuts: Iterator[int]) -> list[Point]:
    curve, samples = Curve(), 0
    while samples < total:
        samples += min(next(cuts), total - samples, curve.until_next(samples))
        if curve.is_due(samples):
            curve.add(point(samples))
    return curve.ended(point(samples))


@given(st.integers(0, 60_000), st.lists(st.integers(1, 5_000), min_size=1, max_size=5))
def test_a_curve_does_not_depend_on_how_its_samples_arrived(total: int, sizes: list[int]) -> None:
    def turns() -> Iterator[int]:
        while True:
            yield from sizes

    points = curve_of(total, turns())
    assert points == curve_of(total, iter(lambda: 10**9, 0))
    assert len(points) <= MOST
    assert points[-1] == point(total)
    stride = points[0].samples
    assert [one.samples for one in points[:-1]] == [stride * (i + 1) for i in range(len(points) - 1)]
    if total >= FIRST_STRIDE * MOST:
        assert len(points) >= MOST // 2


class Timed:
    """A record of which only the time counts."""

    def __init__(self, partition: int, offset: int, time: int) -> None:
        self.partition, self.offset, self.time = partition, offset, time

    def __repr__(self) -> str:
        return f"{self.partition}@{self.offset} {self.time}"


Times = st.dictionaries(st.integers(0, 5), st.lists(st.integers(0, 20), max_size=12), max_size=4, min_size=1)


def merge(times: dict[int, list[int]]) -> list[Any]:
    partitions: Any = {
        p: iter([Timed(p, offset, time) for offset, time in enumerate(of)]) for p, of in times.items()
    }
    return list(merged(partitions, lambda record: record.time))  # type: ignore[attr-defined]


@given(Times)
def test_a_merge_keeps_the_order_of_every_partition_and_loses_nothing(times: dict[int, list[int]]) -> None:
    found = merge(times)
    for partition, of in times.items():
        assert [r.time for r in found if r.partition == partition] == of
    assert len(found) == sum(map(len, times.values()))
    back = dict(reversed(times.items()))
    assert list(map(repr, merge(back))) == list(map(repr, found))


@given(Times)
def test_partitions_in_order_become_one_recording_in_order(times: dict[int, list[int]]) -> None:
    found = merge({partition: sorted(of) for partition, of in times.items()})
    keys = [(record.time, record.partition, record.offset) for record in found]
    assert keys == sorted(keys)


@given(Times)
def test_of_the_next_records_the_earliest_goes_first(times: dict[int, list[int]]) -> None:
    nexts = {p: 0 for p, of in times.items() if of}
    for record in merge(times):
        assert (record.time, record.partition) == min((times[p][at], p) for p, at in nexts.items())
        nexts[record.partition] += 1
        if nexts[record.partition] == len(times[record.partition]):
            del nexts[record.partition]


@pytest.mark.parametrize(
    ("message", "time"),
    [
        ({"features": {}}, TIMESTAMP),
        ({"features": {}, "timestamp": None}, TIMESTAMP),
        ({"features": {}, "timestamp": 5}, 5),
        ({"features": {}, "timestamp": 5.0}, 5),
        ({"features": {}, "timestamp": "1970-01-01T00:00:01.5Z"}, 1_500),
        ({"features": {}, "timestamp": "1970-01-01T01:00:00+01:00"}, 0),
        ({"features": {}, "timestamp": 10**18}, TIMESTAMP),
        ({"features": {}, "timestamp": "soon"}, TIMESTAMP),
        ({"timestamp": "soon"}, TIMESTAMP),
        ("no object", TIMESTAMP),
    ],
)
def test_the_event_time_is_the_messages_if_it_has_a_valid_one(message: object, time: int) -> None:
    spec = ModelSpec("binary", FeatureSpec(hash_bits=8, others="include"), classes=(0, 1))
    times = EventTimes(Ingest("m", spec))
    record = kafka_records([json.dumps(message).encode()])[0]
    assert times(record) == time
    assert times(kafka_records([None])[0]) == TIMESTAMP
