"""Vowpal Wabbit's own driver on its own cache file: what it learns per second without parsing text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pylibvw
import vowpalwabbit

from benchmarks.kernels.contest import Lap, Stopwatch
from models.rows import Float64, Int64


class VW:
    """VW with `arguments` on rows of features with the value 1, the j-th in namespace `namespaces[j]`."""

    name = "VW"

    def __init__(
        self, folder: Path, indices: Int64, labels: Float64, arguments: str, namespaces: str | None = None
    ) -> None:
        """Writes the text once, and has VW make its cache of it."""
        self._labels, text = labels, folder / "data.txt"
        self._cache, self._predictions = folder / "data.cache", folder / "predictions.txt"
        self._arguments = f"--quiet --loss_function logistic {arguments} --cache_file {self._cache}"
        text.write_text("".join(_lines(indices, labels, namespaces)), "utf-8")
        # The first reading makes the cache, and tells how well VW predicts; laps write no predictions.
        vowpalwabbit.Workspace(f"{self._arguments} -d {text} -p {self._predictions}").finish()
        self._served = 1.0 / (1.0 + np.exp(-np.loadtxt(self._predictions, ndmin=2)))

    def lap(self) -> Lap:
        """One reading of the cache by a new learner."""
        learner = vowpalwabbit.Workspace(self._arguments)  # without -d it waits for us to run its driver
        watch = Stopwatch()
        pylibvw.vw.run_parser(learner)
        times = watch.stop()
        learner.finish()
        return Lap.of(times, self._served, self._labels)


def _lines(indices: Int64, labels: Float64, namespaces: str | None) -> list[str]:
    def features(row: list[int]) -> str:
        if namespaces is None:
            return "| " + " ".join(map(str, row))
        return " ".join(f"|{space} {index}" for space, index in zip(namespaces, row, strict=True))

    signs = np.where(labels > 0, 1, -1).tolist()
    return [f"{sign} {features(row)}\n" for sign, row in zip(signs, indices.tolist(), strict=True)]
