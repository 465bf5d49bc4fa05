"""Run in a process of its own: prints the digests of the self-test and of longer runs of one kind of model.

Kernels are compiled for each kind by itself (models.kernels.plan), so each is looked at.
"""

from __future__ import annotations

import sys
from itertools import product

from models.model import Model
from models.self_test import self_test_digest
from models.spec import LearnerSpec, LossSpec, ModelSpec, OptimizerSpec, Task
from tests.models.samples import ALL_OPTIMIZERS, OPTIMIZERS, UPDATES, learn_all, make_rows, model_spec

TASKS: tuple[Task, ...] = ("regression", "binary", "multiclass")
LAZY = [o for o in ALL_OPTIMIZERS if o not in OPTIMIZERS]
NORMALIZED = [OptimizerSpec("normalized-adaptive", 0.5, norm=norm) for norm in ("rms", "max")]
MACHINE = LearnerSpec("factorization-machine")
NETWORKS = [LearnerSpec("mlp", hidden=(9, 5), activation=activation) for activation in ("tanh", "gelu")]


def linear(optimizers: list[OptimizerSpec]) -> list[ModelSpec]:
    return [
        model_spec(task, 12, 8, products=True, optimizer=optimizer, update=update)
        for task, optimizer, update in product(TASKS, optimizers, UPDATES)
    ]


def family(learners: list[LearnerSpec], optimizers: list[OptimizerSpec]) -> list[ModelSpec]:
    return [
        model_spec(task, 12, 8, learner=learner, optimizer=optimizer, update=update)
        for task, learner, optimizer, update in product(TASKS, learners, optimizers, UPDATES)
    ]


KINDS = {
    "plain": linear(OPTIMIZERS[1::2]),
    "lazy": linear(LAZY),
    "normalized": [
        *linear(NORMALIZED),
        *(
            model_spec(loss=LossSpec(loss), task=task, bits=8, optimizer=NORMALIZED[0])
            for task, loss in (("regression", "poisson"), ("regression", "huber"), ("binary", "hinge"))
        ),
    ],
    "machine": family([MACHINE], OPTIMIZERS[1::2]),
    "lazy machine": family([MACHINE], LAZY[::3]),
    "network": family(NETWORKS, OPTIMIZERS[1::2]),
    "lazy network": family(NETWORKS, LAZY[::3]),
}


def digests(kind: str) -> list[str]:
    """One of each model, after the self-test's where that is of the kind."""
    result = [self_test_digest()] if kind == "plain" else []
    for spec in KINDS[kind]:
        model = Model(spec)
        learn_all(model, make_rows(spec, 400, seed=4, entries=8))
        result.append(model.digest())
    return result


if __name__ == "__main__":
    print("\n".join(digests(sys.argv[1])))
