"""[models.NAME.features]: which features a model takes, and as what."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any, Literal

import msgspec
from pydantic import BeforeValidator, model_validator

from infra.settings_errors import Table, did_you_mean, mistake, shown
from infra.settings_feature_kinds import (
    MAX_COLUMNS,
    SCALINGS,
    BinSettings,
    EncodeSettings,
    NumericSettings,
    TextSettings,
    VocabularySettings,
    cycles,
    named_entries,
    names,
    offset_minutes,
    tables,
)
from infra.settings_values import choice, each, integer
from models.encoding_fields import fields_of
from models.errors import SpecError
from models.spec import DEFAULT_HASH_BITS, FeatureSpec, Scaling, TimeCycle

EVERY_FEATURE = FeatureSpec(hash_bits=DEFAULT_HASH_BITS, others="include")
"""The features of a model without a features table."""

_numeric = named_entries("feature names or tables { name = …, size = … }")
_text = named_entries("feature names or tables { name = …, words = … }")
_bins = tables("name = …, edges = […]")
_encode = tables("name = …, as = …")


def _crosses(value: object) -> list[Any]:
    return each(names, value, "lists of feature names")


class FeatureSettings(Table):
    """The declared features of a model."""

    numeric: Annotated[tuple[NumericSettings, ...], BeforeValidator(_numeric)] = ()
    categorical: Annotated[tuple[str, ...], BeforeValidator(names)] = ()
    bins: Annotated[tuple[BinSettings, ...], BeforeValidator(_bins)] = ()
    time: Annotated[tuple[TimeCycle, ...], BeforeValidator(cycles)] = ()
    utc_offset: Annotated[int | None, BeforeValidator(offset_minutes)] = None
    text: Annotated[tuple[TextSettings, ...], BeforeValidator(_text)] = ()
    encode: Annotated[tuple[EncodeSettings, ...], BeforeValidator(_encode)] = ()
    interactions: Annotated[tuple[tuple[str, ...], ...], BeforeValidator(_crosses)] = ()
    hash_bits: Annotated[int | None, BeforeValidator(integer(8, 28))] = None
    vocabulary: VocabularySettings | None = None
    others: Annotated[Literal["ignore", "include"], BeforeValidator(choice("ignore", "include"))] = "ignore"
    scaling: Annotated[Scaling, BeforeValidator(choice(*SCALINGS))] = "standard"

    @model_validator(mode="after")
    def _fits_together(self) -> FeatureSettings:
        spec = self.spec()
        if not spec.dense_columns() and not spec.hashes():
            raise mistake(
                "no feature is declared; list some under numeric, categorical, bins, time, text or encode, "
                "set others = 'include', or leave the table out to take every feature"
            )
        if self.utc_offset is not None and not self.time:
            raise mistake("used by time only; no cycle is declared there", "utc_offset")
        if self.vocabulary is not None and spec.hash_bits is None:
            raise mistake(
                "bounds hashed features, and none is declared; list some under categorical, bins or text, "
                "or leave it out",
                "vocabulary",
            )
        self._check_names()
        try:
            fields_of(spec)
        except SpecError as error:
            raise mistake(str(error).removeprefix("features: ")) from None
        seen: set[frozenset[str]] = set()
        for i, cross in enumerate(self.interactions):
            self._check_cross(cross, i)
            if frozenset(cross) in seen:
                raise mistake(f"{shown(list(cross))} is declared twice", "interactions", i)
            seen.add(frozenset(cross))
        _check_columns(spec)
        return self

    def _check_names(self) -> None:
        seen: dict[str, str] = {}
        declared = {
            "numeric": [one.name for one in self.numeric],
            "categorical": list(self.categorical),
            "bins": [one.name for one in self.bins],
            "text": [one.name for one in self.text],
            "encode": [one.column for one in self.spec().encode],
        }
        for key, those in declared.items():
            for i, name in enumerate(those):
                other = seen.setdefault(name, key)
                if other != key or name in those[:i]:
                    mend = f"; give one another name, and of = {shown(name)}" if other != key else ""
                    raise mistake(f"{shown(name)} is declared twice{mend}", key, i)
        for i, one in enumerate(self.encode):
            if one.name in declared["text"]:
                raise mistake(
                    f"{shown(one.name)} is a text, whose n-grams have such names too; give one another name, "
                    f"and of = {shown(one.name)}",
                    "encode", i,
                )  # fmt: skip

    def _check_cross(self, cross: tuple[str, ...], i: int) -> None:
        sizes = {one.name: one.size for one in self.numeric}
        sizes |= {one.column: None for one in self.spec().encode}
        texts = [one.name for one in self.text]
        declared = [*sizes, *self.categorical, *(one.name for one in self.bins)]
        for j, name in enumerate(cross):
            if name not in declared and name not in texts:
                hint = did_you_mean(name, declared)
                raise mistake(
                    f"{shown(name)} is not declared under numeric, categorical, bins or encode{hint}",
                    "interactions", i, j,
                )  # fmt: skip
            if sizes.get(name) is not None or name in texts:
                kind = "text" if name in texts else "list"
                raise mistake(
                    f"{shown(name)} is a {kind}; an interaction takes single values", "interactions", i, j
                )
        if len(cross) < 2 or len(set(cross)) < len(cross):
            raise mistake(
                f"expected at least two different names, found {shown(list(cross))}", "interactions", i
            )
        numeric = sum(name in sizes for name in cross)
        if numeric > 1 and len(cross) > 2:
            raise mistake(
                f"expected categorical names with at most one numeric, or two numeric names, found {numeric} "
                f"numeric of {len(cross)}",
                "interactions",
                i,
            )

    def check_classes(self, classes: int) -> None:
        """Raise a mistake where a target encoding of several classes cannot be what it is used for."""
        spec = self.spec()
        targets = [one.column for one in spec.encode if one.encoding == "target"]
        for i, cross in enumerate(self.interactions):
            for j, name in enumerate(cross):
                if name in targets:
                    raise mistake(
                        f"{shown(name)} has a column for each class; an interaction takes single values",
                        "features", "interactions", i, j,
                    )  # fmt: skip
        columns = len(spec.dense_columns()) + len(targets) * (classes - 1)
        if columns > MAX_COLUMNS:
            raise mistake(
                f"{columns} columns with one for each class; at most {MAX_COLUMNS} are allowed",
                "features", "encode",
            )  # fmt: skip

    def spec(self) -> FeatureSpec:
        """As encoder and fold read it."""
        spec = FeatureSpec(
            numeric=tuple(one.spec(self.scaling) for one in self.numeric),
            categorical=self.categorical,
            interactions=self.interactions,
            hash_bits=self.hash_bits,
            others=self.others,
            bins=tuple(one.spec() for one in self.bins),
            time=self.time,
            utc_offset=self.utc_offset or 0,
            text=tuple(one.spec() for one in self.text),
            encode=tuple(one.spec(self.scaling) for one in self.encode),
            vocabulary=None if self.vocabulary is None else self.vocabulary.spec(),
        )
        if spec.hash_bits is None and spec.hashes():
            return msgspec.structs.replace(spec, hash_bits=DEFAULT_HASH_BITS)
        return spec


def _check_columns(spec: FeatureSpec) -> None:
    columns = spec.dense_columns()
    if len(columns) > MAX_COLUMNS:
        raise mistake(f"{len(columns)} columns with all lists; at most {MAX_COLUMNS} are allowed", "numeric")
    # People read the weights by name: two weights of one name would hide each other.
    counts = Counter([*columns, *spec.product_names(), "intercept"])
    for name, count in counts.items():
        if count > 1:
            raise mistake(f"two weights would be called {shown(name)}; rename the feature", "numeric")
