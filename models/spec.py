"""What a model is: the resolved specification that stands in the learning log's genesis record.

Everything that the fold reads is here, with defaults written out, so that a changed default of a later
release cannot change a model that exists. Names, topics and intervals are not here: they change nothing
in the fold.

A field that a later release adds has the default that earlier logs behaved by: they are read without it.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Task = Literal["regression", "binary", "multiclass"]
ClassLabel = str | int | bool
Scaling = Literal["standard", "min-max", "none"]
Transform = Literal["none", "log"]
TextNorm = Literal["none", "l2"]
Encoding = Literal["frequency", "target"]
TimeCycle = Literal["minute-of-hour", "hour-of-day", "day-of-week", "day-of-month", "month-of-year"]
LearnerName = Literal["linear", "factorization-machine", "mlp", "counting"]
Activation = Literal["relu", "tanh", "gelu"]
LossName = Literal[
    "squared", "absolute", "huber", "quantile", "poisson", "log", "hinge", "squared-hinge", "cross-entropy"
]
OptimizerName = Literal[
    "sgd",
    "momentum",
    "nesterov",
    "adagrad",
    "rmsprop",
    "adam",
    "adamw",
    "ftrl-proximal",
    "normalized-adaptive",
]
ScheduleName = Literal["constant", "inverse-scaling", "exponential", "step", "cosine"]

DEFAULT_LOSSES: dict[Task, LossName] = {
    "regression": "squared",
    "binary": "log",
    "multiclass": "cross-entropy",
}
LOSSES_OF: dict[Task, tuple[LossName, ...]] = {
    "regression": ("squared", "absolute", "huber", "quantile", "poisson"),
    "binary": ("log", "hinge", "squared-hinge"),
    "multiclass": ("cross-entropy",),
}
"""The losses that serve a task."""

IN_UNITS_OF_THE_LABEL: tuple[LossName, ...] = ("squared", "absolute", "huber", "quantile")
"""Losses whose raw score is what the label is."""

FOLD_VERSION = 2
"""Counts changes of the fold's arithmetic or state layout; stands in every genesis record."""

DEFAULT_HASH_BITS = 18


def class_text(label: ClassLabel) -> str:
    """A class as it stands in names and messages: `true`, `1`, `a`."""
    return str(label).lower() if isinstance(label, bool) else str(label)


class NumericFeature(msgspec.Struct, frozen=True):
    """A declared numeric feature; `size` is the length of a list, None for a plain number.

    `transform` comes before the scaling: "log" is sign(x) log(1 + |x|). `of` is the sample's field that it is
    made of, None for the one of its own name.
    """

    name: str
    size: int | None = None
    scaling: Scaling = "standard"
    transform: Transform = "none"
    of: str | None = None

    def columns(self) -> list[str]:
        """Names of the columns it fills: `v`, or `v[0]` … `v[size-1]`."""
        return [self.name] if self.size is None else [f"{self.name}[{i}]" for i in range(self.size)]


class BinnedFeature(msgspec.Struct, frozen=True):
    """A number as an indicator of the bin it falls into; `edges` increase, and belong to the bin above."""

    name: str
    edges: tuple[float, ...]
    of: str | None = None


class TextFeature(msgspec.Struct, frozen=True):
    """A text as counts of n-grams: of 1 … `words` words, of `characters` from … to (see encoding_text)."""

    name: str
    words: int = 1
    characters: tuple[int, int] | None = None
    norm: TextNorm = "none"
    of: str | None = None


class EncodedFeature(msgspec.Struct, frozen=True):
    """A category as numbers: how often it came, or the labels that came with it (kernels.categories).

    The fold counts in 2^`bits` slots; `prior_weight` is m of a target encoding, `classes` the texts of the
    classes of a multiclass model, each of which is a column of its own.
    """

    name: str
    encoding: Encoding = msgspec.field(name="as")
    of: str | None = None
    prior_weight: float = 10.0
    bits: int = 14
    scaling: Scaling = "standard"
    classes: tuple[str, ...] = ()

    @property
    def column(self) -> str:
        """`dest#frequency`; what interactions call it."""
        return f"{self.name}#{self.encoding}"

    def columns(self) -> list[str]:
        """Names of the columns it fills: `dest#target`, or `dest#target[red]` … of several classes."""
        return [f"{self.column}[{one}]" for one in self.classes] or [self.column]


class VocabularySpec(msgspec.Struct, frozen=True):
    """Which hashed features take part: those that came in `min_count` learned samples, and not longer ago
    than `expire_after` ms of event time (0: for ever); see kernels.vocabulary.
    """

    min_count: int = 1
    expire_after: int = 0


class FeatureSpec(msgspec.Struct, frozen=True):
    """Declared features.

    `hash_bits` None: a dense model of numeric columns alone. `others` "include": undeclared features are
    taken by their type into the hashed part. `time` are cycles of the event time, `utc_offset` the minutes by
    which its clock is ahead of UTC.
    """

    numeric: tuple[NumericFeature, ...] = ()
    categorical: tuple[str, ...] = ()
    interactions: tuple[tuple[str, ...], ...] = ()
    hash_bits: int | None = None
    others: Literal["ignore", "include"] = "ignore"
    bins: tuple[BinnedFeature, ...] = ()
    time: tuple[TimeCycle, ...] = ()
    utc_offset: int = 0
    text: tuple[TextFeature, ...] = ()
    encode: tuple[EncodedFeature, ...] = ()
    vocabulary: VocabularySpec | None = None

    def hashes(self) -> bool:
        """Whether something declared here needs the hashed part."""
        return bool(self.categorical or self.bins or self.text) or self.others == "include"

    def numeric_columns(self) -> list[str]:
        """Names of the columns of a row, in order: declared numbers, then two of each cycle of the time."""
        declared = [column for feature in self.numeric for column in feature.columns()]
        return declared + [f"time.{cycle}.{part}" for cycle in self.time for part in ("sin", "cos")]

    def dense_columns(self) -> list[str]:
        """Names of all columns that are scaled: those of a row, then those that are made of categories."""
        return self.numeric_columns() + [column for feature in self.encode for column in feature.columns()]

    def scalings(self) -> list[Scaling]:
        """How each of `dense_columns()` is scaled."""
        time: list[Scaling] = ["none"] * (2 * len(self.time))
        declared = [feature.scaling for feature in self.numeric for _ in feature.columns()]
        return declared + time + [feature.scaling for feature in self.encode for _ in feature.columns()]

    def numbers(self) -> set[str]:
        """What interactions take as numbers: numeric features, and the columns of encoded ones."""
        return {one.name for one in self.numeric} | {one.column for one in self.encode}

    def products(self) -> list[tuple[int, int]]:
        """Interactions of two numeric features, as pairs of positions in `dense_columns()`."""
        position = {name: i for i, name in enumerate(self.dense_columns())}
        return [(position[a], position[b]) for a, b in self._numeric_pairs()]

    def product_names(self) -> list[str]:
        """Names of the weights of `products()`, in the same order."""
        return ["*".join(pair) for pair in self._numeric_pairs()]

    def hashed_interactions(self) -> list[tuple[str, ...]]:
        """Interactions with at least one categorical feature, in order."""
        return [cross for cross in self.interactions if not set(cross) <= self.numbers()]

    def _numeric_pairs(self) -> list[tuple[str, str]]:
        return [(cross[0], cross[1]) for cross in self.interactions if set(cross) <= self.numbers()]


class ScheduleSpec(msgspec.Struct, frozen=True):
    """How the learning rate changes with t, the samples learned before (models.schedules has the formulas).

    `power` belongs to "inverse-scaling"; `factor` and `every` to "exponential" and "step"; `floor` and
    `horizon` to "cosine"; `warmup` samples of linear growth to all.
    """

    name: ScheduleName = "constant"
    power: float = 0.5
    factor: float = 0.5
    every: int = 100_000
    horizon: int = 1_000_000
    floor: float = 0.0
    warmup: int = 0


class OptimizerSpec(msgspec.Struct, frozen=True):
    """An optimizer, its regularisation and clipping; models.optimizers says which takes what.

    `beta` is FTRL-proximal's; `momentum` that of "momentum" and "nesterov"; `rho` of "rmsprop"; `beta1` and
    `beta2` of "adam" and "adamw"; `epsilon` of these three; `weight_decay` of "adamw"; `norm` of
    "normalized-adaptive". `clip_value` and `clip_norm` bound a gradient's elements and its Euclidean norm; 0:
    they do not.
    """

    name: OptimizerName = "adagrad"
    learning_rate: float = 0.1
    schedule: ScheduleSpec = ScheduleSpec()
    l1: float = 0.0
    l2: float = 0.0
    beta: float = 1.0
    momentum: float = 0.9
    rho: float = 0.9
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.01
    clip_value: float = 0.0
    clip_norm: float = 0.0
    norm: Literal["rms", "max"] = "rms"


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

    "factorization-machine" has `factors` latent factors a feature, whose learning rate is `factor_rate` times
    that of the weights. "mlp" has `hidden` layers of units with
    one `activation`; its hashed features share one table of embeddings of size `embedding`, and those of a
    sample are summed. Both begin at small numbers that follow from `seed`: factors and embeddings have the
    standard deviation `deviation`.

    "counting" counts instead of learning, for audits: with SGD at rate 1 each learned sample adds its
    features to the weights, whatever its label, so an indicator's weight is how often it was learned.
    """

    name: LearnerName = "linear"
    factors: int = 8
    hidden: tuple[int, ...] = (64, 32)
    activation: Activation = "relu"
    embedding: int = 16
    deviation: float = 0.1
    seed: int = 0
    factor_rate: float = 1.0


class LossSpec(msgspec.Struct, frozen=True):
    """What is minimised: `delta` is Huber's threshold, `quantile` the one that "quantile" estimates."""

    name: LossName = "squared"
    delta: float = 1.0
    quantile: float = 0.5


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
    loss: LossSpec | None = None
    """None, as in logs from before there was a choice, becomes the task's default."""
    late_labels: bool = False
    """Whether labels come on a topic of their own: what waits for them stands in the learning log too."""

    def __post_init__(self) -> None:
        if self.loss is None:
            msgspec.structs.force_setattr(self, "loss", LossSpec(DEFAULT_LOSSES[self.task]))
        if self.task == "multiclass" and self.features.encode:
            texts = tuple(map(class_text, self.classes))
            encode = tuple(
                msgspec.structs.replace(one, classes=texts if one.encoding == "target" else ())
                for one in self.features.encode
            )
            features = msgspec.structs.replace(self.features, encode=encode)
            msgspec.structs.force_setattr(self, "features", features)

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
