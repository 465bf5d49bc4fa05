"""What came of a race of settings: as a table for people, as TOML, and for machines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from models.errors import GradstreamError
from streams.tuning.candidates import Candidate
from streams.tuning.race import Trial
from streams.tuning.toml import model_toml


class NothingWon(GradstreamError):
    """A race without a winner."""


class Ranking:
    """All trials of one race, the best first."""

    def __init__(
        self, model: str, source: str, metric: str, current: Candidate, ranked: Sequence[Trial]
    ) -> None:
        """Raises NothingWon where no settings learned to the end, or the metric is undefined for all."""
        best = ranked[0]
        if best.broken or math.isnan(best.value(metric)):
            why = "halted or predicted no numbers" if best.broken else f"have no {metric} on it"
            raise NothingWon(
                f"model {model}: of {len(ranked)} settings all {why}; is {source} what was meant?"
            )
        self._model = model
        self.source = source
        self._metric = metric
        self._current = current
        self.ranked = ranked

    def toml(self) -> str:
        """The best settings as a table, with what they reached as a comment."""
        best = self.ranked[0]
        now = next(trial for trial in self.ranked if trial.candidate.is_current)
        gain = "the current settings" if best is now else f"{self._reached(now)} with the current settings"
        line = f"# {self._reached(best)} over {best.samples:,} samples of {self.source}; {gain}"
        comment = "".join(c if c.isprintable() else "?" for c in line)  # of a file's name
        return f"{comment}\n{model_toml(self._model, best.candidate.table)}"

    def _reached(self, trial: Trial) -> str:
        return f"{self._metric} {trial.value(self._metric):.6g}"

    def show(self) -> None:
        """The ranked table, on standard error."""
        from streams.commands._common import console, number_text, plain_table

        right = ["rank", self._metric, "samples", "refused", "seconds"]
        table = plain_table("rank", "settings", self._metric, "samples", "refused", "seconds", right=right)
        for rank, trial in enumerate(self.ranked, start=1):
            value = trial.metrics.get(self._metric)
            table.add_row(
                str(rank),
                self._words(trial),
                number_text(value if isinstance(value, float) else None),
                f"{trial.samples:,}",
                f"{trial.refused:,}",
                f"{trial.seconds:.2f}",
                style="bold" if trial.candidate.is_current else None,
            )
        out = console(stderr=True)
        out.print(table)
        out.print()

    def _words(self, trial: Trial) -> str:
        if trial.candidate.is_current:
            words = "current settings"
        else:
            changes = trial.candidate.changes(self._current)
            words = "; ".join(f"{key} {_in_words(value)}" for key, value in changes.items())
        return f"{words} (halted, or no numbers)" if trial.broken else words

    def document(self) -> dict[str, Any]:
        """All of it for machines."""
        return {
            "model": self._model,
            "source": self.source,
            "metric": self._metric,
            "best": self.toml(),
            "ranked": [
                {
                    "rank": rank,
                    "current": trial.candidate.is_current,
                    "settings": trial.candidate.changes(self._current),
                    self._metric: trial.value(self._metric),
                    "metrics": trial.metrics,
                    "samples": trial.samples,
                    "rounds": trial.rounds,
                    "refused": trial.refused,
                    "broken": trial.broken,
                    "seconds": trial.seconds,
                }
                for rank, trial in enumerate(self.ranked, start=1)
            ],
        }


def _in_words(value: Any) -> str:
    """A table of settings in a row: `adagrad learning_rate=0.05`."""
    if not isinstance(value, dict):
        return str(value)
    words = [str(value["name"])] if "name" in value else []
    for key, item in value.items():
        if key != "name":
            text = f"({_in_words(item)})" if isinstance(item, dict) else str(item)
            words.append(f"{key}={text}")
    return " ".join(words)
