"""Who takes part in a race: ours, as a user starts it, and loops of others, each in a process of its own."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.peers import GRADSTREAM
from benchmarks.samples import create_topics
from benchmarks.suite.place import Filled, Place
from benchmarks.suite.streams import LABELS, Stream


@dataclass(frozen=True)
class Ours:
    """A worker that drains the topic; a new model each time.

    table: what its model's settings have besides those of the race; stream: another one than the race's.
    """

    name: str = "ours"
    table: Mapping[str, Any] = field(default_factory=dict)
    stream: Stream | None = None
    launcher: tuple[str, ...] = (str(GRADSTREAM),)
    most: int | None = None
    writes = True

    def command(
        self, place: Place, table: Mapping[str, Any], stream: Stream, on: Filled, name: str, count: int
    ) -> list[str]:
        """Its command, after its topics have been created."""
        labels = {"labels": on.topic + LABELS} if stream.late else {}
        config = place.model(name, on.topic, {**table, **labels, **self.table}, stream.partitions)
        return [*self.launcher, "--config", str(config), "worker", "--drain"]


@dataclass(frozen=True)
class Loop:
    """A module that takes BOOTSTRAP SAMPLES-TOPIC PREDICTIONS-TOPIC COUNT and `arguments`.

    most: samples that it is given at most, because all would take long; writes: predictions.
    """

    name: str
    module: str
    arguments: tuple[str, ...] = ()
    most: int | None = None
    writes: bool = True
    stream: Stream | None = None

    def command(
        self, place: Place, table: Mapping[str, Any], stream: Stream, on: Filled, name: str, count: int
    ) -> list[str]:
        """See Ours."""
        create_topics(place.kafka, [f"{name}.predictions"], stream.partitions)
        topics = [place.kafka, on.topic, f"{name}.predictions", str(count)]
        return [sys.executable, "-m", f"benchmarks.{self.module}", *topics, *self.arguments]


Contestant = Ours | Loop
