"""QR of any matrix by Householder reflections, and least squares by it, by SciPy's LAPACK.

`numpy.linalg.qr` calls the same routines, but copies matrices from one order to the other between
them, one number after the other, and its OpenBLAS takes longer on two threads.
"""

from __future__ import annotations

import importlib
from typing import Any, NamedTuple

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


class Reflections(NamedTuple):
    """Q and R of a matrix of no fewer rows than columns, as LAPACK keeps them."""

    packed: Array
    factors: Array

    @classmethod
    def of(cls, x: Array) -> Reflections:
        """Factorise a matrix, by LAPACK's geqrf."""
        work = kernels().empty(x.shape, x.dtype, "F")
        work[...] = x
        (factorise,) = _routines(("geqrf",), work)
        packed, factors, *_ = factorise(work, lwork=_BLOCK * x.shape[1], overwrite_a=True)
        return cls(packed, factors)

    @property
    def r(self) -> Array:
        return np.triu(self.packed[: self.packed.shape[1]])

    def reduce(self, b: Array) -> Array:
        """``Q* b`` for the Q of all columns: as many rows as b has."""
        return self._multiply(np.array(b, order="F"), is_adjoint=True)

    def spread(self, y: Array) -> Array:
        """``Q y``."""
        whole = np.zeros((len(self.packed), y.shape[1]), y.dtype, "F")
        whole[: len(y)] = y
        return self._multiply(whole, is_adjoint=False)

    def _multiply(self, b: Array, is_adjoint: bool) -> Array:
        """Q of all rows, or its adjoint, times b, which is overwritten; by LAPACK's ormqr."""
        is_complex = b.dtype.kind == "c"
        (multiply,) = _routines(("unmqr" if is_complex else "ormqr",), b)
        adjoint = "C" if is_complex else "T"
        found, *_ = multiply(
            "L", adjoint if is_adjoint else "N", self.packed, self.factors, b,
            lwork=_BLOCK * b.shape[1], overwrite_c=True,
        )  # fmt: skip
        return np.asarray(found)


def solve_upper(r: Array, b: Array, is_adjoint: bool = False) -> Array:
    """The solution of ``r x = b``, or of ``r* x = b``, for an upper triangle."""
    (solve,) = _routines(("trtrs",), r, b)
    found, _ = solve(r, b, trans=(2 if r.dtype.kind == "c" else 1) if is_adjoint else 0)
    return np.asarray(found)


def _routines(names: tuple[str, ...], *arrays: Array) -> Any:
    return importlib.import_module("scipy.linalg.lapack").get_lapack_funcs(names, arrays)


def lapack_qr(x: Array, mode: str, overwrite_x: bool) -> tuple[Array, ...]:
    """Q (in Fortran's order) and R, or R alone."""
    m, n = x.shape
    columns = m if mode == "complete" else min(m, n)
    if overwrite_x and n >= columns and x.flags.f_contiguous and x.flags.writeable:
        work = x
    else:
        work = kernels().empty((m, max(n, columns)), x.dtype, "F")
        work[:, :n] = x
    names = ("geqrf", "ungqr" if x.dtype.kind == "c" else "orgqr")
    factorise, multiply_out = _routines(names, work)
    reflections, factors, *_ = factorise(work[:, :n], lwork=_BLOCK * n, overwrite_a=True)
    r = np.triu(reflections[:columns])
    if mode == "r":
        return (r,)
    q, *_ = multiply_out(work[:, :columns], factors, lwork=_BLOCK * columns, overwrite_a=True)
    return q, r
