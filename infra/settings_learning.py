"""Learner, loss, optimizer, schedule and update of one model, each a name or a table with a name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import BeforeValidator, model_validator

from infra.settings_errors import Table, mistake
from infra.settings_values import choice, each, integer, number
from models.spec import (
    IN_UNITS_OF_THE_LABEL,
    Activation,
    LearnerName,
    LearnerSpec,
    LossName,
    LossSpec,
    OptimizerName,
    OptimizerSpec,
    ScheduleName,
    ScheduleSpec,
    UpdateSpec,
)

_USED_BY = {
    "batch_size": "batch",
    "window_size": "window",
    "stride": "window",
    "steps": "window",
    "tolerance": "window",
}
_Count = Annotated[int | None, BeforeValidator(integer(1, 1_000_000))]
_Penalty = Annotated[float, BeforeValidator(number(at_least=0))]
_Share = Annotated[float | None, BeforeValidator(number(above=0, at_most=0.999999))]
_Positive = Annotated[float | None, BeforeValidator(number(above=0, at_most=1e6))]
_Large = Annotated[int | None, BeforeValidator(integer(1, 10**12))]


def _check_used(table: Table, kind: str, name: str, used: Mapping[str, tuple[str, ...]]) -> None:
    """Raise for a key that was given and that `name` does not use; `used`: key → names that use it."""
    for key, names in used.items():
        if key in table.model_fields_set and name not in names:
            users = " and ".join(
                [", ".join(f"'{n}'" for n in names[:-1]), f"'{names[-1]}'"][len(names) == 1 :]
            )
            plural = "s" if len(names) > 1 else ""
            raise mistake(f"used by {kind}{plural} {users} only; the {kind} here is '{name}'", key)


def _given(table: Table, keys: Iterable[str]) -> dict[str, Any]:
    return {key: getattr(table, key) for key in keys if getattr(table, key) is not None}


def _layers(value: object) -> tuple[int, ...]:
    units = each(integer(1, 65_536), value, "numbers of units, one a hidden layer")
    if not 1 <= len(units) <= 32:
        raise mistake(f"expected 1 to 32 hidden layers, found {len(units)}")
    return tuple(units)


ADAPTIVE: Final = "normalized-adaptive"
ALIASES = {"fm": "factorization-machine"}


class LearnerSettings(Table):
    """The family of the model: see models.spec.LearnerSpec."""

    name: Annotated[
        LearnerName,
        BeforeValidator(choice(*get_args(LearnerName), aliases=ALIASES, later=_LATER)),
    ] = "linear"
    factors: Annotated[int | None, BeforeValidator(integer(1, 1024))] = None
    hidden: Annotated[tuple[int, ...] | None, BeforeValidator(_layers)] = None
    activation: Annotated[Activation | None, BeforeValidator(choice(*get_args(Activation)))] = None
    embedding: Annotated[int | None, BeforeValidator(integer(1, 4096))] = None
    deviation: _Positive = None
    factor_rate: _Positive = None
    seed: Annotated[int | None, BeforeValidator(integer(0, 2**20))] = None

    @model_validator(mode="after")
    def _keys_are_used(self) -> LearnerSettings:
        _check_used(self, "learner", self.name, _LEARNER_KEYS)
        return self

    def spec(self) -> LearnerSpec:
        """As the fold reads it."""
        return LearnerSpec(self.name, **_given(self, _LEARNER_KEYS))


_LATER = ("field-aware-factorization-machine",)
_LEARNER_KEYS = {
    "factors": ("factorization-machine",),
    "factor_rate": ("factorization-machine",),
    "hidden": ("mlp",),
    "activation": ("mlp",),
    "embedding": ("mlp",),
    "deviation": ("factorization-machine", "mlp"),
    "seed": ("factorization-machine", "mlp"),
}


class LossSettings(Table):
    """What is minimised: see models.losses."""

    name: Annotated[LossName, BeforeValidator(choice(*get_args(LossName)))]
    delta: _Positive = None
    quantile: _Share = None

    @model_validator(mode="after")
    def _keys_are_used(self) -> LossSettings:
        _check_used(self, "loss", self.name, {"delta": ("huber",), "quantile": ("quantile",)})
        return self

    def spec(self) -> LossSpec:
        """As the fold reads it."""
        return LossSpec(self.name, **_given(self, ("delta", "quantile")))


_SCHEDULE_KEYS = {
    "power": ("inverse-scaling",),
    "factor": ("exponential", "step"),
    "every": ("exponential", "step"),
    "horizon": ("cosine",),
    "floor": ("cosine",),
}


class ScheduleSettings(Table):
    """How the learning rate changes: see models.schedules."""

    name: Annotated[ScheduleName, BeforeValidator(choice(*get_args(ScheduleName)))] = "constant"
    power: Annotated[float | None, BeforeValidator(number(at_least=0, at_most=10))] = None
    factor: Annotated[float | None, BeforeValidator(number(above=0, at_most=1))] = None
    every: _Large = None
    horizon: _Large = None
    floor: Annotated[float | None, BeforeValidator(number(at_least=0, at_most=1))] = None
    warmup: Annotated[int | None, BeforeValidator(integer(0, 10**12))] = None

    @model_validator(mode="after")
    def _keys_are_used(self) -> ScheduleSettings:
        _check_used(self, "schedule", self.name, _SCHEDULE_KEYS)
        return self

    def spec(self) -> ScheduleSpec:
        """As the fold reads it."""
        return ScheduleSpec(self.name, **_given(self, (*_SCHEDULE_KEYS, "warmup")))


_RATES = {
    "sgd": 0.01,
    "momentum": 0.01,
    "nesterov": 0.01,
    "adagrad": 0.1,
    "rmsprop": 0.01,
    "adam": 0.001,
    "adamw": 0.001,
    "ftrl-proximal": 0.1,
    ADAPTIVE: 1.5,
}
_IN_UNITS_OF_THE_LABEL = 3.0
"""normalized-adaptive, whose steps are then in them, too."""
_BY_MAXIMUM = 0.5
"""And by the largest value, as in Vowpal Wabbit."""


def _default_rate(name: OptimizerName, norm: str | None, loss: LossName) -> float:
    if name != ADAPTIVE:
        return _RATES[name]
    if norm == "max":
        return _BY_MAXIMUM
    return _IN_UNITS_OF_THE_LABEL if loss in IN_UNITS_OF_THE_LABEL else _RATES[name]


_OPTIMIZER_KEYS: dict[str, tuple[str, ...]] = {
    "beta": ("ftrl-proximal",),
    "momentum": ("momentum", "nesterov"),
    "rho": ("rmsprop",),
    "beta1": ("adam", "adamw"),
    "beta2": ("adam", "adamw"),
    "epsilon": ("rmsprop", "adam", "adamw"),
    "weight_decay": ("adamw",),
    "norm": ("normalized-adaptive",),
}
_OWN_RATES: tuple[OptimizerName, ...] = ("ftrl-proximal",)
_BOUNDED: tuple[OptimizerName, ...] = ("normalized-adaptive",)


class OptimizerSettings(Table):
    """The optimizer, its regularisation and clipping: see models.spec.OptimizerSpec."""

    name: Annotated[
        OptimizerName,
        BeforeValidator(
            choice(*get_args(OptimizerName), aliases={"ftrl": "ftrl-proximal", "nag": "normalized-adaptive"})
        ),
    ]
    learning_rate: Annotated[float | None, BeforeValidator(number(above=0, at_most=1e6))] = None
    schedule: ScheduleSettings | None = None
    l1: _Penalty = 0.0
    l2: _Penalty = 0.0
    beta: Annotated[float | None, BeforeValidator(number(at_least=0, at_most=1e6))] = None
    momentum: _Share = None
    rho: _Share = None
    beta1: _Share = None
    beta2: _Share = None
    epsilon: _Positive = None
    weight_decay: Annotated[float | None, BeforeValidator(number(at_least=0, at_most=1e6))] = None
    clip_value: _Positive = None
    clip_norm: _Positive = None
    norm: Annotated[Literal["rms", "max"] | None, BeforeValidator(choice("rms", "max"))] = None

    @model_validator(mode="after")
    def _keys_are_used(self) -> OptimizerSettings:
        _check_used(self, "optimizer", self.name, _OPTIMIZER_KEYS)
        if self.schedule is not None and self.name in _OWN_RATES:
            raise mistake(f"optimizer '{self.name}' has rates of its own; leave the schedule out", "schedule")
        if self.name in _BOUNDED:
            for key in ("clip_value", "clip_norm"):
                if getattr(self, key) is not None:
                    raise mistake(f"optimizer '{self.name}' bounds its steps by itself; leave it out", key)
        rate = _RATES[self.name] if self.learning_rate is None else self.learning_rate
        if self.weight_decay is not None and rate * self.weight_decay >= 1:
            raise mistake(f"with learning_rate {rate:g} expected less than {1 / rate:g}", "weight_decay")
        return self

    def spec(self, loss: LossName) -> OptimizerSpec:
        """As the fold reads it, with this optimizer's defaults."""
        rate = self.learning_rate
        return OptimizerSpec(
            name=self.name,
            learning_rate=_default_rate(self.name, self.norm, loss) if rate is None else rate,
            schedule=ScheduleSpec() if self.schedule is None else self.schedule.spec(),
            l1=self.l1,
            l2=self.l2,
            **_given(self, (*_OPTIMIZER_KEYS, "clip_value", "clip_norm")),
        )


def default_optimizer(learner: LearnerName, loss: LossName) -> OptimizerSpec:
    """The optimizer of a model that names none."""
    return OptimizerSettings(name=DEFAULT_OPTIMIZERS[learner]).spec(loss)


DEFAULT_OPTIMIZERS: Mapping[str, OptimizerName] = {
    "linear": ADAPTIVE,
    "factorization-machine": "adagrad",
    "mlp": "adam",
    "counting": "sgd",
}
FORMER_DEFAULTS: dict[LearnerName, tuple[OptimizerSpec, ...]] = {"linear": (OptimizerSpec("adagrad", 0.1),)}
"""What earlier releases took for a model that names no optimizer: a log that was begun with it goes on so."""


class UpdateSettings(Table):
    """When and on what the optimizer steps; the keys beside `name` may stand in the model's table."""

    name: Annotated[
        Literal["sample", "batch", "window"], BeforeValidator(choice("sample", "batch", "window"))
    ] = "sample"
    batch_size: _Count = None
    window_size: _Count = None
    stride: _Count = None
    steps: _Count = None
    tolerance: Annotated[float | None, BeforeValidator(number(at_least=0))] = None

    @model_validator(mode="after")
    def _keys_are_used(self) -> UpdateSettings:
        for key, update in _USED_BY.items():
            if getattr(self, key) is not None and self.name != update:
                raise mistake(f"used by update '{update}' only; the update here is '{self.name}'", key)
        return self

    def spec(self) -> UpdateSpec:
        """As the fold reads it; keys that this update does not use have their defaults."""
        given = {key: getattr(self, key) for key in _USED_BY if getattr(self, key) is not None}
        return UpdateSpec(name=self.name, **given)
