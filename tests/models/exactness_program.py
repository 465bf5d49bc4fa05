"""Run in a process of its own: prints the digests of the self-test and of a longer run of each kind."""

from __future__ import annotations

from itertools import product

from models.model import Model
from models.self_test import self_test_digest
from models.spec import Task
from tests.models.samples import OPTIMIZERS, UPDATES, learn_all, make_rows, model_spec


def digests() -> list[str]:
    result = [self_test_digest()]
    tasks: tuple[Task, ...] = ("regression", "binary", "multiclass")
    for task, optimizer, update in product(tasks, OPTIMIZERS[1::2], UPDATES):
        spec = model_spec(task, 12, 8, products=True, optimizer=optimizer, update=update)
        model = Model(spec)
        learn_all(model, make_rows(spec, 400, seed=4, entries=8))
        result.append(model.digest())
    return result


if __name__ == "__main__":
    print("\n".join(digests()))
