"""Least squares: `lstsq`, as `numpy.linalg.lstsq`, by QR factorisation of tall matrices.

Q is not needed: a pass over the data makes R and ``Q* b``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmml import _check
from fastmml._blas import on_one_thread
from fastmml._centred import Data, Mean, uncentred
from fastmml._lapack_qr import Reflections, fits_lapack, solve_upper
from fastmml._powers import ldexp
from fastmml._residuals import MOST_REFINED, improved
from fastmml._tall_qr import as_real, reduce_tall
from fastmml.linalg import matmul
from fastmml.normal_equations import most_targets, solve
from fastmml.orthogonal import is_tall, qr

Array = NDArray[Any]

#: Its stubs ask for less than it takes.
_by_svd: Callable[..., tuple[Array, Array, Any, Array]] = np.linalg.lstsq

#: Condition number of the columns, scaled to length 1, up to which normal equations give singular
#: values to some rounding errors.
_WELL_CONDITIONED = 10.0
#: Singular values below this many times the columns times rounding are too small for a step of
#: refinement to gain.
_SINGULAR = 100.0
#: An alpha of more than 4**this, for a matrix of numbers up to 1: the solution is that of a smaller
#: one, divided by the difference.
_FAR = 120
#: Rows or columns from which on QR by LAPACK and its further calls are faster than ``gelsd``, and
#: how many times as many of the other ones, unless there are many right-hand sides.
_FEWEST, _OBLONG = 32, 1.5
#: Where normal equations do not serve, R and a step take as long as so many factorisations to start
#: (5000 x 10: 0.3 ms, as ``gelsd`` does; 3000 x 10 0.29 for 0.16, which is then left to it).
_CALLS = 2
#: Refinement ends after so many steps; from a condition of 1 / sqrt(eps) on it takes four or five.
_MOST_STEPS = 10


class LstsqResult(NamedTuple):
    """What `lstsq` returns."""

    x: Array  #: (n,) or (n, k): the solution, of least norm if there are several
    residuals: Array  #: (k,): sums of squares; empty unless ``rank == n < m``
    rank: int  #: how many singular values count
    singular_values: Array  #: (min(m, n),), descending


def lstsq(
    a: ArrayLike,
    b: ArrayLike,
    rcond: float | None = None,
    *,
    alpha: float = 0.0,
    refine: bool = False,
) -> LstsqResult:
    """Find x that makes the 2-norm of ``b - a @ x`` least, as `numpy.linalg.lstsq`.

    Parameters
    ----------
    a : (m, n) array_like
    b : (m,) or (m, k) array_like
        Columns are problems of their own.
    rcond : float, optional
        Singular values up to this times the largest one count as 0; by default the rounding error
        of the dtype times max(m, n), and that error itself if it is negative.
        (`numpy.linalg.lstsq` takes float64's for float32, too.)
    alpha : float
        Ridge regression: ``|b - a @ x|² + alpha |x|²`` is made least, as by scikit-learn's
        ``Ridge(alpha, fit_intercept=False)`` (SciPy's ``lsqr`` calls the square root ``damp``).
        The solution is then the only one, and ``rcond`` does no more than set the rank.
    refine : bool
        Improve x by iterative refinement, with residuals to more digits than float64 has.

    Returns
    -------
    LstsqResult
        A named tuple in NumPy's order: ``x, residuals, rank, singular_values``. The last two are
        those of ``a``, and residuals those of ``b - a @ x``, with ``alpha`` or without.

    Raises
    ------
    numpy.linalg.LinAlgError, TypeError, ValueError
        As `numpy.linalg.lstsq`: shapes that do not fit together, dtypes that LAPACK does not have.
        An ``alpha`` that is negative or not finite; an ``rcond`` of NaN; ``refine`` where the
        columns of ``a`` are linearly dependent and ``alpha`` is 0, or lost beside their rounding.

    Notes
    -----
    Tall matrices (m >= 8 n, n <= 512, m n² >= 2**18): if they are real, by normal equations,
    refined by a step of corrected seminormal equations, while the condition number of the columns,
    scaled to length 1, is at most 10 (m (n + k + 1)² flops, one or two passes over the data). Else,
    from m n² = 2**19 on, with ``a = Q @ R`` (see `qr`): the singular values of R are those of
    ``a``, and its pseudo-inverse times ``Q.T @ b`` is the solution of least norm. R and ``Q.T @ b``
    come from one more pass, or two, which writes no Q. The solution is that of a matrix and a
    right-hand side that differ by some n rounding errors u, so that ``|x - exact| / |x|`` is at
    most about ``n u (K + K² |b - a @ x| / (|a| |x|))`` for a condition number K [1]_. The cost is
    that of R in `qr`, 4 m n k flops for b, and O(n³). All others, in float64: LAPACK's QR
    factorisation of ``a``, or of its transpose if that is taller, where 32 rows and columns or more
    are independent and one side is 1.5 times the other, or b has a quarter as many columns; else
    ``gelsd``. Most of the time then goes into singular values.

    Ridge regression is least squares with ``sqrt(alpha)`` times the identity below ``a`` and zeros
    below ``b``; its solution comes from the same singular values s, whose inverses become
    ``s / (s² + alpha)``.

    Tall matrices with Q and R are solved by a step of refinement by corrected seminormal equations
    [2]_, too, unless ``b`` has more than 32 columns. Its residuals and their products with ``a``
    have twice the digits of float64 [3]_: its errors are well below LAPACK's while K is below
    ``1 / (100 n u)``, and always of the bound's form. A step that is no longer than twice the
    rounding of its own products is not taken: mostly where fewer rows than columns are much larger
    than all others, and (K u)² |x| of it would be wrong.

    ``refine`` takes such steps until they no longer shrink, at any K up to 1 / u, and for all
    numbers, whatever their size: each leaves about K u of the error, until ``w (K + K² |b - a @ x|
    / (|a| |x|))`` is left for w = 2**-100, and the rounding of x; where few rows are much larger
    than all others, ``(K u)² |x|`` is left, or the error without any step. A step reads ``a`` once,
    at some 0.5 ns an element (2 for complex ones). float32 is computed in float64.

    References
    ----------
    .. [1] N. J. Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., SIAM 2002,
       chapter 20.
    .. [2] Å. Björck, Numerical Methods for Least Squares Problems, SIAM 1996, section 6.6.
    .. [3] T. Ogita, S. M. Rump, S. Oishi, "Accurate sum and dot product", SIAM Journal on
       Scientific Computing 26 (2005).

    Examples
    --------
    >>> import numpy as np, fastmml as fm
    >>> t = np.arange(100.0)
    >>> fm.lstsq(np.column_stack([np.ones(100), t]), 3 + 2 * t).x.round(10)
    array([3., 2.])
    >>> fm.lstsq(np.eye(2), [2.0, 4.0], alpha=1).x
    array([1., 2.])
    """
    a, b = _check.for_lapack("a", a), _check.for_lapack("b", b)
    matrix, right = np.asarray(a), np.asarray(b)
    ridge = _check.at_least_zero("alpha", alpha)
    has_options, fits = ridge > 0 or refine, _fits(matrix, right)
    found = None
    if fits and (has_options or is_tall(matrix)):
        found = _by_own_factors(matrix, right, rcond, ridge, refine)
    if found is not None:
        return found
    limit = _check.rcond(rcond)
    if fits and np.result_type(matrix, right).char in "fF":
        limit = singular_limit(limit, matrix.shape, float(np.finfo(np.float32).eps))
    found = _by_reflections(matrix, right, limit) if fits else None
    if found is not None:
        return found
    x, residuals, rank, singular_values = _by_svd(a, b, limit)
    return LstsqResult(x, residuals, int(rank), singular_values)


def _by_own_factors(
    matrix: Array, right: Array, rcond: float | None, alpha: float, refine: bool
) -> LstsqResult | None:
    """By factors of ours; None where LAPACK's way is faster."""
    matrix, right = _check.factorisable("a", matrix), _check.factorisable("b", right)
    dtype = np.result_type(matrix, right, np.float32)
    matrix, right = matrix.astype(dtype, copy=False), right.astype(dtype, copy=False)
    limit = singular_limit(rcond, matrix.shape, float(np.finfo(dtype).eps))
    if refine:
        return _solve_refined(matrix, right, limit, alpha)
    with on_one_thread(matrix.shape[1] if is_tall(matrix) else matrix.size):
        return _solve(matrix, right, limit, alpha)


def _solve(matrix: Array, right: Array, limit: float, ridge: float) -> LstsqResult | None:
    """By products of columns, where these are well-conditioned; else by R, and a step.

    None for small matrices that are not.
    """
    found = square = None
    if ridge == 0 and matrix.dtype.kind != "c":
        found, square = _by_products(matrix, right, limit)
    if found is not None or not (ridge > 0 or is_tall(matrix, _CALLS)):
        return found
    r, inside = _reduced(matrix, right, square)
    x, rank, values = solve_triangle(r, inside, limit, ridge)
    is_whole = ridge == 0 and rank == matrix.shape[1]
    if is_whole and right.size <= MOST_REFINED * len(right) and _is_refinable(values):
        x, residuals = _with_one_step(matrix, right, x, r)
        return LstsqResult(x, residuals, rank, values)
    return LstsqResult(x, _residuals(matrix, right, x, rank), rank, values)


def _by_reflections(matrix: Array, right: Array, limit: float | None) -> LstsqResult | None:
    """By one QR factorisation, in float64 as NumPy's; None where ``gelsd`` is as fast or faster."""
    shape, k = matrix.shape, right.size // len(right)
    few, is_wide = min(shape), shape[0] < shape[1]
    is_oblong = max(shape) >= _OBLONG * few
    if few < _FEWEST or not (is_oblong or 4 * k >= few) or not _fit_lapack(matrix, right):
        return None
    dtype = np.result_type(matrix, right, np.float32)
    wide = np.result_type(dtype, np.float64)
    matrix, below = matrix.astype(wide, copy=False), _in_columns(right).astype(wide, copy=False)
    factors = Reflections.of(matrix.conj().T if is_wide else matrix)
    if not is_wide:
        below = factors.reduce(below)
    values = np.linalg.svd(factors.r, compute_uv=False)
    least = singular_limit(limit, shape, float(np.finfo(wide).eps))
    rank = int((values > least * values[0]).sum())
    if rank < few and (is_wide or not is_oblong):
        return None
    if rank < few:
        x, rank, values = solve_triangle(factors.r, below[:few], least, 0)
    else:
        x = solve_upper(factors.r, below[:few], is_adjoint=is_wide)
    x = factors.spread(x) if is_wide else x
    rest = np.empty(0)
    if rank == few and few == shape[1] < shape[0]:
        rest = np.einsum("ij,ij->j", below[few:], below[few:].conj()).real
    real = np.finfo(dtype).dtype
    x = x.reshape(len(x), *right.shape[1:]).astype(dtype, copy=False)
    return LstsqResult(x, rest.astype(real), rank, values.astype(real, copy=False))


def _is_refinable(values: Array) -> bool:
    """Whether a step with the factor that has these singular values leaves little of an error."""
    unit = float(np.finfo(values.dtype).eps)
    return bool(values[-1] > _SINGULAR * len(values) * unit * values[0])


def _with_one_step(matrix: Array, right: Array, x: Array, r: Array) -> tuple[Array, Array]:
    """x after a step of refinement, and sums of squared residuals."""
    found, rest = improved(*_refinable(matrix, right, x, r))
    better = found.reshape(x.shape).astype(x.dtype)
    if not np.isfinite(rest).all():  # products out of range
        return better, _residuals(matrix, right, better, len(x))
    with np.errstate(over="ignore"):  # sums of squares of float32
        return better, rest.clip(0).astype(np.finfo(x.dtype).dtype)


def _refinable(matrix: Array, right: Array, x: Array, r: Array) -> tuple[Data, Mean, Array, Array]:
    """What `improved` takes: real data, their mean 0, a solution and the inverse of the factor."""
    data = Data(as_real(matrix), as_real(_in_columns(right)))
    zero, wide = data.no_shift(), np.result_type(x, np.float64)
    start = x.reshape(len(x), -1).astype(wide)
    return data, Mean(zero, zero), start, np.linalg.inv(r.astype(wide))


def _reduced(matrix: Array, right: Array, square: Array | None) -> tuple[Array, Array]:
    """R of the matrix, and ``Q* right``; ``square`` is its Gram matrix, if that is known."""
    if is_tall(matrix) and right.size <= matrix.size:
        found = reduce_tall(_check.readable(matrix), _check.readable(_in_columns(right)), square)
        if found is not None:
            return found[0], found[1].reshape(len(found[1]), *right.shape[1:])
    is_wide = len(matrix) < matrix.shape[1]
    if is_wide or matrix.shape[1] < _FEWEST or not _fit_lapack(matrix, right):
        q, r = qr(matrix)
        return r, np.asarray(matmul(q.conj().T, right))
    factors = Reflections.of(matrix)
    inside = factors.reduce(_in_columns(right))[: matrix.shape[1]]
    return factors.r, inside.reshape(len(inside), *right.shape[1:])


def _fit_lapack(matrix: Array, right: Array) -> bool:
    return fits_lapack(matrix, "r") and fits_lapack(_in_columns(right), "r")


def _in_columns(right: Array) -> Array:
    return right if right.ndim == 2 else right[:, np.newaxis]


def _by_products(
    matrix: Array, right: Array, limit: float
) -> tuple[LstsqResult | None, Array | None]:
    """The result by normal equations, where that is as accurate, and the matrix's Gram matrix."""
    n, data = matrix.shape[1], Data(matrix, _in_columns(right))
    known = uncentred(data, matrix.dtype) if data.y.shape[1] <= most_targets(n) else None
    with np.errstate(all="ignore"):  # squares of float32
        square = None if known is None else known.products[:n, :n].astype(matrix.dtype)
    found = solve(data, False, _WELL_CONDITIONED, known)
    if found is None or not found.has_changed.all():
        return None, square
    values = np.linalg.svd(found.r * found.lengths, compute_uv=False)
    if not values[-1] > limit * values[0]:
        return None, square
    with np.errstate(over="ignore"):  # sums of squares of float32
        x, rest, values = (v.astype(matrix.dtype) for v in (found.coef, found.chi2, values))
    return LstsqResult(x if right.ndim == 2 else x[:, 0], rest, n, values), square


def solve_triangle(r: Array, parts: Array, limit: float, alpha: float) -> tuple[Array, int, Array]:
    """The solution of least norm by the singular values of R, the rank and these values.

    ``parts`` is ``Q* b``. Singular values up to ``limit`` times the largest one count as 0; with
    ``alpha`` they only lower the rank.
    """
    left, singular_values, rows = np.linalg.svd(r, full_matrices=False)
    rank = int((singular_values > limit * singular_values[0]).sum())
    used = int((singular_values > 0).sum()) if alpha > 0 else rank
    weights = singular_values[:used]
    if alpha > 0:
        with np.errstate(over="ignore"):
            weights = weights + (np.float64(alpha) / weights).astype(weights.dtype)
    inside = left[:, :used].conj().T @ parts
    return np.asarray(rows[:used].conj().T @ (inside.T / weights).T), rank, singular_values


def singular_limit(rcond: float | None, shape: tuple[int, ...], eps: float) -> float:
    """The part of the largest singular value that counts as 0, as NumPy has it."""
    number = _check.rcond(rcond)
    if number is None:
        return eps * float(max(shape))
    return eps if number < 0 else number


def _fits(matrix: Array, right: Array) -> bool:
    """Whether the two are a problem that we solve; NumPy complains about the others."""
    if any(x.dtype.char not in "fdFD" and x.dtype.kind not in "biu" for x in (matrix, right)):
        return False
    has_shape = matrix.ndim == 2 and right.ndim in (1, 2) and matrix.size > 0 and right.size > 0
    return has_shape and len(right) == len(matrix)


def _residuals(matrix: Array, right: Array, x: Array, rank: int) -> Array:
    if rank < matrix.shape[1] or len(matrix) <= rank:
        return np.empty(0, np.finfo(x.dtype).dtype)
    rest = right - matmul(matrix, x)
    return np.atleast_1d(np.einsum("i...,i...->...", rest, rest.conj()).real)


@np.errstate(over="ignore", under="ignore")
def _solve_refined(matrix: Array, right: Array, limit: float, alpha: float) -> LstsqResult:
    """The refined solution, of numbers that powers of two bring to where squares are in range."""
    dtype, wide = matrix.dtype, np.result_type(matrix, np.float64)
    own = int(_exponents(np.abs(matrix).max()))
    shifts = _exponents(np.abs(right).max(axis=0))
    matrix = ldexp(matrix.astype(wide, copy=False), -own)
    right = ldexp(right.astype(wide, copy=False), -shifts)
    # Beyond some size, the solution is in inverse proportion to alpha, to all digits.
    far = max(int(np.frexp(alpha)[1]) // 2 - own - _FAR, 0) if alpha > 0 else 0
    ridge = float(np.ldexp(alpha, -2 * (own + far)))
    r, inside = _reduced(matrix, right, None)
    x, rank, values = solve_triangle(r, inside, limit, ridge)
    x = _with_steps(matrix, right, x, rank, ridge, r)
    residuals = _residuals(matrix, right, ldexp(x, -2 * far), rank)
    residuals = np.ldexp(residuals, 2 * shifts if residuals.size else 0)
    real = np.finfo(dtype).dtype
    return LstsqResult(
        ldexp(x, shifts - own - 2 * far).astype(dtype), residuals.astype(real), rank,
        np.ldexp(values, own).astype(real),
    )  # fmt: skip


def _exponents(sizes: Array) -> Array:
    """Those of the powers of two just above these numbers; 0 for what is not finite."""
    return np.asarray(np.frexp(np.where(np.isfinite(sizes), sizes, 0))[1])


def _with_steps(matrix: Array, right: Array, x: Array, rank: int, alpha: float, r: Array) -> Array:
    """x improved step by step, each column until its steps no longer shrink by half."""
    n = matrix.shape[1]
    if alpha > 0:
        below = np.sqrt(alpha).astype(matrix.dtype) * np.eye(n, dtype=matrix.dtype)
        matrix = np.vstack([matrix, below])
        right = np.concatenate([right, np.zeros((n, *right.shape[1:]), right.dtype)])
        r = qr(matrix, "r")
        rank = _rank_of_columns(r)
    if rank < n:
        raise np.linalg.LinAlgError(
            "refine: expected linearly independent columns, or an alpha that makes up for it, got "
            f"rank {rank} of {n}"
        )
    found, _ = improved(*_refinable(matrix, right, x, r), _MOST_STEPS)
    return found.reshape(x.shape).astype(x.dtype)


def _rank_of_columns(r: Array) -> int:
    """The rank of columns scaled to length 1."""
    lengths = np.linalg.norm(r, axis=0)
    values = np.linalg.svd(r / np.where(lengths > 0, lengths, 1), compute_uv=False)
    return int((values > len(r) * np.finfo(values.dtype).eps * values[0]).sum())
