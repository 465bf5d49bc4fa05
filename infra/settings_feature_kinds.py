"""The entries of [models.NAME.features]: a class for each kind of feature, and the checks of values."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Annotated, Any, get_args

from pydantic import BeforeValidator, Field, model_validator

from infra.settings_errors import Table, mistake, shown
from infra.settings_values import choice, duration, each, integer, items, number, text
from models.checks import LARGEST_COUNT, LARGEST_PRIOR_WEIGHT
from models.encoding_text import MAX_CHARACTERS, MAX_WORDS
from models.encoding_time import LARGEST_OFFSET
from models.spec import (
    BinnedFeature,
    EncodedFeature,
    Encoding,
    NumericFeature,
    Scaling,
    TextFeature,
    TextNorm,
    TimeCycle,
    Transform,
    VocabularySpec,
)

MAX_COLUMNS = 32_767
"""Dense columns of one model: positions are int16 in models.rows.Rows.scaled_by."""

MAX_EDGES = 1000

TABLE_BITS = (4, 24)
"""Least and most bits of the table of an encoded feature."""

SCALINGS = get_args(Scaling)
CYCLES = get_args(TimeCycle)

feature_name = text("a feature name")
_field_name = text("the name of a field of the samples' features")
_size = integer(1, MAX_COLUMNS)
_edge = number()
_length = integer(1, MAX_CHARACTERS)
_prior_weight = number(at_least=0.0, at_most=LARGEST_PRIOR_WEIGHT)
_offset = re.compile(r"([+-])(\d\d):([0-5]\d)", re.ASCII)

Name = Annotated[str, BeforeValidator(feature_name)]
Of = Annotated[str | None, BeforeValidator(_field_name)]


def names(value: object) -> list[Any]:
    """A list of feature names."""
    return each(feature_name, value, "feature names")


def named_entries(what: str) -> Any:
    """A check for a list of names or tables; a name alone becomes a table with that name."""
    return lambda value: each(
        lambda one: one if isinstance(one, dict) else {"name": feature_name(one)}, value, what
    )


def tables(keys: str) -> Any:
    """A check for a list of tables `{ KEYS }`."""

    def check(one: object) -> object:
        if not isinstance(one, dict):
            raise mistake(f"expected a table {{ {keys} }}, found {shown(one)}")
        return one

    return lambda value: each(check, value, f"tables {{ {keys} }}")


def cycles(value: object) -> list[Any]:
    """The cycles of the time, each once."""
    found = each(choice(*CYCLES), value, "cycles")
    for i, one in enumerate(found):
        if one in found[:i]:
            raise mistake(f"{shown(one)} is given twice", i)
    return found


def offset_minutes(value: object) -> int:
    """`"+01:00"` as minutes."""
    match = _offset.fullmatch(value) if isinstance(value, str) else None
    minutes = int(match[2]) * 60 + int(match[3]) if match else LARGEST_OFFSET + 1
    if match is None or minutes > LARGEST_OFFSET:
        raise mistake(f"expected hours and minutes ahead of UTC such as '+01:00', found {shown(value)}")
    return -minutes if match[1] == "-" else minutes


def _edges(value: object) -> tuple[float, ...]:
    edges = each(_edge, value, "numbers")
    if not 1 <= len(edges) <= MAX_EDGES:
        raise mistake(f"expected 1 to {MAX_EDGES} numbers, found {len(edges)}")
    for i, (one, following) in enumerate(pairwise(edges)):
        if not one < following:
            raise mistake(f"expected a number above the edge before, {one:.7g}, found {following:.7g}", i + 1)
    return tuple(edges)


def _lengths(value: object) -> tuple[int, int]:
    found = each(_length, value, "two lengths")
    if len(found) != 2 or found[0] > found[1]:
        expected = "the shortest and the longest n-gram, such as [3, 5]"
        raise mistake(f"expected {expected}, found {shown(items(value, 'two lengths'))}")
    return found[0], found[1]


class NumericSettings(Table):
    """A numeric feature: a number, or a list of `size` numbers."""

    name: Name = Field(description="the feature's name")
    of: Of = None
    size: Annotated[int | None, BeforeValidator(_size)] = None
    transform: Annotated[Transform, BeforeValidator(choice(*get_args(Transform)))] = "none"
    scaling: Annotated[Scaling | None, BeforeValidator(choice(*SCALINGS))] = None

    def spec(self, scaling: Scaling) -> NumericFeature:
        """As the encoder and the fold read it; `scaling` is that of the table."""
        return NumericFeature(self.name, self.size, self.scaling or scaling, self.transform, _of(self))


class BinSettings(Table):
    """A number as the bin that it falls into."""

    name: Name = Field(description="the feature's name")
    of: Of = None
    edges: Annotated[tuple[float, ...], BeforeValidator(_edges)] = Field(
        description="the numbers between the bins"
    )

    def spec(self) -> BinnedFeature:
        """As the encoder reads it."""
        return BinnedFeature(self.name, self.edges, _of(self))


class TextSettings(Table):
    """A text as n-grams: of single words, unless something else is said."""

    name: Name = Field(description="the feature's name")
    of: Of = None
    words: Annotated[int | None, BeforeValidator(integer(1, MAX_WORDS))] = None
    characters: Annotated[tuple[int, int] | None, BeforeValidator(_lengths)] = None
    norm: Annotated[TextNorm, BeforeValidator(choice(*get_args(TextNorm)))] = "none"

    def spec(self) -> TextFeature:
        """As the encoder reads it."""
        words = (1 if self.characters is None else 0) if self.words is None else self.words
        return TextFeature(self.name, words, self.characters, self.norm, _of(self))


class EncodeSettings(Table):
    """A category as a number that the fold learns."""

    name: Name = Field(description="the feature's name")
    encoding: Annotated[Encoding, BeforeValidator(choice(*get_args(Encoding)))] = Field(
        alias="as", description="'frequency' or 'target'"
    )
    of: Of = None
    prior_weight: Annotated[float | None, BeforeValidator(_prior_weight)] = None
    bits: Annotated[int, BeforeValidator(integer(*TABLE_BITS))] = 14
    scaling: Annotated[Scaling | None, BeforeValidator(choice(*SCALINGS))] = None

    @model_validator(mode="after")
    def _prior_belongs_to_target(self) -> EncodeSettings:
        if self.prior_weight is not None and self.encoding != "target":
            raise mistake(
                f"used by as = 'target' only; this feature is as = '{self.encoding}'", "prior_weight"
            )
        return self

    def spec(self, scaling: Scaling) -> EncodedFeature:
        """As the encoder and the fold read it; `scaling` is that of the table."""
        prior_weight = 10.0 if self.prior_weight is None else self.prior_weight
        return EncodedFeature(
            self.name, self.encoding, _of(self), prior_weight, self.bits, self.scaling or scaling
        )


def _of(settings: NumericSettings | BinSettings | TextSettings | EncodeSettings) -> str | None:
    """The field, where it is not that of the feature's own name."""
    return None if settings.of == settings.name else settings.of


class VocabularySettings(Table):
    """Which hashed features take part, and for how long."""

    min_count: Annotated[int, BeforeValidator(integer(1, LARGEST_COUNT))] = 1
    expire_after: Annotated[float | None, BeforeValidator(duration("1s", "36500d"))] = None

    @model_validator(mode="after")
    def _bounds_something(self) -> VocabularySettings:
        if self.min_count == 1 and self.expire_after is None:
            raise mistake("expected min_count above 1, expire_after, or both; else leave the table out")
        return self

    def spec(self) -> VocabularySpec:
        """As the fold reads it; the age in ms."""
        return VocabularySpec(self.min_count, round(1000 * (self.expire_after or 0.0)))
