"""What `gradstream check` found: a line each, with how to mend it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from models.errors import GradstreamError

Level = Literal["ok", "warning", "error"]
MARKS: dict[str, tuple[str, str]] = {"ok": ("✔", "green"), "warning": ("!", "yellow"), "error": ("✘", "red")}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; `model` is None where it concerns all of them."""

    level: Level
    message: str
    model: str | None = None


@dataclass(slots=True)
class Findings:
    """All findings in the order in which they were made, and samples as they would be encoded."""

    found: list[Finding] = field(default_factory=list)
    samples: dict[str, list[list[tuple[str, float]]]] = field(default_factory=dict)
    fields: dict[str, Any] = field(default_factory=dict)

    def ok(self, message: str, model: str | None = None) -> None:
        """It is as it should be."""
        self.found.append(Finding("ok", message, model))

    def warn(self, message: str, model: str | None = None) -> None:
        """It works, and is probably not meant."""
        self.found.append(Finding("warning", message, model))

    def error(self, message: str, model: str | None = None) -> None:
        """A worker would not start, or lose something."""
        finding = Finding("error", message, model)
        if finding not in self.found:  # log and checkpoint may disagree with the settings in the same way
            self.found.append(finding)

    @property
    def good(self) -> bool:
        """Whether there is no error."""
        return all(finding.level != "error" for finding in self.found)

    @contextmanager
    def guarded(self, model: str | None = None) -> Iterator[None]:
        """An error in the block becomes a finding, and what follows the block goes on."""
        try:
            yield
        except GradstreamError as error:
            self.error(str(error), model)

    def document(self) -> dict[str, Any]:
        """All of it for machines."""
        return {
            "ok": self.good,
            "findings": [
                {"level": finding.level, "model": finding.model, "message": finding.message}
                for finding in self.found
            ],
            "samples": {name: [dict(pairs) for pairs in samples] for name, samples in self.samples.items()},
            "fields": self.fields,
        }
