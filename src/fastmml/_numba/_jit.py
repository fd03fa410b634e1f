"""How every numba kernel is compiled, with its Python type kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

Function = TypeVar("Function", bound=Callable[..., Any])
Scalar = TypeVar("Scalar", bound=np.generic)


def jit(function: Function) -> Function:
    """Compile on first use, keep the code on disk, run without the interpreter's lock."""
    compiled: Function = njit(cache=True, nogil=True, error_model="numpy")(function)
    return compiled


def jit_reordered(function: Function) -> Function:
    """Like `jit`, but additions may be done in another (fixed) order, which vectors need."""
    compiled: Function = njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc"})(
        function
    )
    return compiled


def readonly(array: NDArray[Scalar]) -> NDArray[Scalar]:
    """Return a read-only plain view, so that one compiled version serves every kind of input."""
    view = array.view(np.ndarray)
    view.flags.writeable = False
    return view


def readonly_or_none(array: NDArray[Scalar] | None) -> NDArray[Scalar] | None:
    """Return `readonly` of what may be left out."""
    return None if array is None else readonly(array)
