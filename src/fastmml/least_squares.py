"""Least squares: `lstsq`, as `numpy.linalg.lstsq`, by QR factorisation of tall matrices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmml.linalg import matmul
from fastmml.orthogonal import is_tall, qr

Array = NDArray[Any]

#: Its stubs ask for less than it takes.
_by_svd: Callable[..., tuple[Array, Array, Any, Array]] = np.linalg.lstsq


class LstsqResult(NamedTuple):
    """What `lstsq` returns."""

    x: Array  #: (n,) or (n, k): the solution, of least norm if there are several
    residuals: Array  #: (k,): sums of squares; empty unless ``rank == n < m``
    rank: int  #: how many singular values count
    singular_values: Array  #: (min(m, n),), descending


def lstsq(a: ArrayLike, b: ArrayLike, rcond: float | None = None) -> LstsqResult:
    """Find x that makes the 2-norm of ``b - a @ x`` least, as `numpy.linalg.lstsq`.

    Parameters
    ----------
    a : (m, n) array_like
    b : (m,) or (m, k) array_like
        Columns are problems of their own.
    rcond : float, optional
        Singular values up to this times the largest one count as 0; by default the rounding error
        of the dtype times max(m, n), and that error itself for -1.

    Returns
    -------
    LstsqResult
        A named tuple in NumPy's order: ``x, residuals, rank, singular_values``.

    Raises
    ------
    numpy.linalg.LinAlgError, TypeError, ValueError
        As `numpy.linalg.lstsq`: shapes that do not fit together, dtypes that LAPACK does not have.

    Notes
    -----
    Tall real matrices (m >= 8 n, n <= 512): with ``a = Q @ R`` (see `qr`), the singular values of R
    are those of ``a``, and its pseudo-inverse times ``Q.T @ b`` is the solution of least norm. It
    is that of a matrix and a right-hand side that differ by some n rounding errors. The cost is
    that of `qr`, 4 m n k flops for b, and O(n³). All others: LAPACK's ``gelsd``.

    Examples
    --------
    >>> import numpy as np, fastmml as fm
    >>> t = np.arange(100.0)
    >>> fm.lstsq(np.column_stack([np.ones(100), t]), 3 + 2 * t).x.round(10)
    array([3., 2.])
    """
    matrix, right = np.asarray(a), np.asarray(b)
    if not is_tall(matrix) or not _fits(matrix, right):
        x, residuals, rank, singular_values = _by_svd(a, b, rcond)
        return LstsqResult(x, residuals, int(rank), singular_values)
    dtype = np.result_type(matrix, right, np.float32)
    matrix, right = matrix.astype(dtype, copy=False), right.astype(dtype, copy=False)
    q, r = qr(matrix)
    left, singular_values, rows = np.linalg.svd(r)
    rank = int((singular_values > _limit(rcond, matrix) * singular_values[0]).sum())
    parts = left[:, :rank].T @ np.asarray(matmul(q.T, right))
    weights = singular_values[:rank]
    x = rows[:rank].T @ (parts.T / weights).T
    return LstsqResult(x, _residuals(matrix, right, x, rank), rank, singular_values)


def _fits(matrix: Array, right: Array) -> bool:
    """Whether this right-hand side is one of ours; NumPy complains about the others."""
    is_real = right.dtype.char in "fd" or right.dtype.kind in "biu"
    return is_real and right.ndim in (1, 2) and len(right) == len(matrix) and right.size > 0


def _limit(rcond: float | None, matrix: Array) -> float:
    eps = float(np.finfo(matrix.dtype).eps)
    if rcond is None:
        return eps * float(max(matrix.shape))
    return eps if rcond == -1 else float(rcond)


def _residuals(matrix: Array, right: Array, x: Array, rank: int) -> Array:
    if rank < matrix.shape[1]:
        return np.empty(0, x.dtype)
    rest = right - matmul(matrix, x)
    return np.atleast_1d(np.einsum("i...,i...->...", rest, rest))
