"""What a model is: the resolved specification that stands in the learning log's genesis record.

Everything that the fold reads is here, with defaults written out, so that a changed default of a later
release cannot change a model that exists. Names, topics and intervals are not here: they change nothing
in the fold.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Task = Literal["regression", "binary", "multiclass"]
ClassLabel = str | int | bool

FOLD_VERSION = 2
"""Counts changes of the fold's arithmetic or state layout; stands in every genesis record."""

DEFAULT_HASH_BITS = 18


class NumericFeature(msgspec.Struct, frozen=True):
    """A declared numeric feature; `size` is the length of a list, None for a plain number."""

    name: str
    size: int | None = None
    scaling: Literal["standard", "none"] = "standard"

    def columns(self) -> list[str]:
        """Names of the columns it fills: `v`, or `v[0]` … `v[size-1]`."""
        return [self.name] if self.size is None else [f"{self.name}[{i}]" for i in range(self.size)]


class FeatureSpec(msgspec.Struct, frozen=True):
    """Declared features.

    `hash_bits` None: a dense model of numeric columns alone. `others` "include": undeclared features are
    taken by their type into the hashed part.
    """

    numeric: tuple[NumericFeature, ...] = ()
    categorical: tuple[str, ...] = ()
    interactions: tuple[tuple[str, ...], ...] = ()
    hash_bits: int | None = None
    others: Literal["ignore", "include"] = "ignore"

    def numeric_columns(self) -> list[str]:
        """Names of the dense columns, in order."""
        return [column for feature in self.numeric for column in feature.columns()]

    def products(self) -> list[tuple[int, int]]:
        """Interactions of two numeric features, as pairs of dense column positions."""
        position = {name: i for i, name in enumerate(self.numeric_columns())}
        return [(position[a], position[b]) for a, b in self._numeric_pairs()]

    def product_names(self) -> list[str]:
        """Names of the weights of `products()`, in the same order."""
        return ["*".join(pair) for pair in self._numeric_pairs()]

    def hashed_interactions(self) -> list[tuple[str, ...]]:
        """Interactions with at least one categorical feature, in order."""
        numeric = {feature.name for feature in self.numeric}
        return [cross for cross in self.interactions if not set(cross) <= numeric]

    def _numeric_pairs(self) -> list[tuple[str, str]]:
        numeric = {feature.name for feature in self.numeric}
        return [(cross[0], cross[1]) for cross in self.interactions if set(cross) <= numeric]


class ScheduleSpec(msgspec.Struct, frozen=True):
    """α_t = α ("constant"), or α / (t + 1)^power ("inverse-scaling"); t = samples learned before."""

    name: Literal["constant", "inverse-scaling"] = "constant"
    power: float = 0.5


class OptimizerSpec(msgspec.Struct, frozen=True):
    """An optimizer and its regularisation. `beta` is FTRL-proximal's alone."""

    name: Literal["sgd", "adagrad", "ftrl-proximal"] = "adagrad"
    learning_rate: float = 0.1
    schedule: ScheduleSpec = ScheduleSpec()
    l1: float = 0.0
    l2: float = 0.0
    beta: float = 1.0


class UpdateSpec(msgspec.Struct, frozen=True):
    """When and on what the optimizer steps."""

    name: Literal["sample", "batch", "window"] = "sample"
    batch_size: int = 32
    window_size: int = 1000
    stride: int = 100
    steps: int = 10
    tolerance: float = 0.0


class LearnerSpec(msgspec.Struct, frozen=True):
    """The family of the model.

    "counting" counts instead of learning, for audits: with SGD at rate 1 each learned sample adds its
    features to the weights, whatever its label, so an indicator's weight is how often it was learned.
    """

    name: Literal["linear", "counting"] = "linear"


class ModelSpec(msgspec.Struct, frozen=True):
    """All that the fold of one model's learning log reads."""

    task: Task
    features: FeatureSpec
    classes: tuple[ClassLabel, ...] = ()
    learner: LearnerSpec = LearnerSpec()
    optimizer: OptimizerSpec = OptimizerSpec()
    update: UpdateSpec = UpdateSpec()
    halt_after: int = 100
    """Updates refused in a row after which the model only predicts, until it is resumed; 0: never."""

    @property
    def outputs(self) -> int:
        """Number of raw scores: 1, or the number of classes of a multiclass model."""
        return len(self.classes) if self.task == "multiclass" else 1

    def to_json(self) -> bytes:
        """The canonical JSON text: sorted keys, defaults written out."""
        return msgspec.json.encode(self, order="sorted")

    @classmethod
    def from_json(cls, text: bytes | str) -> ModelSpec:
        """Read what `to_json` wrote; raises msgspec.ValidationError on anything else."""
        return msgspec.json.decode(text, type=cls)
