"""Learner, optimizer, schedule and update of one model, each a name or a table with a name."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, model_validator

from infra.settings_errors import Table, mistake
from infra.settings_values import choice, integer, number
from models.spec import LearnerSpec, OptimizerSpec, ScheduleSpec, UpdateSpec

ADAPTIVE: Final = "adagrad"
"""The optimizer of a model that names none."""

_RATES = {"sgd": 0.01, "adagrad": 0.1, "ftrl-proximal": 0.1}
_LATER = ("factorization-machine", "field-aware-factorization-machine", "mlp", "adam")
_USED_BY = {
    "batch_size": "batch",
    "window_size": "window",
    "stride": "window",
    "steps": "window",
    "tolerance": "window",
}
_Count = Annotated[int | None, BeforeValidator(integer(1, 1_000_000))]
_Penalty = Annotated[float, BeforeValidator(number(at_least=0))]


class LearnerSettings(Table):
    """The family of the model."""

    name: Annotated[
        Literal["linear", "counting"], BeforeValidator(choice("linear", "counting", later=_LATER))
    ] = "linear"

    def spec(self) -> LearnerSpec:
        """As the fold reads it."""
        return LearnerSpec(self.name)


class ScheduleSettings(Table):
    """How the learning rate falls: see models.spec.ScheduleSpec."""

    name: Annotated[
        Literal["constant", "inverse-scaling"], BeforeValidator(choice("constant", "inverse-scaling"))
    ] = "constant"
    power: Annotated[float | None, BeforeValidator(number(at_least=0, at_most=10))] = None

    @model_validator(mode="after")
    def _power_is_used(self) -> ScheduleSettings:
        if self.power is not None and self.name == "constant":
            raise mistake("used by schedule 'inverse-scaling' only; the schedule here is 'constant'", "power")
        return self

    def spec(self) -> ScheduleSpec:
        """As the fold reads it."""
        default = ScheduleSpec(self.name)
        return default if self.power is None else ScheduleSpec(self.name, self.power)


class OptimizerSettings(Table):
    """The optimizer and its regularisation."""

    name: Annotated[
        Literal["sgd", "adagrad", "ftrl-proximal"],
        BeforeValidator(choice("sgd", "adagrad", "ftrl-proximal", aliases={"ftrl": "ftrl-proximal"})),
    ] = ADAPTIVE
    learning_rate: Annotated[float | None, BeforeValidator(number(above=0, at_most=1e6))] = None
    schedule: ScheduleSettings | None = None
    l1: _Penalty = 0.0
    l2: _Penalty = 0.0
    beta: Annotated[float | None, BeforeValidator(number(at_least=0, at_most=1e6))] = None

    @model_validator(mode="after")
    def _keys_are_used(self) -> OptimizerSettings:
        ftrl = self.name == "ftrl-proximal"
        if self.beta is not None and not ftrl:
            raise mistake(
                f"used by optimizer 'ftrl-proximal' only; the optimizer here is '{self.name}'", "beta"
            )
        if self.schedule is not None and ftrl:
            raise mistake(
                "used by optimizers 'sgd' and 'adagrad' only; 'ftrl-proximal' has rates of its own",
                "schedule",
            )
        return self

    def spec(self) -> OptimizerSpec:
        """As the fold reads it, with this optimizer's defaults."""
        default = OptimizerSpec()
        return OptimizerSpec(
            name=self.name,
            learning_rate=_RATES[self.name] if self.learning_rate is None else self.learning_rate,
            schedule=ScheduleSpec() if self.schedule is None else self.schedule.spec(),
            l1=self.l1,
            l2=self.l2,
            beta=default.beta if self.beta is None else self.beta,
        )


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
