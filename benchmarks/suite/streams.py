"""The streams of the suite: what stands on their topics before anybody starts, the same at every run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice

import msgspec
import numpy as np

from benchmarks.samples import CHUNK, encoded_samples
from streams.demo import traffic
from streams.demo.config import SAMPLES
from streams.demo.flights import load

LABELS = ".labels"
"""Ending of a topic with the labels of another one."""
DIFFERENT = 200_000
"""Samples that are made; a longer stream says them again."""
FIELDS = tuple(f"c{j}" for j in range(40))
VALUES = 1_000_000
"""Different values of a field at most; few are common and most are seldom."""

Records = Iterator[tuple[str, bytes | None, bytes]]
"""(ending of the topic's name, key, value)"""


@dataclass(frozen=True)
class Stream:
    """`records`: the first so many samples, and labels that come late."""

    name: str
    records: Callable[[int], Records]
    partitions: int = 1
    late: bool = False


def numbers(features: int, count: int) -> Records:
    """Samples of so many named numbers, with their labels."""
    known = list(encoded_samples(min(count, DIFFERENT), features=features))
    return (("", None, value) for value in islice(cycle(known), count))


def strings(count: int) -> Records:
    """Samples of forty strings, about 700 bytes each, by Zipf's law: most are common, new ones keep coming.

    The label is 1 with probability σ(Σ w), w ~ N(0, ¼²) of each string.
    """
    return (("", None, value) for value in islice(cycle(list(_strings(min(count, DIFFERENT)))), count))


def _strings(count: int) -> Iterator[bytes]:
    rng = np.random.default_rng(11)
    weights = rng.normal(scale=0.25, size=1 << 16)
    encode = msgspec.json.Encoder().encode
    for start in range(0, count, CHUNK):
        drawn = rng.zipf(1.2, (CHUNK, len(FIELDS))) % VALUES
        score = weights[(drawn * len(FIELDS) + np.arange(len(FIELDS))) % len(weights)].sum(axis=1)
        labels = (rng.random(CHUNK) < 1.0 / (1.0 + np.exp(-score))).astype(int).tolist()
        for row, label in islice(zip(drawn.tolist(), labels, strict=True), count - start):
            features = {name: f"{name}_{value}" for name, value in zip(FIELDS, row, strict=True)}
            yield encode({"features": features, "label": label})


def flights(count: int) -> Records:
    """The first flights of 2013 that have a label, each with it."""
    recorded = load(count)
    return (
        ("", key, value)
        for key, value, label in zip(recorded.keys, recorded.values, recorded.labels, strict=True)
        if label == label
    )


def flights_late(count: int) -> Records:
    """The same flights and those without label; a label comes when its flight has landed."""
    for topic, key, value in traffic.load(count).records():
        yield "" if topic == SAMPLES else LABELS, key, value


DENSE_10 = Stream("dense-10", partial(numbers, 10))
DENSE_10_OF_16 = Stream("dense-10-of-16", partial(numbers, 10), partitions=16)
DENSE_10_OF_2 = Stream("dense-10-of-2", partial(numbers, 10), partitions=2)
DENSE_100 = Stream("dense-100", partial(numbers, 100))
SPARSE_40 = Stream("sparse-40", strings)
FLIGHTS = Stream("flights", flights)
FLIGHTS_LATE = Stream("flights-late", flights_late, late=True)
