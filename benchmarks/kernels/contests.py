"""The contests: what is learned, by whom, and how many times as fast as each peer we have to be."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from string import ascii_lowercase

import numpy as np

from benchmarks.kernels.contest import Contest
from benchmarks.kernels.ours import Ours, dense_rows, hashed_rows
from benchmarks.kernels.river_machine import RiverMachine
from benchmarks.kernels.torch_network import TorchNetwork, installed
from benchmarks.kernels.vw import VW
from benchmarks.tables import model_spec
from models.rows import Float64, Int64

BITS = 18
FACTORS = 8
FIELDS = 10
COLUMNS, HIDDEN = 20, (64, 32)
RATE = 0.01
HASHED = {"task": "binary", "features": {"categorical": ["field"], "hash_bits": BITS}}
"""A model of hashed features; what they are called does not matter to a kernel."""


def contests(folder: Path, rows: int) -> Iterator[Contest]:
    """All of them, each made when its turn comes; `rows`: of the linear ones; `folder`: for VW's files."""
    for nonzeros in (10, 40):
        yield linear(folder, rows, nonzeros)
    yield machine(folder, rows // 4)
    yield network(rows // 10, batch=1)
    yield network(rows // 10, batch=32)


def linear(folder: Path, rows: int, nonzeros: int) -> Contest:
    """Hashed logistic regression; both with their default optimizer, adaptive steps."""
    indices, labels = sparse_samples(rows, nonzeros)
    ours = Ours(model_spec(HASHED), hashed_rows(indices, labels))
    vw = VW(_made(folder / f"linear-{nonzeros}"), indices, labels, f"-b {BITS}")
    return Contest(f"hashed logistic regression, {nonzeros} non-zeros", ours, [vw], {"VW": 1.0})


def machine(folder: Path, rows: int) -> Contest:
    """A factorization machine on ten fields, which is VW's low-rank interactions of all pairs of fields."""
    indices, labels = sparse_samples(rows, FIELDS)
    learner = {"name": "factorization-machine", "factors": FACTORS}
    ours = Ours(model_spec(HASHED | {"learner": learner}), hashed_rows(indices, labels))
    fields = ascii_lowercase[:FIELDS]
    pairs = " ".join(f"--lrq {a}{b}{FACTORS}" for a, b in combinations(fields, 2))
    vw = VW(_made(folder / "machine"), indices, labels, f"-b {BITS} {pairs}", fields)
    river = RiverMachine(indices, labels, FACTORS)
    return Contest(
        f"factorization machine, {FIELDS} fields, {FACTORS} factors",
        ours,
        [vw, river],
        {"VW": 1.0, "River": 20.0},
    )


def network(rows: int, batch: int) -> Contest:
    """A network 20-64-32-1, relu, plain SGD for both; ours standardises nothing, as PyTorch does not."""
    x, labels = dense_samples(rows)
    names = [f"x{j}" for j in range(COLUMNS)]
    spec = model_spec(
        {
            "task": "binary",
            "features": {"numeric": names, "scaling": "none"},
            "learner": {"name": "mlp", "hidden": list(HIDDEN), "activation": "relu"},
            "optimizer": {"name": "sgd", "learning_rate": RATE},
            "update": "sample" if batch == 1 else {"name": "batch", "batch_size": batch},
        }
    )
    peers = [TorchNetwork(x, labels, HIDDEN, RATE, batch)] if installed() else []
    how = "one sample at a time" if batch == 1 else f"batches of {batch}"
    targets = {"PyTorch": 5.0} if batch == 1 else {}
    return Contest(f"network {COLUMNS}-64-32-1, {how}", Ours(spec, dense_rows(x, labels)), peers, targets)


def sparse_samples(rows: int, nonzeros: int) -> tuple[Int64, Float64]:
    """Indices (n, nonzeros) all over the table, so that no cache helps; labels (n,) of a logistic model."""
    rng = np.random.default_rng(nonzeros)
    indices = rng.integers(0, 1 << BITS, (rows, nonzeros))
    scores = rng.normal(size=1 << BITS)[indices].sum(axis=1) * (2.0 / np.sqrt(nonzeros))
    return indices, (rng.random(rows) < 1.0 / (1.0 + np.exp(-scores))).astype(np.float64)


def dense_samples(rows: int) -> tuple[Float64, Float64]:
    """Columns (n, 20) and labels (n,) that depend on products of columns."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, COLUMNS))
    return x, (x[:, 0] * x[:, 1] + x[:, 2] > 0.0).astype(np.float64)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder
