"""Linear systems, inverses, determinants and eigenvalues of stacks of matrices.

The functions have the names, arguments, results and exceptions of `numpy.linalg`. Real matrices of
up to 16 rows are worked on side by side, one in each lane of the CPU's vectors, and the stack is
shared by threads. What these kernels do not take goes to `numpy.linalg` itself, that is to LAPACK:

- larger matrices, which LAPACK's blocked algorithms are made for;
- complex numbers;
- subclasses of ndarray and arrays of other libraries, which are NumPy's to dispatch on;
- empty arrays and what is refused, so that results and messages are NumPy's own; but what holds no
  numbers is named here.

As in `numpy.linalg`, float32 is computed in float64 and rounded at the end, and integers become
float64. The result of a matrix does not depend on the rest of the stack, nor on the threads, bit
for bit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmml._backend import kernels
from fastmml._check import for_lapack, numbers
from fastmml._kernels import SMALL_ROWS
from fastmml.linalg import matmul

__all__ = ["EighResult", "change_of_basis", "det", "eigh", "inv", "solve"]


class EighResult(NamedTuple):
    """What `eigh` returns."""

    eigenvalues: NDArray[Any]  #: (..., n), ascending
    eigenvectors: NDArray[Any]  #: (..., n, n): column i belongs to eigenvalue i


# NumPy's own, whose stubs ask for less than they take.
_numpy_solve: Callable[..., NDArray[Any]] = np.linalg.solve
_numpy_inv: Callable[..., NDArray[Any]] = np.linalg.inv
_numpy_det: Callable[..., Any] = np.linalg.det
_numpy_eigh: Callable[..., tuple[NDArray[Any], NDArray[Any]]] = np.linalg.eigh

#: Codes of the element types that are computed in float64: booleans, integers, floats.
_REAL_CODES = frozenset("?bBhHiIlLqQfd")
_SINGLE, _DOUBLE = np.dtype(np.float32), np.dtype(np.float64)


def _as_real(*operands: ArrayLike) -> list[NDArray[Any]] | None:
    """Return the operands as aligned arrays of one type that kernels take, or None."""
    first = operands[0]
    if type(first) is np.ndarray and first.ndim > 1 and first.shape[-1] > SMALL_ROWS:
        return None  # LAPACK's, at first sight
    arrays, codes = [], ""
    for operand in operands:
        if type(operand) is np.ndarray:
            array = operand
        elif hasattr(operand, "__array_wrap__"):
            return None
        else:
            array = np.asarray(operand)
        arrays.append(array)
        codes += array.dtype.char
    if not _REAL_CODES.issuperset(codes):
        return None
    dtype = _DOUBLE if codes.strip("f") else _SINGLE
    for i, array in enumerate(arrays):
        if array.dtype is not dtype:
            arrays[i] = array.astype(dtype)
        elif not array.flags.aligned:
            arrays[i] = array.copy()
    return arrays


def _is_small(a: NDArray[Any]) -> bool:
    """Whether this is a stack of square matrices that kernels take."""
    return a.ndim >= 2 and a.size > 0 and a.shape[-1] == a.shape[-2] <= SMALL_ROWS


def _stack(a: NDArray[Any], batch: tuple[int, ...]) -> NDArray[Any]:
    """Return the matrices of all of the batch along one axis; a copy only where it must be."""
    if a.shape[:-2] != batch:
        a = np.broadcast_to(a, (*batch, *a.shape[-2:]))
    if a.ndim == 3:
        return a
    return a[np.newaxis] if a.ndim == 2 else a.reshape(-1, *a.shape[-2:])


def _check(singular: bool) -> None:
    if singular:
        raise np.linalg.LinAlgError("Singular matrix")


def solve(a: ArrayLike, b: ArrayLike) -> NDArray[Any]:
    """Solve ``a @ x = b``, as `numpy.linalg.solve`.

    Parameters
    ----------
    a : (..., n, n) array_like
    b : (n,) or (..., n, k) array_like
        A vector only if it has exactly one dimension. Leading dimensions broadcast with those of
        ``a``.

    Returns
    -------
    (..., n) or (..., n, k) ndarray
        float32 where both operands are, else float64 (or complex).

    Raises
    ------
    numpy.linalg.LinAlgError
        A matrix is exactly singular (a pivot is 0), or ``a`` is not square.
    TypeError, ValueError
        As `numpy.linalg.solve`: float16 and long double, shapes that do not fit.

    Notes
    -----
    Gaussian elimination with partial pivoting: each solution is the exact one of a matrix that
    differs from ``a`` by some n rounding errors of float64 (Higham, *Accuracy and Stability of
    Numerical Algorithms*, 2002, theorem 9.4), rounded to the type of the result. It costs
    n³ / 3 + n² k multiply-adds. A NaN stays in its system, unless a pivot is 0 beside it.

    Examples
    --------
    >>> import fastmml as fm
    >>> fm.solve([[1.0, 2.0], [3.0, 5.0]], [1.0, 2.0])
    array([-1.,  1.])
    """
    found = kernels().small_solve_plain(a, b)
    if found is not None:
        return found
    a, b = for_lapack("a", a), for_lapack("b", b)
    arrays = _as_real(a, b)
    if arrays is None:
        return _numpy_solve(a, b)
    left, right = arrays
    is_vector = right.ndim == 1
    columns = right[:, np.newaxis] if is_vector else right
    if not _is_small(left) or columns.size == 0 or columns.shape[-2:-1] != left.shape[-1:]:
        return _numpy_solve(a, b)
    batch = left.shape[:-2]
    if columns.ndim > 2 and columns.shape[:-2] != batch:
        try:
            batch = np.broadcast_shapes(batch, columns.shape[:-2])
        except ValueError:
            return _numpy_solve(a, b)
    x = kernels().empty((*batch, *columns.shape[-2:]), left.dtype)
    chosen = kernels()
    stacks = _stack(left, batch), _stack(columns, batch), _stack(x, batch)
    _check(chosen.small_solve(*stacks, chosen.get_num_threads()))
    return x[..., 0] if is_vector else x


def inv(a: ArrayLike) -> NDArray[Any]:
    """Invert matrices, as `numpy.linalg.inv`.

    Parameters
    ----------
    a : (..., n, n) array_like

    Returns
    -------
    (..., n, n) ndarray
        float32 where ``a`` is, else float64 (or complex).

    Raises
    ------
    numpy.linalg.LinAlgError
        A matrix is exactly singular (a pivot is 0), or ``a`` is not square.
    TypeError
        As `numpy.linalg.inv`: float16 and long double.

    Notes
    -----
    Each column solves a system as `solve` does; n³ multiply-adds.

    Examples
    --------
    >>> import fastmml as fm
    >>> fm.inv([[2.0, 1.0], [1.0, 1.0]])
    array([[ 1., -1.],
           [-1.,  2.]])
    """
    found = kernels().small_inverse_plain(a)
    if found is not None:
        return found
    a = for_lapack("a", a)
    arrays = _as_real(a)
    if arrays is None or not _is_small(arrays[0]):
        return _numpy_inv(a)
    (matrices,) = arrays
    x, batch = kernels().empty(matrices.shape, matrices.dtype), matrices.shape[:-2]
    chosen = kernels()
    stacks = _stack(matrices, batch), _stack(x, batch)
    _check(chosen.small_inverse(*stacks, chosen.get_num_threads()))
    return x


def det(a: ArrayLike) -> Any:
    """Determinants, as `numpy.linalg.det`.

    Parameters
    ----------
    a : (..., n, n) array_like

    Returns
    -------
    (...) ndarray, or a scalar for a single matrix
        float32 where ``a`` is, else float64 (or complex). 0 where a pivot is 0: of a matrix that
        is nearly singular, or singular, rounding errors may be left.

    Raises
    ------
    numpy.linalg.LinAlgError
        ``a`` is not square.
    TypeError
        As `numpy.linalg.det`: float16 and long double.

    Notes
    -----
    The product of the pivots, rounded n times, where NumPy takes the exponential of a sum of
    logarithms. On CPUs with multiply-adds the last three rows are expanded instead, by minors that
    are exact to two units. Either way the result is that of a matrix which differs from ``a`` by
    some n rounding errors of float64, rounded. It over- and underflows only if the determinant
    does. n³ / 3 multiply-adds.

    Examples
    --------
    >>> import fastmml as fm
    >>> float(fm.det([[1.0, 2.0], [3.0, 4.0]]))
    -2.0
    """
    found = kernels().small_det_plain(a)
    if found is not None:
        return found
    a = for_lapack("a", a)
    arrays = _as_real(a)
    if arrays is None or not _is_small(arrays[0]):
        return _numpy_det(a)
    (matrices,) = arrays
    dets = kernels().empty(matrices.shape[:-2], matrices.dtype)
    chosen = kernels()
    chosen.small_det(_stack(matrices, dets.shape), dets.reshape(-1), chosen.get_num_threads())
    return dets[()]


def eigh(a: ArrayLike, UPLO: Literal["L", "U", "l", "u"] = "L") -> EighResult:
    """Eigenvalues and eigenvectors of symmetric or Hermitian matrices, as `numpy.linalg.eigh`.

    Parameters
    ----------
    a : (..., n, n) array_like
    UPLO : {"L", "U"}
        Which triangle is read, the lower or the upper one.

    Returns
    -------
    EighResult
        A named tuple: ``eigenvalues`` (..., n), ascending, and ``eigenvectors`` (..., n, n), whose
        column i belongs to eigenvalue i; float32 where ``a`` is, else float64 (or complex).

    Raises
    ------
    numpy.linalg.LinAlgError
        ``a`` is not square, or a matrix of three rows or more holds an infinity or NaN. (NumPy
        raises for NaN, and for some infinities.) The results of a matrix of two rows are NaN then.
    TypeError, ValueError
        As `numpy.linalg.eigh`: float16 and long double, another ``UPLO``.

    Notes
    -----
    Jacobi's method: eigenvalues are those of a matrix that differs from ``a`` by some n rounding
    errors of float64, and eigenvectors are orthogonal to as many. Some 6 n³ multiply-adds a sweep,
    and 4 to 8 sweeps.

    Examples
    --------
    >>> import fastmml as fm
    >>> fm.eigh([[2.0, 1.0], [1.0, 2.0]]).eigenvalues
    array([1., 3.])
    """
    is_triangle = UPLO in ("L", "U", "l", "u")
    found = kernels().small_eigh_plain(a, UPLO in "Uu") if is_triangle else None
    if found is not None:
        return EighResult(*found)
    a = for_lapack("a", a)
    arrays = _as_real(a)
    if not is_triangle or arrays is None or not _is_small(arrays[0]):
        return EighResult(*_numpy_eigh(a, UPLO))
    (matrices,) = arrays
    if matrices.shape[-1] == 1:
        return EighResult(matrices[..., 0].copy(), np.ones_like(matrices))
    values = kernels().empty(matrices.shape[:-1], matrices.dtype)
    vectors = kernels().empty(matrices.shape, matrices.dtype)
    batch, n = matrices.shape[:-2], matrices.shape[-1]
    stack, rows, columns = _stack(matrices, batch), values.reshape(-1, n), _stack(vectors, batch)
    chosen = kernels()
    failed = chosen.small_eigh(stack, UPLO in "Uu", rows, columns, chosen.get_num_threads())
    if failed and n > 2:
        raise np.linalg.LinAlgError("Eigenvalues did not converge")
    return EighResult(values, vectors)


def change_of_basis(a: ArrayLike, basis: ArrayLike) -> NDArray[Any]:
    """Return the matrix of a linear map in another basis, ``basis⁻¹ a basis``.

    Parameters
    ----------
    a : (..., n, n) array_like
        The matrix of the map in the standard basis.
    basis : (..., n, n) array_like
        The vectors of the new basis, in its columns. Leading dimensions broadcast with those of
        ``a``.

    Returns
    -------
    (..., n, n) ndarray
        Its column i holds the coordinates, in the new basis, of the image of basis vector i.

    Raises
    ------
    numpy.linalg.LinAlgError
        The columns of a basis are linearly dependent: it is exactly singular, or not square.
    TypeError, ValueError
        As `solve`; ``a`` has fewer than two dimensions or does not fit ``basis``.

    Notes
    -----
    By `solve`; the inverse is not computed. The error of each column is that of a system with the
    matrix ``basis``.

    Examples
    --------
    A shear along the first axis becomes, with the axes exchanged, a shear along the second one:

    >>> import fastmml as fm
    >>> fm.change_of_basis([[1.0, 3.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]])
    array([[1., 0.],
           [3., 1.]])
    """
    maps, vectors = for_lapack("a", numbers("a", a)), for_lapack("basis", numbers("basis", basis))
    if maps.ndim < 2:
        raise ValueError(f"a: expected at least 2 dimensions, got {maps.ndim}")
    if vectors.ndim > 1 and maps.shape[-1] != vectors.shape[-2]:
        raise ValueError(
            f"basis: expected {maps.shape[-1]} rows, as many as a has columns, got shape "
            f"{vectors.shape}"
        )
    return solve(vectors, matmul(maps, vectors))
