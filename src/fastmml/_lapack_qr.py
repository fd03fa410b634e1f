"""QR of any matrix by Householder reflections, by SciPy's LAPACK.

`numpy.linalg.qr` calls the same routines, but copies matrices from one order to the other between
them, one number after the other, and its OpenBLAS takes longer on two threads.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmml._backend import kernels

Array = NDArray[Any]

#: The shorter side from which on this is faster than `numpy.linalg.qr`.
_SIDE = 64
#: SciPy's LAPACK counts elements in 32 bits.
_MOST_ELEMENTS = 2**31 - 1
#: Columns of a block of LAPACK's; 32 takes as long.
_BLOCK = 64


def is_for_lapack(x: Array, mode: str) -> bool:
    """Whether this is a matrix that `lapack_qr` takes, and faster than NumPy does."""
    if x.ndim != 2 or x.dtype.char not in "fdFD" or min(x.shape) < _SIDE:
        return False
    return fits_lapack(x, mode)


def fits_lapack(x: Array, mode: str) -> bool:
    """Whether a matrix and its Q have no more elements than `lapack_qr` takes."""
    m, n = x.shape
    return bool(m * max(n, m if mode == "complete" else 0) <= _MOST_ELEMENTS)


def lapack_qr(x: Array, mode: str, overwrite_x: bool) -> tuple[Array, ...]:
    """Q (in Fortran's order) and R, or R alone."""
    lapack = importlib.import_module("scipy.linalg.lapack")
    m, n = x.shape
    columns = m if mode == "complete" else min(m, n)
    if overwrite_x and n >= columns and x.flags.f_contiguous and x.flags.writeable:
        work = x
    else:
        work = kernels().empty((m, max(n, columns)), x.dtype, "F")
        work[:, :n] = x
    names = ("geqrf", "ungqr" if x.dtype.kind == "c" else "orgqr")
    factorise, multiply_out = lapack.get_lapack_funcs(names, (work,))
    reflections, factors, *_ = factorise(work[:, :n], lwork=_BLOCK * n, overwrite_a=True)
    r = np.triu(reflections[:columns])
    if mode == "r":
        return (r,)
    q, *_ = multiply_out(work[:, :columns], factors, lwork=_BLOCK * columns, overwrite_a=True)
    return q, r
