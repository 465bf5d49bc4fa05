"""[models.NAME.features]: which features a model takes, and as what."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from infra.settings_errors import Table, did_you_mean, mistake, shown
from infra.settings_values import choice, each, integer, text
from models.spec import DEFAULT_HASH_BITS, FeatureSpec, NumericFeature

MAX_COLUMNS = 32_767
"""Dense columns of one model: positions are int16 in models.rows.Rows.scaled_by."""

EVERY_FEATURE = FeatureSpec(hash_bits=DEFAULT_HASH_BITS, others="include")
"""The features of a model without a features table."""

_feature_name = text("a feature name")
_Scaling = Literal["standard", "none"]


def _numeric_entry(value: object) -> Any:
    return value if isinstance(value, dict) else {"name": _feature_name(value)}


def _numeric(value: object) -> list[Any]:
    return each(_numeric_entry, value, "feature names or tables { name = …, size = … }")


def _names(value: object) -> list[Any]:
    return each(_feature_name, value, "feature names")


def _crosses(value: object) -> list[Any]:
    return each(_names, value, "lists of feature names")


class NumericSettings(Table):
    """A numeric feature: a number, or a list of `size` numbers."""

    name: Annotated[str, BeforeValidator(_feature_name)] = Field(description="the feature's name")
    size: Annotated[int | None, BeforeValidator(integer(1, MAX_COLUMNS))] = None
    scaling: Annotated[_Scaling | None, BeforeValidator(choice("standard", "none"))] = None


class FeatureSettings(Table):
    """The declared features of a model."""

    numeric: Annotated[tuple[NumericSettings, ...], BeforeValidator(_numeric)] = ()
    categorical: Annotated[tuple[str, ...], BeforeValidator(_names)] = ()
    interactions: Annotated[tuple[tuple[str, ...], ...], BeforeValidator(_crosses)] = ()
    hash_bits: Annotated[int | None, BeforeValidator(integer(8, 28))] = None
    others: Annotated[Literal["ignore", "include"], BeforeValidator(choice("ignore", "include"))] = "ignore"
    scaling: Annotated[_Scaling, BeforeValidator(choice("standard", "none"))] = "standard"

    @model_validator(mode="after")
    def _fits_together(self) -> FeatureSettings:
        if not self.numeric and not self.categorical and self.others == "ignore":
            raise mistake(
                "no feature is declared; list some under numeric or categorical, set others = 'include', "
                "or leave the table out to take every feature"
            )
        self._check_names()
        seen: set[frozenset[str]] = set()
        for i, cross in enumerate(self.interactions):
            self._check_cross(cross, i)
            if frozenset(cross) in seen:
                raise mistake(f"{shown(list(cross))} is declared twice", "interactions", i)
            seen.add(frozenset(cross))
        self._check_columns()
        return self

    def _check_names(self) -> None:
        seen: set[str] = set()
        for key, names in (
            ("numeric", [one.name for one in self.numeric]),
            ("categorical", self.categorical),
        ):
            for i, name in enumerate(names):
                if name in seen:
                    raise mistake(f"{shown(name)} is declared twice", key, i)
                seen.add(name)

    def _check_cross(self, cross: tuple[str, ...], i: int) -> None:
        sizes = {one.name: one.size for one in self.numeric}
        declared = [*sizes, *self.categorical]
        for j, name in enumerate(cross):
            if name not in declared:
                hint = did_you_mean(name, declared)
                raise mistake(
                    f"{shown(name)} is declared neither numeric nor categorical{hint}", "interactions", i, j
                )
            if sizes.get(name) is not None:
                raise mistake(
                    f"{shown(name)} is a list; an interaction takes single values", "interactions", i, j
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

    def _check_columns(self) -> None:
        spec = self.spec()
        columns = spec.numeric_columns()
        if len(columns) > MAX_COLUMNS:
            raise mistake(
                f"{len(columns)} columns with all lists; at most {MAX_COLUMNS} are allowed", "numeric"
            )
        # People read the weights by name: two weights of one name would hide each other.
        counts = Counter([*columns, *spec.product_names(), "intercept"])
        for name, count in counts.items():
            if count > 1:
                raise mistake(f"two weights would be called {shown(name)}; rename the feature", "numeric")

    def spec(self) -> FeatureSpec:
        """As the fold reads it."""
        hashed = bool(self.categorical) or self.others == "include"
        return FeatureSpec(
            numeric=tuple(
                NumericFeature(one.name, one.size, one.scaling or self.scaling) for one in self.numeric
            ),
            categorical=self.categorical,
            interactions=self.interactions,
            hash_bits=DEFAULT_HASH_BITS if self.hash_bits is None and hashed else self.hash_bits,
            others=self.others,
        )
