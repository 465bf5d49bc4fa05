"""Samples and labels of every kind, in the order of their event times, and what must become of each.

What is expected follows from event times alone. Every partition ends with a sample so late that all that is
due has been let go behind it.
"""

from __future__ import annotations

import json
import random
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

HORIZON, PATIENCE = 60_000, 10_000
"""Milliseconds."""
SETTINGS = 'label_horizon = "60s"\nlabel_patience = "10s"'
BEGIN = 1_700_000_000_000
KINDS = (
    "in time", "at once", "early", "twice", "missing", "too late", "too early", "corrected",
    "corrected after", "own", "reused", "reused after", "weighted",
)  # fmt: skip
LIVE = tuple(kind for kind in KINDS if kind not in ("reused", "reused after", "corrected after"))
"""Those of which it does not matter how much later than an earlier message the broker has the next one."""
Message = tuple[int, str, int, bytes]
"""Event time, topic (samples or labels), partition, value."""


@dataclass
class Traffic:
    """Messages in the order in which they are sent."""

    partitions: int
    messages: list[Message] = field(default_factory=list)
    joined: dict[str, tuple[float, int, float]] = field(default_factory=dict)
    """Sample id → label, its time, weight of both. An id that is used twice: see `joins`."""
    joins: Counter[str] = field(default_factory=Counter)
    expired: set[str] = field(default_factory=set)
    own: set[str] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)

    def sample(self, id_: str, time: int, own: int | None = None, weight: float = 1.0, seed: int = 0) -> None:
        """One more sample."""
        x = (zlib.crc32(id_.encode()) + seed) % 1000 / 250 - 2
        body: dict[str, Any] = {"id": id_, "timestamp": time, "features": {"x": x, "c": f"c{int(x * 3)}"}}
        body |= {} if own is None else {"label": own}
        body |= {} if weight == 1.0 else {"weight": weight}
        self._add(time, "samples", id_, body)

    def label(self, id_: str, time: int, label: Any, weight: float = 1.0, correction: bool = False) -> None:
        """One more label."""
        body: dict[str, Any] = {"id": id_, "timestamp": time, "label": label}
        body |= {} if weight == 1.0 else {"weight": weight}
        body |= {"correction": True} if correction else {}
        self._add(time, "labels", id_, body)
        self.counts["corrections"] += correction

    def partition(self, id_: str) -> int:
        """Of a sample and its labels."""
        return zlib.crc32(id_.encode()) % self.partitions

    def _add(self, time: int, topic: str, id_: str, body: dict[str, Any]) -> None:
        self.messages.append((time, topic, self.partition(id_), json.dumps(body).encode()))

    def of(self, topic: str) -> Iterator[Message]:
        """The messages of one topic."""
        return (message for message in self.messages if message[1] == topic)


def traffic(
    n: int, partitions: int, seed: int = 1, kinds: Sequence[str] = KINDS, prefix: str = "s"
) -> Traffic:
    """n ids, one every 20 ms of event time, of these kinds in turn; in the end only the last samples wait."""
    dice, made = random.Random(seed), Traffic(partitions)
    for i in range(n):
        _one(made, dice, f"{prefix}{i}", BEGIN + 20 * i, kinds[i % len(kinds)])
    end = BEGIN + 20 * n + 2 * (HORIZON + PATIENCE) + 60_000
    for partition in range(partitions):
        last = next(
            f"{prefix}end-{k}" for k in range(10_000) if made.partition(f"{prefix}end-{k}") == partition
        )
        made.sample(last, end)
    made.messages.sort(key=lambda message: message[0])  # in one topic, records of one time stay in order
    return made


def _one(made: Traffic, dice: random.Random, id_: str, time: int, kind: str) -> None:
    label, weight = dice.randint(0, 1), 1.0
    delay = dice.randint(1, HORIZON)
    if kind == "weighted":
        weight = dice.choice([0.5, 2.0, 3.0])
    made.sample(id_, time, own=label if kind == "own" else None, weight=weight)
    factor = 0.5 if kind == "weighted" else 1.0
    if kind == "at once":
        delay = 0
    elif kind == "early":
        delay = -dice.randint(1, PATIENCE)
    if kind in ("missing", "too late", "too early", "own"):
        _without(made, dice, id_, time, kind)
        return
    first = kind == "corrected"
    made.label(id_, time + delay, label, factor, correction=first)
    made.joined[id_] = float(label), time + delay, weight * factor
    made.joins[id_] += 1
    if kind == "twice":
        made.label(id_, time + delay + dice.randint(0, 500), 1 - label)
        made.counts["repeated"] += 1
    elif kind == "corrected after":
        made.label(id_, time + delay + dice.randint(1, 500), 1 - label, correction=True)
    elif kind == "reused":  # while the first waits
        made.sample(id_, time + dice.randint(0, delay), seed=1)
        made.counts["duplicates"] += 1
    elif kind == "reused after":
        again = time + delay + dice.randint(1, 500)
        made.sample(id_, again, seed=1)
        made.label(id_, again + dice.randint(1, HORIZON), label)
        made.joins[id_] += 1


def _without(made: Traffic, dice: random.Random, id_: str, time: int, kind: str) -> None:
    if kind == "own":
        made.own.add(id_)
        made.label(id_, time + dice.randint(1, 500), 0)
        made.counts["repeated"] += 1
        return
    made.expired.add(id_)
    if kind != "missing":
        wrong = (
            HORIZON + dice.randint(1, 20_000) if kind == "too late" else -PATIENCE - dice.randint(1, 20_000)
        )
        made.label(id_, time + wrong, 1)
        made.counts["unmatched"] += 1
        if kind == "too late" and dice.random() < 0.3:
            nobody = f"nobody-{id_}"
            made.label(nobody, time, 1)
            made.counts["unmatched"] += 1
