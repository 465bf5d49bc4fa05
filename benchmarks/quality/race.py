"""One stream, family and system: all settings compared, the untuned and the best one over everything."""

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
    chosen_on: int
    """The settings were compared on so many samples."""
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
    samples = min(len(streams[0]), family.most)
    chosen_on = min(samples, family.choose_on)

    def scores(setting: Setting, count: int) -> Tried:
        pairs = zip(streams, systems, strict=True)
        each = [_scores(stream, system, family.name, setting, count) for stream, system in pairs]
        return Tried(setting.text, mean(each))

    counted = CHOSEN_BY[streams[0].task]
    tried = [scores(setting, chosen_on) for setting in settings]
    best = min(range(len(settings)), key=lambda i: tried[i].loss(counted))
    untuned_at_end, best_at_end = tried[0], tried[best]
    if chosen_on < samples:
        untuned_at_end = scores(settings[0], samples)
        best_at_end = scores(settings[best], samples) if best else untuned_at_end
    return Outcome(
        source=source.name,
        what=source.what,
        family=family.name,
        system=names[0],
        version=names[1],
        loss=counted,
        samples=samples,
        orders=len(streams),
        chosen_on=chosen_on,
        untuned=untuned_at_end,
        best=best_at_end,
        tried=tried,
        seconds=round(time.monotonic() - begun, 1),
    )


def _scores(stream: Stream, system: System, family: str, setting: Setting, count: int) -> Scores:
    with np.errstate(over="ignore", invalid="ignore"):  # a rate that is too high diverges, and loses
        return score(stream.task, system.predict(family, setting, count), stream.labels[:count])
