"""A log goes on as it was begun, whatever later releases add to the specification or take as a default."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from infra.settings import load_settings
from models.spec import FOLD_VERSION, ModelSpec, OptimizerSpec
from streams.fold import GenesisError, begun_with, check_genesis, genesis_value

FIRST_RELEASE = {
    "fold_version": FOLD_VERSION,
    "self_test": "t",
    "spec": {
        "task": "binary",
        "classes": [0, 1],
        "halt_after": 100,
        "learner": {"name": "linear"},
        "optimizer": {
            "name": "adagrad", "learning_rate": 0.1, "l1": 0.0, "l2": 0.0, "beta": 1.0,
            "schedule": {"name": "constant", "power": 0.5},
        },
        "update": {
            "name": "sample", "batch_size": 32, "window_size": 1000, "stride": 100, "steps": 10,
            "tolerance": 0.0,
        },
        "features": {
            "numeric": [{"name": "a", "size": None, "scaling": "standard"}],
            "categorical": [], "interactions": [], "hash_bits": None, "others": "ignore",
        },
    },
}  # fmt: skip
"""A genesis as the first release wrote it, for a model that named no optimizer."""
GENESIS = json.dumps(FIRST_RELEASE, sort_keys=True).encode()


def resolved(folder: Path, more: str, genesis: bytes | None) -> ModelSpec:
    file = folder / "gradstream.toml"
    file.write_text(
        f'[models.m]\nsamples = "s"\ntask = "binary"\n{more}\n[models.m.features]\nnumeric = ["a"]\n'
    )
    return load_settings(file, env={}).models["m"].spec(None if genesis is None else begun_with(genesis))


def test_a_model_that_names_no_optimizer_keeps_the_one_that_its_log_was_begun_with(tmp_path: Path) -> None:
    spec = resolved(tmp_path, "", GENESIS)
    assert spec.optimizer == OptimizerSpec("adagrad", 0.1)
    check_genesis(GENESIS, spec, "t", "m")


def test_a_new_model_that_names_no_optimizer_gets_the_adaptive_one(tmp_path: Path) -> None:
    spec = resolved(tmp_path, "", None)
    assert spec.optimizer == OptimizerSpec("normalized-adaptive", 1.5)
    check_genesis(genesis_value(spec, "t"), spec, "t", "m")
    assert begun_with(genesis_value(spec, "t")) == spec


def test_an_optimizer_that_is_named_is_not_taken_from_the_log(tmp_path: Path) -> None:
    spec = resolved(tmp_path, 'optimizer = "adam"', GENESIS)
    with pytest.raises(GenesisError, match=r'optimizer\.name was "adagrad", now "adam"'):
        check_genesis(GENESIS, spec, "t", "m")


@pytest.mark.parametrize("genesis", [b"", b"{}", b"[]", b'{"spec": {"task": "guess"}}'])
def test_a_genesis_that_cannot_be_read_says_so(tmp_path: Path, genesis: bytes) -> None:
    spec = resolved(tmp_path, "", genesis)
    with pytest.raises(GenesisError, match="m: its learning log was begun with other settings"):
        check_genesis(genesis, spec, "t", "m")
