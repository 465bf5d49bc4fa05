"""Kernels are compiled to plain IEEE arithmetic, and a stale one is never taken from the cache."""

from __future__ import annotations

import re
import subprocess
import sys

import numba
import pytest

from models.kernels import jit
from models.kernels.fold import fold_rows
from models.kernels.plan import Batch, Plan
from models.learners import factorization, linear, mlp
from models.model import Model
from streams.native import json_time
from streams.native.json_time import moment
from tests.models.samples import make_rows, model_spec


def test_no_multiplication_and_addition_are_fused_for_this_processor():
    spec = model_spec(bits=4)
    Model(spec).predict_and_learn(make_rows(spec, 3))
    signature = fold_rows.signatures[0]
    fresh = numba.njit(**jit._OPTIONS)(fold_rows.py_func)
    fresh.compile(signature)
    llvm, assembly = fresh.inspect_llvm(signature), fresh.inspect_asm(signature)
    assert re.search(r"\bfmul double", llvm)
    assert re.search(r"mulsd|mulpd|fmul", assembly)
    assert not re.search(r"fmuladd|llvm\.fma|\bfast\b|\bcontract\b|\breassoc\b", llvm)
    assert not re.search(r"vfn?m(add|sub)|\bfn?m(add|sub)\b|\bfml[as]\b", assembly)
    assert not re.search(r"\b(exp|log|pow|tanh)f?(@PLT)?\b", "\n".join(re.findall(r"call.*", assembly)))


def test_a_kernel_is_compiled_again_when_a_helper_of_a_helper_changes(monkeypatch):
    before = jit.fingerprint(fold_rows.py_func, (Plan,))
    assert before == jit.fingerprint(fold_rows.py_func, (Plan,))
    deep = fold_rows.py_func.__globals__["serve"].py_func.__globals__
    monkeypatch.setitem(deep["to_prediction"].py_func.__globals__["exp"].py_func.__globals__, "_P5", 4.1e-08)
    assert before != jit.fingerprint(fold_rows.py_func, (Plan,))


@pytest.mark.parametrize(
    ("module", "constant"), [(mlp, "_CUBIC"), (linear, "raw_scores"), (factorization, "add_feature")]
)
def test_a_kernel_is_compiled_again_when_a_function_that_it_reaches_by_its_module_changes(
    module, constant, monkeypatch
):
    before = jit.fingerprint(fold_rows.py_func, (Plan,))
    monkeypatch.setattr(module, constant, 0.25)
    assert before != jit.fingerprint(fold_rows.py_func, (Plan,))


def test_a_kernel_is_compiled_again_when_a_struct_changes():
    assert jit.fingerprint(fold_rows.py_func, (Plan,)) != jit.fingerprint(fold_rows.py_func, (Plan, Batch))


def test_the_cache_is_stamped_with_the_fingerprint():
    # A private attribute of numba: this test says so should it move.
    assert len(fold_rows._cache._cache_file._source_stamp) == 64


def test_an_entry_point_above_a_function_that_it_calls_is_refused():
    # Its stamp would leave that function out, and a stale kernel could be loaded.
    with pytest.raises(NameError, match="defined_later has to stand above the entry point"):
        jit.entry_point()(lambda: defined_later())  # noqa: F821


def test_a_kernel_is_compiled_again_when_a_table_that_it_reads_changes(monkeypatch):
    before = jit.fingerprint(moment.py_func)
    monkeypatch.setattr(json_time, "_DAYS", json_time._DAYS + 1)
    assert before != jit.fingerprint(moment.py_func)


def test_two_versions_of_a_kernel_have_cache_files_of_their_own():
    file = fold_rows._cache._cache_file
    assert file._source_stamp[:16] in file._index_name
    assert file._source_stamp[:16] in file._data_name(1)


def test_what_is_cached_is_loaded_without_what_compiles_and_what_is_not_is_compiled():
    spec = model_spec(bits=4)
    Model(spec).predict_and_learn(make_rows(spec, 3))  # so that it is cached
    program = """
import sys
import numpy as np
from models.kernels.fold import fold_rows
from models.kernels.prequential import area_under_curve
from models.model import Model
from tests.models.samples import make_rows, model_spec
spec = model_spec(bits=4)
Model(spec).predict_and_learn(make_rows(spec, 3))
assert fold_rows._cache_hits and not fold_rows._cache_misses
assert "numba.typed.dictobject" not in sys.modules, "all that numba compiles with was loaded"
integers = np.array([1, 2, 2, 1])  # kernels are never given such
assert area_under_curve(integers, 2) == area_under_curve(integers.astype(float), 2)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=300)
