"""Bytes depend on the samples and their order alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from models.kernels.fold import fold_rows
from models.kernels.journal import restore, restore_blocks, restore_part
from models.kernels.serve import serve_rows
from models.kernels.table import read_table
from models.model import Model
from models.self_test import self_test_digest, warm_up
from tests.models.exactness_program import KINDS, digests
from tests.models.samples import (
    OPTIMIZERS,
    UPDATES,
    chunks,
    learn_all,
    make_rows,
    model_spec,
    state_bytes,
)

ROOT = Path(__file__).parents[2]
LONG = bool(os.environ.get("GRADSTREAM_LONG"))
"""All kinds: the compiler takes half a minute for each of them."""


@pytest.mark.parametrize("update", UPDATES, ids=lambda update: update.name)
@pytest.mark.parametrize("task", ["regression", "binary", "multiclass"])
@pytest.mark.parametrize("bits", [None, 12])
def test_cutting_the_same_samples_differently_changes_no_bit(task, update, bits):
    spec = model_spec(task, bits=bits, products=True, optimizer=OPTIMIZERS[3], update=update)
    rows = make_rows(spec, 4_000, seed=2)
    runs = []
    for size in (1, 100, 1_000, 4_000):
        model = Model(spec)
        served = learn_all(model, rows, size)
        runs.append((served.tobytes(), state_bytes(model), model.digest(), str(model.metrics())))
    assert runs[0] == runs[1] == runs[2] == runs[3]


@pytest.mark.parametrize("task", ["regression", "binary", "multiclass"])
def test_folding_given_predictions_equals_predicting_and_learning(task):
    spec = model_spec(task, bits=10, optimizer=OPTIMIZERS[2])
    rows = make_rows(spec, 1_000)
    first, second = Model(spec), Model(spec)
    served = learn_all(first, rows)
    for part, given in zip(chunks(rows, 77), np.array_split(served, range(77, 1_000, 77)), strict=True):
        second.learn(part, given, keep_undo=False)
    assert state_bytes(first) == state_bytes(second)


def test_predicting_alone_gives_what_the_next_sample_is_served():
    spec = model_spec("multiclass", bits=8, products=True)
    rows = make_rows(spec, 300)
    model = Model(spec)
    for part in chunks(rows, 1):
        before = state_bytes(model)
        predicted = model.predict(part)
        assert state_bytes(model) == before
        assert predicted.tobytes() == learn_all(model, part).tobytes()


def test_read_only_and_oddly_laid_out_arrays_give_the_same_bytes():
    spec = model_spec(columns=4, bits=8)
    rows = make_rows(spec, 100)
    odd = rows.slice(0, 100)
    odd.numeric = np.asfortranarray(rows.numeric)
    odd.labels = np.repeat(rows.labels, 2)[::2]
    odd.values = np.frombuffer(b"x" + rows.values.tobytes(), dtype=np.uint8)[1:].view(np.float64)
    first, second = Model(spec), Model(spec)
    assert learn_all(first, rows).tobytes() == learn_all(second, odd).tobytes()
    assert first.digest() == second.digest()


def test_the_self_test_is_the_same_each_time():
    assert self_test_digest() == self_test_digest()
    assert len(self_test_digest()) == 32


@pytest.mark.parametrize(
    "spec",
    [
        *(model_spec(task, bits=4) for task in ("regression", "binary", "multiclass")),
        *(specs[0] for specs in KINDS.values()),
    ],
    ids=["regression", "binary", "multiclass", *KINDS],
)
def test_warming_up_compiles_all_that_a_model_then_calls(spec):
    warm_up(spec)
    kernels = (fold_rows, serve_rows, read_table, restore, restore_part, restore_blocks)
    compiled = [len(kernel.signatures) for kernel in kernels]
    model = Model(spec)
    first, second = (model.predict_and_learn(make_rows(spec, 5, seed=s)).undo for s in (1, 2))
    model.digest(), model.metrics(), model.weights({})
    model.undo(second)
    model.forget(first)
    rows = make_rows(spec, 5)
    model.learn(rows, model.predict(rows), keep_undo=False)
    assert [len(kernel.signatures) for kernel in kernels] == compiled


@pytest.mark.parametrize("kind", KINDS if LONG else ("plain", "normalized", "lazy network"))
def test_a_process_without_fma_and_avx2_on_a_generic_processor_gives_the_same_bytes(kind, request):
    cache = request.config.cache.mkdir("numba-generic")
    environment = {
        **os.environ,
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-FMA,-AVX2",
        "NUMBA_CPU_NAME": "generic",
        "NUMBA_CACHE_DIR": str(cache),
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", "tests.models.exactness_program", kind]
    run = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.split() == digests(kind)
