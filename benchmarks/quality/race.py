"""One stream, family and system: every setting learns it; the untuned one and the best one count."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any, Protocol

import msgspec
import numpy as np

from benchmarks.quality.scores import CHOSEN_BY, Scores, mean, score
from benchmarks.quality.settings import Family
from benchmarks.quality.streams import Source, Stream
from models.rows import Float64


class Setting(Protocol):
    """What a system is told."""

    @property
    def text(self) -> str:
        """As one line, for people."""


class System(Protocol):
    """A system that has taken a stream in."""

    def predict(self, family: str, setting: Any, count: int) -> Float64:
        """(count, K) predictions of the first `count` samples, each made before it was learned."""


class Tried(msgspec.Struct, frozen=True):
    """A setting and its scores."""

    text: str
    scores: Scores

    def loss(self, name: str) -> float:
        """The score `name`, infinite of a learner that has diverged."""
        value = self.scores[name]
        return math.inf if value is None else value


class Outcome(msgspec.Struct, frozen=True):
    """What one system made of one stream with one family."""

    source: str
    what: str
    family: str
    system: str
    version: str
    loss: str
    """The score that counts."""
    samples: int
    orders: int
    untuned: Tried
    best: Tried
    tried: list[Tried]
    seconds: float


def run(
    source: Source,
    streams: Sequence[Stream],
    systems: Sequence[System],
    family: Family,
    settings: Sequence[Setting],
    names: tuple[str, str],
) -> Outcome:
    """`systems[i]` has taken in `streams[i]`, an order of the source's samples; scores are means over them.

    `names`: of the system, and of its version.
    """
    begun = time.monotonic()
    count = min(len(streams[0]), family.most)
    loss = CHOSEN_BY[streams[0].task]

    def scores(setting: Setting) -> Tried:
        pairs = zip(streams, systems, strict=True)
        each = [_scores(stream, system, family.name, setting, count) for stream, system in pairs]
        return Tried(setting.text, mean(each))

    tried = [scores(setting) for setting in settings]
    return Outcome(
        source=source.name,
        what=source.what,
        family=family.name,
        system=names[0],
        version=names[1],
        loss=loss,
        samples=count,
        orders=len(streams),
        untuned=tried[0],
        best=min(tried, key=lambda one: one.loss(loss)),
        tried=tried,
        seconds=round(time.monotonic() - begun, 1),
    )


def _scores(stream: Stream, system: System, family: str, setting: Setting, count: int) -> Scores:
    with np.errstate(over="ignore", invalid="ignore"):  # a rate that is too high diverges, and loses
        return score(stream.task, system.predict(family, setting, count), stream.labels[:count])
