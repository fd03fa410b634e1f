"""How every numba kernel is compiled, with its Python type kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

Function = TypeVar("Function", bound=Callable[..., Any])
Array = TypeVar("Array", bound=NDArray[Any])

#: `numpy.int64`, which type checkers do not take for an int. Compiled code needs it wherever an
#: unsigned number meets a signed one: numba would make a float of the two.
signed = cast(Callable[[Any], int], np.int64)


def jit(function: Function) -> Function:
    """Compile on first use, keep the code on disk, run without the interpreter's lock.

    numba renews the code on disk when the module of the function changes, not when a function
    that it calls does: after an edit of decimal.py, which text.py calls, empty the cache.
    """
    return cast(Function, njit(cache=True, nogil=True, error_model="numpy")(function))


def jit_reordered(function: Function) -> Function:
    """Like `jit`, but additions may be done in another (fixed) order, which vectors need."""
    reordered = njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc"})
    return cast(Function, reordered(function))


def readonly(array: Array) -> Array:
    """Return a read-only plain view, so that one compiled version serves every kind of input."""
    view = array.view(np.ndarray)
    view.flags.writeable = False
    return cast(Array, view)


def readonly_or_none(array: Array | None) -> Array | None:
    """Return `readonly` of what may be left out."""
    return None if array is None else readonly(array)
