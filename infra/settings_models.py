"""[models.NAME]: one model, its topics and what it learns."""

from __future__ import annotations

import re
from collections import Counter
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from infra.settings_errors import mistake, one_of, shown
from infra.settings_features import EVERY_FEATURE, FeatureSettings
from infra.settings_labels import InputSettings
from infra.settings_layers import UPDATE_KEYS
from infra.settings_learning import (
    ADAPTIVE,
    ALIASES,
    DEFAULT_OPTIMIZERS,
    FORMER_DEFAULTS,
    LearnerSettings,
    LossSettings,
    OptimizerSettings,
    UpdateSettings,
    default_optimizer,
)
from infra.settings_values import Topic, choice, duration, each, integer, items, text
from models.checks import FACTORS_APART
from models.spec import DEFAULT_LOSSES, LOSSES_OF, ClassLabel, ModelSpec, OptimizerSpec, Task

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)
OUTPUTS = {
    "predictions": "predictions",
    "dead_letters": "dead-letters",
    "learning_log": "learning-log",
}
"""The topics that a model writes: key → what follows the model's name and a dot by default."""

_TASKS = ("regression", "binary", "multiclass")
_LARGEST_CLASS = 2**53 - 1  # the largest integer that every JSON reader keeps exact


_class_name = text("a class")


def _class(value: Any) -> ClassLabel:
    if isinstance(value, str):
        return str(_class_name(value))
    if not -_LARGEST_CLASS <= value <= _LARGEST_CLASS:
        raise mistake(f"expected an integer between -(2^53 - 1) and 2^53 - 1, found {shown(value)}")
    return bool(value) if isinstance(value, bool) else int(value)


def _classes(value: object) -> tuple[ClassLabel, ...]:
    kinds = {type(one) for one in items(value, "classes")}
    if not kinds or len(kinds) > 1 or not kinds <= {str, int, bool}:
        raise mistake(
            f"expected classes that are all texts, all integers or all booleans, found {shown(value)}"
        )
    found = each(_class, value, "classes")
    twice = [one for one, count in Counter(found).items() if count > 1]
    if twice:
        raise mistake(f"{shown(twice[0])} is given twice")
    return tuple(found)


class ModelSettings(InputSettings):
    """One model: what it reads and writes, and how it learns."""

    also_allowed: ClassVar[tuple[str, ...]] = UPDATE_KEYS
    not_written: ClassVar[frozenset[str]] = frozenset({"name"})

    predictions: Topic
    dead_letters: Topic
    learning_log: Topic
    task: Annotated[Task, BeforeValidator(choice(*_TASKS))] = Field(description=one_of(_TASKS))
    classes: Annotated[tuple[ClassLabel, ...] | None, BeforeValidator(_classes)] = None
    learner: LearnerSettings = LearnerSettings()
    loss: LossSettings | None = None
    optimizer: OptimizerSettings | None = None
    update: UpdateSettings = UpdateSettings()
    features: FeatureSettings | None = None
    save_every: Annotated[float, BeforeValidator(duration("10ms", "1d"))] = 1.0
    """Seconds between two checkpoints."""
    learning_log_retention: Annotated[float, BeforeValidator(duration("1s", "36500d"))] = 30 * 86400.0
    """Seconds for which the learning log is kept."""
    halt_after: Annotated[int, BeforeValidator(integer(0, 1_000_000))] = 100
    """Refused updates in a row after which the model only predicts, until `gradstream resume`; 0: never."""
    audit_every: Annotated[int, BeforeValidator(integer(1, 1_000_000))] = 500
    """Log records between two comparisons of the workers' states."""
    on_hole: Annotated[Literal["stop", "skip"], BeforeValidator(choice("stop", "skip"))] = "stop"

    @model_validator(mode="before")
    @classmethod
    def _name_topics(cls, table: Any) -> Any:
        if not isinstance(table, dict) or "name" not in table:
            return table
        table = {key: f"{table['name']}.{ending}" for key, ending in OUTPUTS.items()} | table
        optimizer, learner = table.get("optimizer"), table.get("learner")
        if isinstance(optimizer, dict) and "name" not in optimizer:
            name = learner.get("name", "linear") if isinstance(learner, dict) else "linear"
            table["optimizer"] = {
                "name": DEFAULT_OPTIMIZERS.get(ALIASES.get(name, name), ADAPTIVE),
                **optimizer,
            }
        return table

    @model_validator(mode="after")
    def _classes_fit_the_task(self) -> ModelSettings:
        classes = self.classes
        if self.task == "regression" and classes is not None:
            raise mistake(
                "used by tasks 'binary' and 'multiclass' only; the task here is 'regression'", "classes"
            )
        if self.task == "multiclass" and (classes is None or len(classes) < 2):
            found = "missing; " if classes is None else ""
            raise mistake(f"{found}task 'multiclass' needs at least two classes", "classes")
        if self.task == "binary" and classes is not None and len(classes) != 2:
            raise mistake(f"task 'binary' has exactly two classes, found {len(classes)}", "classes")
        return self

    @model_validator(mode="after")
    def _missing_labels_fit_the_task(self) -> ModelSettings:
        if self.on_missing == "negative" and self.task != "binary":
            raise mistake(
                f"'negative', the first class, is for task 'binary' only; the task here is '{self.task}'",
                "on_missing",
            )
        return self

    @model_validator(mode="after")
    def _encoded_features_fit_the_classes(self) -> ModelSettings:
        if self.task == "multiclass" and self.features is not None:
            self.features.check_classes(len(self.classes or ()))
        return self

    @model_validator(mode="after")
    def _counting_is_plain(self) -> ModelSettings:
        if self.learner.name == "counting":
            if self.task != "regression":
                raise mistake(
                    f"'counting' is for task 'regression' only; the task here is '{self.task}'", "learner"
                )
            for key in ("optimizer", "loss"):
                if getattr(self, key) is not None:
                    raise mistake("learner 'counting' has none; leave it out", key)
        return self

    @model_validator(mode="after")
    def _loss_serves_the_task(self) -> ModelSettings:
        if self.loss is not None and self.loss.name not in LOSSES_OF[self.task]:
            serving = one_of(LOSSES_OF[self.task])
            raise mistake(
                f"'{self.loss.name}' does not serve task '{self.task}'; expected {serving}", "loss", "name"
            )
        return self

    @model_validator(mode="after")
    def _optimizer_serves_the_learner(self) -> ModelSettings:
        named = None if self.optimizer is None else self.optimizer.name
        if named == "normalized-adaptive" and self.learner.name != "linear":
            raise mistake(
                f"'{named}' serves learner 'linear' only; the learner here is '{self.learner.name}'",
                "optimizer",
                "name",
            )
        used = DEFAULT_OPTIMIZERS.get(self.learner.name) if named is None else named
        if self.learner.factor_rate not in (None, 1.0) and used not in FACTORS_APART:
            raise mistake(
                f"goes with optimizer {one_of(FACTORS_APART)}, found '{used}'", "learner", "factor_rate"
            )
        return self

    @model_validator(mode="after")
    def _topics_differ(self) -> ModelSettings:
        used = {comparable(self.samples): "samples"}
        for key in (*OUTPUTS, "labels"):
            topic = getattr(self, key)
            if topic is None:
                continue
            other = used.setdefault(comparable(topic), key)
            if other != key:
                raise mistake(f"{shown(topic)} is the topic of {other} already; expected another", key)
        return self

    def spec(self, begun_with: ModelSpec | None = None) -> ModelSpec:
        """All that the fold reads, every default written out.

        `begun_with`: the specification in the model's log, where there is one. A default that has changed
        since the log was begun is what it was then.
        """
        classes = self.classes or ((0, 1) if self.task == "binary" else ())
        return ModelSpec(
            task=self.task,
            features=EVERY_FEATURE if self.features is None else self.features.spec(),
            classes=classes,
            learner=self.learner.spec(),
            optimizer=self._optimizer(begun_with),
            update=self.update.spec(),
            halt_after=self.halt_after,
            loss=None if self.loss is None else self.loss.spec(),
            late_labels=self.labels is not None,
        )

    def _optimizer(self, begun_with: ModelSpec | None) -> OptimizerSpec:
        if self.learner.name == "counting":
            return OptimizerSpec("sgd", 1.0)
        loss = DEFAULT_LOSSES[self.task] if self.loss is None else self.loss.name
        if self.optimizer is not None:
            return self.optimizer.spec(loss)
        if begun_with is not None and begun_with.optimizer in FORMER_DEFAULTS.get(self.learner.name, ()):
            return begun_with.optimizer
        return default_optimizer(self.learner.name, loss)


def comparable(topic: str) -> str:
    """Kafka refuses a topic whose name differs from another's only in '.' against '_'."""
    return topic.replace(".", "_")


def named(models: object) -> object:
    """The tables of [models] with each model's name put in; raises on a name that is not one."""
    if not isinstance(models, dict):
        raise mistake("expected tables [models.NAME]")
    for name, table in models.items():
        if not NAME.fullmatch(name):
            raise mistake(
                "not a model name; expected at most 63 of letters, digits, '.', '_' and '-', "
                "beginning with a letter or a digit",
                name,
            )
        if isinstance(table, dict) and "name" in table:
            raise mistake(
                "unknown key; the model's name stands in the table's head, [models.NAME]", name, "name"
            )
        if not isinstance(table, (dict, ModelSettings)):
            raise mistake(f"expected a table, found {shown(table)}", name)
    if not models:
        raise mistake("none is declared; add a table [models.NAME] with samples and task")
    return {
        name: {**table, "name": name} if isinstance(table, dict) else table for name, table in models.items()
    }
