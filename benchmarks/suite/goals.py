"""The goals of speed: which figure each is about, and whether it is met by the median of the repeats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.results import Spread
from benchmarks.suite.measured import Measured

Figure = tuple[str, str]
"""(contestant, measure)"""
NOT_MEASURED = "not measured"
HEADER = ("goal", "asked", "measured", "")


@dataclass(frozen=True)
class Goal:
    """factor × figure ÷ `against`, of one part; without `against` the figure itself.

    Exactly one of `least` and `most` is there. aim: what is asked besides, and not missed if it is not met.
    """

    what: str
    part: str
    figure: Figure
    against: Figure | None = None
    least: float | None = None
    most: float | None = None
    aim: float | None = None
    factor: float = 1.0
    unit: str = "×"
    digits: int = 2

    def found(self, measured: Mapping[str, Measured]) -> Spread | None:
        """The figure of all repeats; None where it was not measured."""
        part = measured.get(self.part)
        if part is None:
            return None
        if self.against is not None:
            return part.ratio(self.figure, self.against, self.factor)
        values = part.figures(*self.figure)
        return None if values is None else Spread.of([self.factor * value for value in values])

    def met(self, found: Spread) -> bool:
        """Whether the median is good enough."""
        return self._reaches(found, self.least, self.most)

    def verdict(self, found: Spread | None) -> str:
        """In words."""
        if found is None:
            return NOT_MEASURED
        if not self.met(found):
            return "not met"
        asked = (self.aim, None) if self.least is not None else (None, self.aim)
        aimed = self.aim is not None and self._reaches(found, *asked)
        return "met, and the aim" if aimed else "met"

    def asked(self) -> str:
        """In words."""
        sign, number = ("≥", self.least) if self.least is not None else ("≤", self.most)
        aim = f", aim {self.aim:,g}" if self.aim is not None else ""
        return f"{sign} {number:,g}{aim} {self.unit}"

    def row(self, measured: Mapping[str, Measured]) -> list[str]:
        """The cells of the goals table, as HEADER names them."""
        found = self.found(measured)
        shown = "" if found is None else f"{found.text(self.digits)} {self.unit}"
        return [self.what, self.asked(), shown, self.verdict(found)]

    @staticmethod
    def _reaches(found: Spread, least: float | None, most: float | None) -> bool:
        return found.median >= least if least is not None else most is not None and found.median <= most


def _beside(what: str, peer: str, least: float, aim: float | None = None, part: str = "dense-10") -> Goal:
    return Goal(what, part, ("ours", "rate"), (peer, "rate"), least=least, aim=aim)


GOALS: Sequence[Goal] = (
    _beside("ten numbers, against the expert's loop", "expert", 1.0, aim=2.0),
    _beside("against naive Faust and River", "naive", 100.0),
    _beside("against confluent-kafka and River", "river", 5.0),
    _beside("against confluent-kafka and VW", "vw", 4.0),
    _beside("against confluent-kafka without any work", "pass-through", 0.45, aim=1.0),
    _beside("forty strings, against confluent-kafka and VW", "vw", 3.0, part="sparse-40"),
    Goal(
        "500 a second, p99 against an echo of aiokafka",
        "paced",
        ("ours", "p99"),
        ("echo-aiokafka", "p99"),
        most=1.5,
    ),
    Goal(
        "a save of 2^22 where 1,000 coordinates were touched, against all of it",
        "saves",
        ("touched", "milliseconds"),
        ("all", "milliseconds"),
        most=0.05,
        digits=3,
    ),
    Goal(
        "saving each second, against never",
        "saving",
        ("each-second", "rate"),
        ("never", "rate"),
        least=0.95,
    ),
    Goal(
        "two workers against one: 2 × CPU per sample of one ÷ of each of two",
        "two-workers",
        ("one", "cpu"),
        ("two", "cpu"),
        least=1.8,
        factor=2.0,
    ),
    Goal(
        "CPU against the same worker without its learning log",
        "log-cost",
        ("ours", "cpu"),
        ("without-log", "cpu"),
        most=1.2,
    ),
    Goal(
        "folding a learning log from its start",
        "fold",
        ("fold", "rate"),
        least=2.0,
        factor=1e-6,
        unit="M samples/s",
    ),
    Goal(
        "resident memory with a small model",
        "footprint",
        ("ours", "memory"),
        most=300.0,
        unit="MB",
        digits=0,
    ),
    Goal("start to the first prediction", "footprint", ("ours", "start"), most=3.0, unit="s"),
)


def rows(measured: Mapping[str, Measured]) -> list[list[str]]:
    """The goals table."""
    return [goal.row(measured) for goal in GOALS]
