"""Stacks of small matrices."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.cases.inputs import THREADS, Call, reals
from fastmml._kernels import Kernels

SMALL_BATCH = 203


def small_matrices(rows: int) -> NDArray[np.float64]:
    """A few hundred matrices whose pivots are in all places."""
    return reals((SMALL_BATCH, rows, rows), 10)


def small_solve(kernels: Kernels, rows: int) -> Call:
    """Solve small systems."""
    a, b = small_matrices(rows), reals((SMALL_BATCH, rows, 1), 11)
    x = np.empty_like(b)
    return lambda: kernels.small_solve(a, b, x, THREADS)


def small_inverse(kernels: Kernels, rows: int) -> Call:
    """Invert small matrices."""
    a, x = small_matrices(rows), np.empty((SMALL_BATCH, rows, rows))
    return lambda: kernels.small_inverse(a, x, THREADS)


def small_det(kernels: Kernels, rows: int) -> Call:
    """Determinants of small matrices."""
    a, det = small_matrices(rows), np.empty(SMALL_BATCH)
    return lambda: kernels.small_det(a, det, THREADS)


def small_eigh(kernels: Kernels, rows: int) -> Call:
    """Eigenvalues and eigenvectors of small matrices."""
    a, values = small_matrices(rows), np.empty((SMALL_BATCH, rows))
    vectors = np.empty_like(a)
    return lambda: kernels.small_eigh(a, True, values, vectors, THREADS)


def small_qr(kernels: Kernels, rows: int, columns: int) -> Call:
    """Factorise small matrices."""
    a, k = reals((SMALL_BATCH, rows, columns), 10), min(rows, columns)
    q, r = np.empty((SMALL_BATCH, rows, k)), np.empty((SMALL_BATCH, k, columns))
    return lambda: kernels.small_qr(a, q, r, THREADS)


def small_solve_plain(kernels: Kernels) -> Call:
    """A system whose checks take longer."""
    a, b = small_matrices(4)[0], reals((4,), 11)
    return lambda: kernels.small_solve_plain(a, b)


def small_inverse_plain(kernels: Kernels) -> Call:
    """The same for an inverse."""
    a = small_matrices(4)[0]
    return lambda: kernels.small_inverse_plain(a)


def small_det_plain(kernels: Kernels) -> Call:
    """The same for a determinant."""
    a = small_matrices(4)[0]
    return lambda: kernels.small_det_plain(a)


def small_eigh_plain(kernels: Kernels) -> Call:
    """The same for eigenvectors."""
    a = small_matrices(4)[0]
    return lambda: kernels.small_eigh_plain(a, True)
