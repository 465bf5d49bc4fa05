"""Functions that only kernels call, compiled with a way in from Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba


def compiled(function: Any) -> Callable[..., Any]:
    """A helper or part of models.kernels.jit for Python to call."""
    kernel: Callable[..., Any] = numba.njit(error_model="numpy")(function.py_func)
    return kernel
