"""How kernels are compiled: strict IEEE arithmetic, without the GIL, cached on disk.

numba renews a cached kernel when the file of its entry point changes, not when a helper in another file
does. A stale kernel would break the promise of equal bytes silently, so entry points are stamped with
everything that they reach.
"""

from __future__ import annotations

import builtins
import dis
import hashlib
import os
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, TypeVar, cast

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

Mark = int | None
"""1, or None where a model does without something. To numba None is a type of its own: what stands behind
`if mark is not None` is left out of a kernel for such a model, if `mark` is an argument of the function.
"""

unsigned = cast(Callable[[int], int], np.uint64)
"""As an index such a number spares the question whether it counts from the end."""

F = TypeVar("F", bound=Callable[..., Any])

# Without `_nrt` and `forceinline`, structs of arrays are counted and copied at every call: 8 × slower. The
# price is that a kernel cannot allocate.
_OPTIONS: dict[str, Any] = {"nogil": True, "fastmath": False, "error_model": "numpy", "_nrt": False}

# What only kernels call needs no way in from Python or C; to compile those took a third of the time.
_INNER = _OPTIONS | {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}


def helper(function: F) -> F:
    """A function that kernels call; compiled into them, never cached alone."""
    return cast(F, numba.njit(forceinline=True, **_INNER)(function))


def part(function: F) -> F:
    """A function that kernels call, compiled by itself: for what is long, and worth a call.

    All of it inlined into one function would take the compiler minutes.
    """
    return cast(F, numba.njit(**_INNER)(function))


def entry_point(*structs: type) -> Callable[[F], F]:
    """A kernel that Python calls. `structs` are the NamedTuple classes among its arguments."""

    def decorate(function: F) -> F:
        try:
            kernel = numba.njit(cache=True, **_OPTIONS)(function)
        except RuntimeError:  # nowhere to write a cache (read-only image): compile at each start
            kernel = numba.njit(**_OPTIONS)(function)
        cache = getattr(kernel, "_cache", None)
        cache_file = getattr(cache, "_cache_file", None)
        if cache_file is not None:
            _name(cache_file, fingerprint(function, structs))
            _load_alone(cache)
        return cast(F, kernel)

    return decorate


def _name(cache_file: Any, stamp: str) -> None:
    """Files of its own for each stamp: two processes may compile two versions at the same moment."""
    base = f"{cache_file._index_name.removesuffix('.nbi')}.{stamp[:16]}"
    cache_file._source_stamp = stamp
    cache_file._index_name = f"{base}.nbi"
    cache_file._index_path = os.path.join(cache_file._cache_path, cache_file._index_name)
    cache_file._data_name_pattern = f"{base}.{{number:d}}.nbc"


def _load_alone(cache: Any) -> None:
    """Load what is cached without all that numba compiles with: a third of a second, and 60 MB.

    numba's own `load_overload` prepares its target for compiling first; what must be compiled after all does
    that itself.
    """

    def load(sig: Any, target_context: Any) -> Any:
        return cache._load_overload(sig, target_context)

    if hasattr(cache, "_load_overload"):
        cache.load_overload = load


def fingerprint(function: Callable[..., Any], structs: tuple[type, ...] = ()) -> str:
    """Hex digest of the byte code of a function and all that it reaches, constants and structs included."""
    parts: dict[str, str] = {}
    _collect(function, parts)
    for struct in structs:
        parts[f"struct {struct.__qualname__}"] = repr(getattr(struct, "_fields", ()))
    return hashlib.sha256(repr(sorted(parts.items())).encode()).hexdigest()


def _reached(function: Callable[..., Any]) -> Iterator[tuple[str, Any]]:
    """Globals that a function names, and members of the modules among them."""
    names = function.__code__.co_names
    for name in names:
        value: Any = function.__globals__.get(name)
        yield name, value
        if isinstance(value, ModuleType):
            yield from ((f"{name}.{member}", vars(value).get(member)) for member in names)


def _collect(function: Callable[..., Any], parts: dict[str, str]) -> None:
    name = f"{function.__module__}.{function.__qualname__}"
    if name in parts:
        return
    known = function.__globals__.keys() | vars(builtins).keys()
    named = {one.argval for one in dis.get_instructions(function) if one.opname == "LOAD_GLOBAL"}
    if later := sorted(named - known):  # what is not there yet could not be part of the stamp
        raise NameError(f"{name}: {', '.join(later)} has to stand above the entry point")
    code = function.__code__
    constants = [c for c in code.co_consts if c != function.__doc__]
    parts[name] = repr((code.co_code, constants, code.co_names, code.co_varnames))
    for reached, value in _reached(function):
        if hasattr(value, "py_func"):
            parts[f"{reached} of {value.py_func.__module__}"] = repr(sorted(value.targetoptions.items()))
            _collect(value.py_func, parts)
        elif isinstance(value, int | float | str | tuple | np.generic):
            parts[f"{name}: {reached}"] = repr(value)
        elif isinstance(value, np.ndarray):
            parts[f"{name}: {reached}"] = hashlib.sha256(value.tobytes()).hexdigest()


def _fetched(_context: Any, array: Any, position: Any) -> Any:
    """Have the processor fetch array[position], to be written soon, without a wait; it changes nothing."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        pointer = builder.bitcast(builder.gep(data, [arguments[1]]), ir.IntType(8).as_pointer())
        number = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [pointer.type, number, number, number])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        builder.call(function, [pointer, number(1), number(3), number(1)])
        return context.get_dummy_value()

    return types.void(array, position), generate


# With NUMBA_DISABLE_JIT kernels are plain Python, which has no such thing.
prefetch: Any = (lambda _array, _position: None) if numba.config.DISABLE_JIT else intrinsic(_fetched)
