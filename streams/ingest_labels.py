"""Labels of one model: which it takes, and what number each is."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from models.errors import SpecError
from models.rows import Float64
from models.spec import ClassLabel, ModelSpec
from streams.dead_letters import InvalidLabel
from streams.ingest_text import SHOWN_LENGTH, finite, shown


class Labels:
    """A label is its own number in a regression, else the position of its class; NaN = unlabelled.

    Booleans are labels where the classes are booleans or 0 and 1; 1.0 is the class 1. Raises SpecError for
    classes of several kinds.
    """

    def __init__(self, spec: ModelSpec) -> None:
        self._by_class = spec.task != "regression"
        self._kinds: tuple[type, ...] = (int, float)
        self._counts = spec.loss is not None and spec.loss.name == "poisson"
        self.expected = "a finite number" + (" of 0 or more (loss 'poisson')" if self._counts else "")
        self._numbers: dict[Any, float] = {None: math.nan}
        if self._by_class:
            self._use(spec.classes)

    def _use(self, classes: Sequence[ClassLabel]) -> None:
        kinds = {type(label) for label in classes}
        if len(kinds) != 1 or len(set(classes)) < len(classes):
            raise SpecError("classes: expected different texts, integers or booleans, all of one kind")
        self._numbers.update({label: float(i) for i, label in enumerate(classes)})
        listed = ", ".join(shown(label) for label in classes)
        self.expected = f"one of {listed if len(listed) <= SHOWN_LENGTH else listed[:SHOWN_LENGTH] + '…'}"
        if kinds != {int}:
            self._kinds = tuple(kinds)
        elif list(classes) == [0, 1]:
            self._kinds = (int, float, bool)
            self.expected += " (or false, true)"

    @property
    def type(self) -> Any:
        """What the fast path decodes a label as."""
        return functools.reduce(operator.or_, self._kinds) if self._by_class else float

    def encode(self, labels: Sequence[Any]) -> Float64:
        """(n,) numbers of decoded labels, None → NaN; raises KeyError for one that is none of the model's."""
        if self._by_class:
            return np.fromiter(map(self._numbers.__getitem__, labels), np.float64, len(labels))
        numbers = np.fromiter(labels, np.float64, len(labels))  # numpy reads None as NaN
        if self._counts and (numbers < 0.0).any():
            raise KeyError(float(numbers.min()))
        return numbers

    def is_known(self, label: Any) -> bool:
        """Whether `encode` takes a decoded label."""
        if self._counts:
            return label is None or label >= 0
        return not self._by_class or label in self._numbers

    def checked(self, value: Any) -> Any:
        """A valid label for `encode`, None if there is none; raises InvalidLabel."""
        if value is None:
            return None
        if type(value) in self._kinds:
            if self._by_class and value in self._numbers:
                return value
            if not self._by_class and (number := finite(value)) is not None and self.is_known(number):
                return number
        raise InvalidLabel(f"label: expected {self.expected}, got {shown(value)}")
