"""What a model reads of a sample's features: fields, each for one or more declared features.

A field that several features are made of has to be right for all of them, so that no sample is half encoded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from models.errors import SpecError
from models.spec import BinnedFeature, EncodedFeature, FeatureSpec, NumericFeature, TextFeature

Made = NumericFeature | BinnedFeature | TextFeature | EncodedFeature
"""Features that are made of a field that may have another name."""

Kind = Literal["number", "list", "category", "text", "number and category"]
"""What a field's value has to be: "category" is a text, number or boolean, "number" has booleans too."""

_TOGETHER: dict[frozenset[Kind], Kind] = {
    frozenset(("number", "category")): "number and category",
    frozenset(("text", "category")): "text",
}
"""Kinds that one value can be, and what it has to be then."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a sample's features; `size` is the length of a list."""

    name: str
    kind: Kind
    size: int | None = None
    text: tuple[TextFeature, ...] = ()
    """The text features that are made of it."""

    @property
    def has_text(self) -> bool:
        """Whether the text of a value counts, so that integers have to stay integers."""
        return self.kind in ("category", "text", "number and category")


def source(feature: Made) -> str:
    """The field that a feature is made of."""
    return feature.name if feature.of is None else feature.of


def declared_names(spec: FeatureSpec) -> list[str]:
    """The names of all declared features, in order."""
    further: list[BinnedFeature | TextFeature] = [*spec.bins, *spec.text]
    names = [one.name for one in spec.numeric] + [*spec.categorical] + [one.name for one in further]
    return names + [one.column for one in spec.encode]


def fields_of(spec: FeatureSpec) -> list[Field]:
    """The fields that a model reads, in the order of the features; raises SpecError for contradictions."""
    wanted: dict[str, list[Field]] = {}
    for field in _wanted(spec):
        wanted.setdefault(field.name, []).append(field)
    return [_together(several) for several in wanted.values()]


def _wanted(spec: FeatureSpec) -> Iterator[Field]:
    for number in spec.numeric:
        yield Field(source(number), "number" if number.size is None else "list", number.size)
    yield from (Field(name, "category") for name in spec.categorical)
    yield from (Field(source(binned), "number") for binned in spec.bins)
    yield from (Field(source(text), "text", text=(text,)) for text in spec.text)
    yield from (Field(source(encoded), "category") for encoded in spec.encode)


def _together(wanted: list[Field]) -> Field:
    """One field that is right for all of these of one name."""
    first = wanted[0]
    kinds = frozenset(field.kind for field in wanted)
    kind = first.kind if len(kinds) == 1 else _TOGETHER.get(kinds)
    if kind is None or any(field.size != first.size for field in wanted):
        shown = " and ".join(dict.fromkeys(_shown(field) for field in wanted))
        raise SpecError(f"features: {first.name!r} cannot be {shown} at once")
    return Field(first.name, kind, first.size, tuple(text for field in wanted for text in field.text))


def _shown(field: Field) -> str:
    return f"a list of {field.size} numbers" if field.kind == "list" else f"a {field.kind}"
