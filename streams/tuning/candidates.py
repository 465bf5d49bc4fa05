"""The settings that are raced: the current ones, some near them, every optimizer's defaults, and draws."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from pydantic import ValidationError

from infra.settings import Settings
from infra.settings_layers import Layer
from models.errors import GradstreamError
from models.layout import Layout
from models.spec import ModelSpec
from streams.tuning.space import OPTIMIZERS, draw, two_digits
from streams.tuning.toml import model_toml

TUNED = ("learner", "optimizer", "update")
"""The keys of a model's table that a candidate may have otherwise."""
NEAR = (0.3, 3.0, 0.1, 10.0)
"""What the current learning rate is multiplied with."""
DRAWS = 20
"""How often is drawn for each candidate that is missing: settings may be invalid or there already."""


class NothingToTune(GradstreamError):
    """A model of which no other settings are known."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One model's table, and what the fold makes of it."""

    table: Mapping[str, Any]
    spec: ModelSpec
    is_current: bool = False

    def changes(self, current: Candidate) -> dict[str, Any]:
        """Of the tuned keys those that mean something else than in the current settings, as written."""
        return {
            key: self.table.get(key, "default")
            for key in TUNED
            if getattr(self.spec, key) != getattr(current.spec, key)
        }


def candidates(name: str, table: Mapping[str, Any], count: int, seed: int) -> list[Candidate]:
    """Up to `count` candidates with different specs, the current settings first.

    The same seed gives the same ones, and fewer of them the first of these. Raises NothingToTune where there
    is none but the current.
    """
    current = checked(name, table)
    if current is None:
        raise NothingToTune(f"model {name}: its settings cannot be written as a table of their own")
    found = {current.spec.to_json(): Candidate(table, current.spec, is_current=True)}
    for other in _others(name, current, Random(seed), DRAWS * count):
        if len(found) >= count:
            break
        found.setdefault(other.spec.to_json(), other)
    if len(found) < 2 <= count:
        raise NothingToTune(
            f"model {name}: nothing is known that could be tuned for learner '{current.spec.learner.name}'"
        )
    return list(found.values())


def _others(name: str, current: Candidate, rng: Random, draws: int) -> Iterator[Candidate]:
    """Valid candidates that differ from the current in nothing but what is tuned."""
    for table in _tables(name, current, rng, draws):
        candidate = checked(name, table)
        if candidate is not None and candidate.spec.features == current.spec.features:
            yield candidate


def _tables(name: str, current: Candidate, rng: Random, draws: int) -> Iterator[dict[str, Any]]:
    table, own = current.table, current.spec.optimizer
    for factor in NEAR:
        rate = two_digits(own.learning_rate * factor)
        yield {**table, "optimizer": {"name": own.name, **table.get("optimizer", {}), "learning_rate": rate}}
    defaults = {one: {**table, "optimizer": {"name": one}} for one in OPTIMIZERS}
    usable = [one for one, changed in defaults.items() if checked(name, changed) is not None]
    yield from (defaults[one] for one in usable)
    for _ in range(draws if usable else 0):
        yield draw(rng, usable, current.spec.learner.name, table)


def checked(name: str, table: Mapping[str, Any]) -> Candidate | None:
    """The candidate that the table gives when it is written into a file, None if it is no valid model."""
    layer = Layer("candidate", tomllib.loads(model_toml(name, table)))
    layers: dict[str, Any] = {"layers": (layer.write_out(),)}
    try:
        spec = Settings(**layers).models[name].spec()
        Layout(spec)  # raises for what the settings take and the fold does not
    except (ValidationError, GradstreamError):
        return None
    return Candidate(table, spec)
