"""Telling people of refused updates, and of a model that has stopped learning for them."""

from __future__ import annotations

from infra.logs import logger
from streams.fold import Fold


class Refusals:
    """Looks at a fold now and then, and writes a line when something has changed."""

    def __init__(self, model: str, fold: Fold) -> None:
        self._model = model
        self._fold = fold
        self._refused = fold.refused
        self._halted = False
        self._log = logger(model=model)

    def look(self) -> None:
        """One line for all updates refused since the last look; one when learning halts or resumes."""
        fold = self._fold
        if fold.refused > self._refused:
            last = fold.last_refused[-1]
            self._log.warning(
                "updates refused: these samples changed nothing",
                new=fold.refused - self._refused,
                refused=fold.refused,
                last=f"{last.topic}-{last.partition} @{last.offset}",
                reason=last.reason,
            )
            self._refused = fold.refused
        halted = fold.model.halted()
        if halted and not self._halted:
            self._log.error(
                f"learning has halted: {fold.model.spec.halt_after} updates in a row were refused; "
                "predictions go on as they are. Mend the samples, then: "
                f"gradstream resume {self._model}"
            )
        elif self._halted and not halted:
            self._log.info("learning goes on")
        self._halted = halted
