"""What a specification must be for the fold to run it: the last check before anything is learned."""

from __future__ import annotations

import math

from models.errors import SpecError
from models.spec import LOSSES_OF, FeatureSpec, ModelSpec, OptimizerSpec, ScheduleSpec

LARGEST_RATE = 1e6
LARGEST_PRIOR_WEIGHT = 1e9
FACTORS_APART = ("sgd", "adagrad", "rmsprop")
"""Optimizers under which factors may have a rate of their own: they move a param by its rate times something,
and only in steps that have its feature."""
LARGEST_COUNT = 10**9
LARGEST_AGE = 100 * 366 * 86_400_000
"""A century, in ms."""


def check_spec(spec: ModelSpec) -> None:
    """Raise SpecError if the fold cannot run this specification."""
    if spec.task == "multiclass" and len(spec.classes) < 2:
        raise SpecError(
            f"classes: found {len(spec.classes)}, a multiclass model needs two or more; name them all"
        )
    bits = spec.features.hash_bits
    if bits is not None and not 1 <= bits <= 30:
        raise SpecError(f"features.hash_bits: expected 1 to 30, found {bits}; 18 is a good start")
    if spec.halt_after < 0:
        raise SpecError(f"halt_after: expected 0 or more, found {spec.halt_after}")
    for name in ("batch_size", "window_size", "stride", "steps"):
        if getattr(spec.update, name) < 1:
            raise SpecError(f"update.{name}: expected 1 or more, found {getattr(spec.update, name)}")
    _check_encoded(spec)
    _check_vocabulary(spec.features)
    _check_loss(spec)
    _check_optimizer(spec.optimizer)
    _check_learner(spec)


def _check_encoded(spec: ModelSpec) -> None:
    for one in spec.features.encode:
        where = f"features.encode: {one.name}"
        if not 1 <= one.bits <= 30:
            raise SpecError(f"{where}: bits: expected 1 to 30, found {one.bits}; 14 is a good start")
        if not 0.0 <= one.prior_weight <= LARGEST_PRIOR_WEIGHT:
            raise SpecError(
                f"{where}: prior_weight: expected 0 to {LARGEST_PRIOR_WEIGHT:g}, found {one.prior_weight}"
            )
        if one.classes and (one.encoding != "target" or len(one.classes) != spec.outputs):
            raise SpecError(f"{where}: classes are not those of the model")
        if one.classes and any(one.column in cross for cross in spec.features.interactions):
            raise SpecError(
                f"features.interactions: {one.column!r} has a column for each class; expected a single number"
            )


def _check_vocabulary(features: FeatureSpec) -> None:
    given = features.vocabulary
    if given is None:
        return
    if features.hash_bits is None:
        raise SpecError("features.vocabulary: no feature is hashed; leave it out")
    if not 1 <= given.min_count <= LARGEST_COUNT:
        raise SpecError(
            f"features.vocabulary: min_count: expected 1 to {LARGEST_COUNT:,}, found {given.min_count}"
        )
    if not 0 <= given.expire_after <= LARGEST_AGE:
        raise SpecError(
            f"features.vocabulary: expire_after: expected 0 to {LARGEST_AGE:,} ms, found {given.expire_after}"
        )


def _check_loss(spec: ModelSpec) -> None:
    assert spec.loss is not None  # ModelSpec fills it in
    serving = LOSSES_OF[spec.task]
    if spec.loss.name not in serving:
        raise SpecError(
            f"loss: found {spec.loss.name!r}, task {spec.task!r} is served by {', '.join(serving)}"
        )
    if not 0.0 < spec.loss.delta < math.inf:
        raise SpecError(f"loss.delta: expected a number above 0, found {spec.loss.delta}")
    if not 0.0 < spec.loss.quantile < 1.0:
        raise SpecError(f"loss.quantile: expected a number between 0 and 1, found {spec.loss.quantile}")


def _check_optimizer(optimizer: OptimizerSpec) -> None:
    rate = optimizer.learning_rate
    if not 0.0 < rate <= LARGEST_RATE:
        raise SpecError(
            f"optimizer.learning_rate: expected a number above 0 and at most {LARGEST_RATE:g}, found {rate}"
        )
    for name in ("l1", "l2", "beta", "weight_decay", "clip_value", "clip_norm"):
        if not (0.0 <= getattr(optimizer, name) < math.inf):
            raise SpecError(f"optimizer.{name}: expected 0 or more, found {getattr(optimizer, name)}")
    for name in ("momentum", "rho", "beta1", "beta2"):
        if not (0.0 < getattr(optimizer, name) < 1.0):
            raise SpecError(f"optimizer.{name}: expected between 0 and 1, found {getattr(optimizer, name)}")
    if not 0.0 < optimizer.epsilon < math.inf:
        raise SpecError(f"optimizer.epsilon: expected a number above 0, found {optimizer.epsilon}")
    if optimizer.name == "adamw" and rate * optimizer.weight_decay >= 1.0:
        raise SpecError(
            f"optimizer.weight_decay: with learning_rate {rate} at most {1 / rate:g}, "
            f"found {optimizer.weight_decay}"
        )
    _check_schedule(optimizer.schedule)
    if optimizer.name == "ftrl-proximal" and optimizer.schedule.name != "constant":
        raise SpecError(
            f"optimizer.schedule: found {optimizer.schedule.name}, but ftrl-proximal adapts its own rates; "
            "leave the schedule out"
        )
    if optimizer.name == "normalized-adaptive" and (optimizer.clip_value or optimizer.clip_norm):
        raise SpecError(
            "optimizer: clips nothing with normalized-adaptive, whose steps are bounded; leave it out"
        )


def _check_schedule(schedule: ScheduleSpec) -> None:
    if not (0.0 <= schedule.power < math.inf and 0.0 < schedule.factor <= 1.0):
        raise SpecError("optimizer.schedule: expected a power of 0 or more and a factor above 0, at most 1")
    if not 0.0 <= schedule.floor <= 1.0:
        raise SpecError(f"optimizer.schedule.floor: expected 0 to 1, found {schedule.floor}")
    if schedule.every < 1 or schedule.horizon < 1 or schedule.warmup < 0:
        raise SpecError("optimizer.schedule: expected every and horizon of 1 or more, a warmup of 0 or more")


def _check_learner(spec: ModelSpec) -> None:
    learner, optimizer = spec.learner, spec.optimizer
    counts = OptimizerSpec("sgd", 1.0)
    if learner.name == "counting" and (spec.task, optimizer) != ("regression", counts):
        raise SpecError("learner: 'counting' is for task 'regression' with plain sgd at rate 1")
    if learner.name in ("factorization-machine", "mlp") and optimizer.name == "normalized-adaptive":
        raise SpecError(
            f"optimizer: 'normalized-adaptive' serves learner 'linear' only, the learner is {learner.name!r}"
        )
    if learner.factors < 1 or learner.embedding < 1 or any(units < 1 for units in learner.hidden):
        raise SpecError("learner: expected factors, embedding and all hidden layers of 1 or more")
    if learner.name == "mlp" and not learner.hidden:
        raise SpecError("learner.hidden: expected at least one hidden layer; learner 'linear' has none")
    if not 0.0 < learner.factor_rate <= LARGEST_RATE:
        raise SpecError(
            f"learner.factor_rate: expected above 0 to {LARGEST_RATE:g}, found {learner.factor_rate}"
        )
    if learner.factor_rate != 1.0 and optimizer.name not in FACTORS_APART:
        raise SpecError(
            f"learner.factor_rate: goes with optimizer {', '.join(FACTORS_APART)}, found {optimizer.name!r}"
        )
    if not 0.0 < learner.deviation < math.inf or learner.seed < 0:
        raise SpecError("learner: expected a deviation above 0 and a seed of 0 or more")
