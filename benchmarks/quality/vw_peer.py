"""Vowpal Wabbit's side: its own driver over a file of the same features; scores become predictions here.

VW prints a score with six decimals and a probability too, of which an almost certain one would be left with
nothing; so the scores are printed, and the logistic function is taken here.

The driver takes a sample once. Where more is needed, each is predicted and then learned by two calls: small
streams, whose standardised numbers differ with and without the sample itself; several classes; factorization
machines, whose predictions by the driver come out of the learning step, after it has drawn new factors.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from string import ascii_letters, digits

import numpy as np
import vowpalwabbit

from benchmarks.quality.named import Named
from benchmarks.quality.streams import Stream
from models.rows import Float64

SMALL = 10_000
"""Samples up to which a stream is small."""
NAMESPACES = ascii_letters + digits + "!#$%&()*+,-./;<=>?@[]^_{}~"
"""First letters of namespaces, one for each column and field."""
TASKS = {
    "regression": "",
    "binary": "--loss_function logistic",
    "multiclass": "--loss_function logistic --oaa {classes} --probabilities",
}


@dataclass(frozen=True, slots=True)
class VWSetting:
    """Arguments of VW; `{pairs:8}` becomes the low-rank interactions of all pairs of fields, with 8 factors.

    `scaled`: numbers are standardised online before VW gets them, as gradstream and River do it.
    """

    arguments: str = ""
    scaled: bool = False

    @property
    def text(self) -> str:
        """As one line."""
        return " ".join([self.arguments or "defaults", *["(standardised)"] * self.scaled])


class _Pairs:
    """What `{pairs:K}` stands for."""

    def __init__(self, namespaces: str) -> None:
        self.namespaces = namespaces

    def __format__(self, factors: str) -> str:
        return " ".join(f"--lrq {a}{b}{factors}" for a, b in combinations(self.namespaces, 2))


class VW:
    """One stream, written as VW's text once for each kind of scaling."""

    name = "VW"
    version = vowpalwabbit.__version__

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self._named = Named(stream)
        self._namespaces = NAMESPACES[: len(self._named.columns) + len(self._named.fields)]
        self._written: dict[tuple[bool, bool], list[str]] = {}

    def predict(self, family: str, setting: VWSetting, count: int) -> Float64:
        """(count, K) predictions of the first `count` samples, each made before it was learned."""
        own = setting.arguments.format(pairs=_Pairs(self._namespaces), fields=self._namespaces)
        task = TASKS[self.stream.task].format(classes=self.stream.classes)
        arguments = " ".join(["--quiet", task, own])
        learned = self._lines(setting.scaled, own=True)[:count]
        small = len(self.stream) <= SMALL or self.stream.task == "multiclass"
        if small or family == "factorization-machine":
            scores = _one_by_one(arguments, self._lines(setting.scaled, own=False)[:count], learned)
        else:
            scores = _driven(arguments, learned)
        return scores if self.stream.task != "binary" else 1.0 / (1.0 + np.exp(-scores))

    def _lines(self, scaled: bool, own: bool) -> list[str]:
        """The samples as text; with `scaled`, standardised with or without their `own` numbers."""
        key = scaled, own or not scaled
        if key not in self._written:
            named, labels = self._named, self.stream.labels
            values = named.scaled(own) if scaled else named.numeric
            shown = {"binary": 2 * labels - 1, "multiclass": labels + 1, "regression": labels}
            rows = zip(shown[self.stream.task].tolist(), values.tolist(), named.indicators, strict=True)
            columns = list(zip(self._namespaces, named.columns, strict=False))
            fields = self._namespaces[len(columns) :]
            self._written[key] = [_line(label, columns, row, fields, marks) for label, row, marks in rows]
        return self._written[key]


def _line(
    label: float, columns: list[tuple[str, str]], row: list[float], fields: str, indicators: list[str]
) -> str:
    numbers = [f"|{space} {name}:{value:.9g}" for (space, name), value in zip(columns, row, strict=True)]
    marks = [f"|{space} {name}" for space, name in zip(fields, indicators, strict=True)]
    return " ".join([f"{label:.9g}", *numbers, *marks])


def _driven(arguments: str, lines: list[str]) -> Float64:
    """VW reads a file by itself and writes each prediction before it learns."""
    with tempfile.TemporaryDirectory(prefix="gradstream-vw-") as folder:
        data, predictions = Path(folder) / "data.txt", Path(folder) / "predictions.txt"
        data.write_text("\n".join(lines) + "\n", "utf-8")
        vowpalwabbit.Workspace(f"{arguments} -d {data} -p {predictions}").finish()
        return np.loadtxt(predictions, dtype=np.float64, ndmin=2)


def _one_by_one(arguments: str, predicted: list[str], learned: list[str]) -> Float64:
    """Each sample is predicted as it stands in `predicted`, then learned as it stands in `learned`."""
    learner = vowpalwabbit.Workspace(arguments)
    served = []
    for before, after in zip(predicted, learned, strict=True):
        served.append(learner.predict(before))
        learner.learn(after)
    learner.finish()
    return np.array(served, dtype=np.float64).reshape(len(learned), -1)
