"""Test-then-train: every sample is predicted, then learned from, by the same Model that a worker folds.

With one worker on one partition predictions are strictly sequential (rule 9), so what comes out here is what
the worker's state would be, to the bit.
"""

from __future__ import annotations

from models.metrics import Metric, Metrics
from models.model import Learned, Model
from models.rows import Rows
from models.spec import ModelSpec
from streams.evaluation.curve import Curve, Point


def predict_and_learn(model: Model, rows: Rows) -> Learned:
    """Predict and learn for good: what came of the rows cannot be undone."""
    learned = model.predict_and_learn(rows)
    if learned.undo is not None:
        model.forget(learned.undo)
    return learned


class Evaluation:
    """One model on its way through a recording."""

    def __init__(self, spec: ModelSpec) -> None:
        """A model that has learned nothing; raises SpecError if the fold cannot run `spec`."""
        self.model = Model(spec)
        self.samples = 0
        self.skipped = 0
        self._curve = Curve()

    def run(self, rows: Rows) -> None:
        """Predict and learn rows, labelled or not, and note the curve's points among them."""
        start = 0
        while start < len(rows):
            stop = min(len(rows), start + self._curve.until_next(self.samples))
            self.skipped += predict_and_learn(self.model, rows.slice(start, stop)).skipped
            self.samples += stop - start
            start = stop
            if self._curve.is_due(self.samples):
                self._curve.add(self._point())

    def metrics(self) -> dict[str, Metric | Metrics]:
        """As `gradstream inspect --json` shows them."""
        return self.model.metrics()

    def curve(self) -> list[Point]:
        """The learning curve; its last point is where the evaluation stands."""
        return self._curve.ended(self._point())

    def _point(self) -> Point:
        return Point(self.samples, self.model.samples_learned, self.model.metrics())
