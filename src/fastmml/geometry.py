"""Lengths, distances, angles and projections under any inner product: `InnerProduct`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmml import _check
from fastmml._definite import Factor, factorise
from fastmml._powers import ldexp, lengths, near_one, sums_of_squares
from fastmml.linalg import gram, matmul
from fastmml.orthogonal import (
    Projection,
    affine,
    coordinates_of,
    independent_qr,
    measured_near,
    project,
    qr,
)

Array = NDArray[Any]

#: Squares of lengths between which neither they nor what counts in them over- or underflows.
_LEAST, _MOST = 1e-280, 1e280
#: Numbers of the rows that are measured at a time, so that what is made of them stays in the cache.
_PIECE = 1 << 16
#: Rows that are worth a look at the whole matrix.
_PIECE_ROWS = 256


class InnerProduct:
    """An inner product ``<x, y> = x* A y`` of vectors, and the geometry that it makes.

    Parameters
    ----------
    matrix : (n, n) array_like, optional
        A: symmetric (Hermitian, if complex) and positive definite; by default the identity of any
        size, which makes the standard inner product.

    Attributes
    ----------
    matrix : (n, n) ndarray or None
        A in float64 or complex128, read-only.

    Raises
    ------
    ValueError
        Another shape; NaN or infinities; entries that differ from their mirror images by more than
        1.5e-8 (float32: 3.5e-4) of the numbers on the diagonal. Less is taken for rounding, as that
        of an inverse, and the symmetric part used.
    numpy.linalg.LinAlgError
        The matrix is not positive definite (this is a ValueError, too).
    TypeError
        float16, long double, objects.

    Notes
    -----
    Vectors are rows: they lie along the last axis of an array, and the other axes broadcast, as in
    `numpy.vecdot`. Only `gram` and `project` have vectors in columns, as the functions of these
    names. Whole numbers count as float64. float32 and complex64 are computed with in float64 and
    complex128, and results rounded once to float32 and complex64 if A and all vectors are of these.
    NaN and infinities stay what IEEE arithmetic makes of them.

    The matrix is factorised once, ``A = L L*``; what is asked of x is asked of ``L* x`` under the
    standard inner product [1]_. With n numbers in a vector, u = 1.1e-16 and s the smallest
    eigenvalue of A with its rows and columns scaled to ones on the diagonal, errors are at most

    - of `inner` and `gram`: ``(2 n + 3) u |x|* |A| |y|``, unless products over- or underflow;
    - of `norm` and `distance`, relative: ``(n / 2 + 4) u`` for the standard inner product, ``3 n (n
      + 1) u / s`` for others;
    - of `angle`, absolute: ``(n + 8) u``, or ``8 n (n + 1) u / s``;

    and twice that for complex numbers. Typical errors are a few u. Lengths and angles are found
    even where squares of the numbers over- or underflow.

    References
    ----------
    .. [1] N. J. Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., 2002, sections
       3.1 and 10.1.

    Examples
    --------
    >>> import fastmml as fm
    >>> product = fm.InnerProduct([[2, 1], [1, 2]])
    >>> product.inner([1, 0], [[1, 0], [0, 1]])
    array([2., 1.])
    >>> product.norm([[1, 0], [1, 1]]).round(3)
    array([1.414, 2.449])
    >>> float(fm.InnerProduct().angle([1, 1], [1, 0]).round(6))
    0.785398
    """

    def __init__(self, matrix: ArrayLike | None = None) -> None:
        self._matrix: Array | None = None
        self._dtype = np.dtype(np.float32)
        if matrix is None:
            return
        given = _check.factorisable("matrix", matrix)
        if given.ndim != 2 or given.shape[0] != given.shape[1]:
            raise ValueError(f"matrix: expected shape (n, n), got {given.shape}")
        _check.finite("matrix", given)
        self._dtype = given.dtype.newbyteorder("=")
        wide = given.astype(np.result_type(self._dtype, np.float64))
        limit = float(np.finfo(self._dtype).eps) ** 0.5
        self._factor: Factor = factorise("matrix", wide, limit)
        self._whole = self._factor.whole()
        mirrored = wide.conj().T
        self._matrix = np.where(wide == mirrored, wide, wide / 2 + mirrored / 2)
        self._matrix.flags.writeable = False

    @property
    def matrix(self) -> Array | None:
        """A in float64 or complex128, read-only; None for the identity."""
        return self._matrix

    def inner(self, x: ArrayLike, y: ArrayLike) -> Any:
        """Inner products of vectors; those of x are conjugated if complex.

        Parameters
        ----------
        x, y : (..., n) array_like

        Returns
        -------
        (...) ndarray or scalar

        Raises
        ------
        ValueError
            Vectors that do not fit to each other or to the matrix; axes that do not broadcast;
            masked numbers.
        TypeError
            float16, long double, objects.

        Notes
        -----
        Whole numbers give exact results, up to 2**53. 2 n² flops for each vector of the operand
        that has fewer of them, and 2 n for each result.

        Examples
        --------
        >>> import fastmml as fm
        >>> float(fm.InnerProduct([[1.0, 0.5], [0.5, 1.0]]).inner([1, 0], [0, 1]))
        0.5
        """
        (a, b), dtype = self._pair(x, y)
        if self._matrix is not None and a.size < b.size:
            a = _times(a, self._matrix.T)
        elif self._matrix is not None:
            b = _times(b, self._matrix.T)
        with np.errstate(all="ignore"):
            return np.einsum("...i,...i->...", a.conj(), b).astype(dtype)[()]

    def norm(self, x: ArrayLike) -> Any:
        """Lengths of vectors: ``sqrt(<x, x>)``.

        Parameters
        ----------
        x : (..., n) array_like

        Returns
        -------
        (...) ndarray or scalar
            Real.

        Raises
        ------
        ValueError, TypeError
            As `inner`.

        Notes
        -----
        n² flops for each vector, and 2 n more.

        Examples
        --------
        >>> import fastmml as fm
        >>> fm.InnerProduct().norm([[3.0, 4.0], [3e200, 4e200]])
        array([5.e+000, 5.e+200])
        """
        (a,), dtype = self._operands(x=x)
        with np.errstate(all="ignore"):
            return self._in_pieces(self._lengths, a).astype(_real(dtype))[()]

    def distance(self, x: ArrayLike, y: ArrayLike) -> Any:
        """Distances between vectors: ``norm(x - y)``, whose differences must not overflow.

        Those of all vectors of one array from all of another: `fastmml.pairwise_distances`.

        Parameters
        ----------
        x, y : (..., n) array_like

        Returns
        -------
        (...) ndarray or scalar
            Real.

        Raises
        ------
        ValueError, TypeError
            As `inner`.

        Notes
        -----
        n² flops for each result, and 3 n more.

        Examples
        --------
        >>> import fastmml as fm
        >>> float(fm.InnerProduct([[4, 0], [0, 1]]).distance([1, 1], [2, 1]))
        2.0
        """
        (a, b), dtype = self._pair(x, y)
        with np.errstate(all="ignore"):
            distances = self._in_pieces(lambda first, second: self._lengths(first - second), a, b)
            return distances.astype(_real(dtype))[()]

    def angle(self, x: ArrayLike, y: ArrayLike) -> Any:
        """Angles between vectors, in radians from 0 to pi: arccos of Re <x, y> / (|x| |y|).

        Parameters
        ----------
        x, y : (..., n) array_like

        Returns
        -------
        (...) ndarray or scalar
            Real; NaN where a vector is zero, which has no direction.

        Raises
        ------
        ValueError, TypeError
            As `inner`.

        Notes
        -----
        ``2 atan2(|a - b|, |a + b|)`` of the vectors scaled to length 1 [1]_: as accurate for nearly
        parallel and opposite vectors as for others, where the arccosine loses half of the digits.
        n² flops for each vector, and 6 n for each result.

        References
        ----------
        .. [1] W. Kahan, "How futile are mindless assessments of roundoff in floating-point
           computation?", 2006, section 12.

        Examples
        --------
        >>> import fastmml as fm
        >>> fm.InnerProduct().angle([1.0, 0.0], [[1.0, 1e-9], [0.0, 2.0], [-3.0, 0.0]])
        array([1.00000000e-09, 1.57079633e+00, 3.14159265e+00])
        """
        (a, b), dtype = self._pair(x, y)
        with np.errstate(all="ignore"):
            return self._in_pieces(self._angles, a, b).astype(_real(dtype))[()]

    def gram(self, x: ArrayLike) -> Array:
        """Inner products of all columns with all: ``x* A x``, as `fastmml.gram`.

        Parameters
        ----------
        x : (n, k) array_like
            Vectors in columns.

        Returns
        -------
        (k, k) ndarray
            Exactly symmetric (Hermitian).

        Raises
        ------
        ValueError
            Other than two dimensions; columns that do not fit to the matrix; masked numbers.
        TypeError
            float16, long double, objects.

        Notes
        -----
        2 n k (n + k) flops; n k² for the standard inner product.

        Examples
        --------
        >>> import fastmml as fm
        >>> fm.InnerProduct([[2, 1], [1, 2]]).gram([[1, 1], [0, 1]])
        array([[2., 3.],
               [3., 6.]])
        """
        given = _check.numbers("x", x)
        if given.ndim != 2:
            raise ValueError(f"x: expected 2 dimensions, got {given.ndim}")
        (columns,), dtype = self._operands(x=given.T)
        columns = columns.T
        with np.errstate(all="ignore"):
            if self._matrix is None:
                return gram(columns).astype(dtype)
            products = matmul(columns.conj().T, matmul(self._matrix, columns))
            return np.asarray(products / 2 + products.conj().T / 2).astype(dtype)

    def project(
        self, x: ArrayLike, basis: ArrayLike, origin: ArrayLike | None = None
    ) -> Projection:
        """Project points onto the subspace that vectors span, or onto a shifted one.

        Parameters
        ----------
        x, basis, origin
            As in `fastmml.project`: points and vectors in columns.

        Returns
        -------
        Projection
            A named tuple ``coordinates, projection, distance``: the point of the subspace that is
            nearest to x under this inner product, so that what is left is orthogonal to all vectors
            of the basis.

        Raises
        ------
        ValueError
            Shapes that do not fit together, or to the matrix.
        numpy.linalg.LinAlgError
            The vectors are linearly dependent.
        TypeError
            float16, long double, objects.

        Notes
        -----
        By `qr` of the basis, in units in which the diagonal of A is near 1, and again of what L*
        makes of its Q: what is left is orthogonal to the basis to rounding at any condition number,
        but for a factor 1 / s. Errors of projection and coordinates grow with both. 2 n² (k + p)
        flops for k vectors and p points, and two factorisations.

        Examples
        --------
        >>> import fastmml as fm
        >>> product = fm.InnerProduct([[2, 1], [1, 2]])
        >>> product.project([0.0, 1.0], [[1.0], [0.0]]).projection.round(12)
        array([0.5, 0. ])
        """
        points, vectors, start = affine(x, basis, origin)
        (points, vectors, start), dtype = self._operands(x=points.T, basis=vectors.T, origin=start)
        points, vectors = points.T, vectors.T
        if self._matrix is None:
            found = project(points, vectors, start)
        else:
            found = self._project(points, vectors, start)
        coordinates, projection, distance = found
        with np.errstate(all="ignore"):
            near = np.asarray(distance).astype(_real(dtype))[()]
            return Projection(coordinates.astype(dtype), projection.astype(dtype), near)

    def _project(self, points: Array, vectors: Array, start: Array) -> Projection:
        """`project` under a matrix, of points and vectors scaled by powers of two."""
        shift = start.reshape(len(start), *[1] * (points.ndim - 1))
        lower, exponents = self._factor
        turn = lower.conj().T
        with np.errstate(all="ignore"):
            q, r, sizes = independent_qr(vectors, exponents)
            turned, small = qr(matmul(turn, q))

            def measure(near: Array) -> tuple[Array, Array, Array]:
                inside = matmul(turned.conj().T, matmul(turn, near))
                inside = np.linalg.solve(small, inside)
                projection = matmul(q, inside)
                return inside, projection, lengths(matmul(turn, near - projection).T)

            inside, projection, distance, far = measured_near(measure, points - shift, exponents)
            coordinates = coordinates_of(inside, r, sizes, far)
            projection = ldexp(projection, far - exponents.reshape(shift.shape))
            return Projection(coordinates, projection + shift, distance)

    def _operands(self, **operands: ArrayLike) -> tuple[list[Array], np.dtype[Any]]:
        """Vectors in float64 or complex128, and the dtype of results."""
        given = [_check.factorisable(name, values) for name, values in operands.items()]
        dtype = np.result_type(self._dtype, *given)
        size = None if self._matrix is None else len(self._matrix)
        for name, vectors in zip(operands, given, strict=True):
            _check.at_least_1d(name, vectors)
            size = vectors.shape[-1] if size is None else size
            if vectors.shape[-1] != size:
                raise ValueError(
                    f"{name}: expected vectors of {size} numbers, got {vectors.shape[-1]}"
                )
        return [x.astype(np.result_type(x, np.float64), copy=False) for x in given], dtype

    def _pair(self, x: ArrayLike, y: ArrayLike) -> tuple[list[Array], np.dtype[Any]]:
        """Two operands whose axes but the last broadcast."""
        pair, dtype = self._operands(x=x, y=y)
        try:
            np.broadcast_shapes(*(vectors.shape for vectors in pair))
        except ValueError:
            raise ValueError(
                "y: expected axes that broadcast with those of x, got shapes "
                f"{pair[0].shape} and {pair[1].shape}"
            ) from None
        return pair, dtype

    def _in_pieces(self, measure: Callable[..., Array], *vectors: Array) -> Array:
        """What is measured of vectors, some of them at a time unless they broadcast."""
        shape = vectors[0].shape
        if vectors[0].size <= _PIECE or any(x.shape != shape for x in vectors):
            return measure(*vectors)
        rows = [x.reshape(-1, shape[-1]) for x in vectors]
        step = max(_PIECE // shape[-1], 1 if self._matrix is None else _PIECE_ROWS)
        parts = (slice(start, start + step) for start in range(0, len(rows[0]), step))
        found = [measure(*(x[part] for x in rows)) for part in parts]
        return np.concatenate(found).reshape(shape[:-1])

    def _lengths(self, x: Array) -> Array:
        _, squares, exponents = self._scaled(x)
        return np.asarray(np.ldexp(np.sqrt(squares), exponents))

    def _angles(self, x: Array, y: Array) -> Array:
        first, second = self._directions(x), self._directions(y)
        apart, along = sums_of_squares(first - second), sums_of_squares(first + second)
        return np.asarray(2 * np.arctan2(np.sqrt(apart), np.sqrt(along)))

    def _directions(self, x: Array) -> Array:
        """``L* x`` scaled to length 1."""
        turned, squares, _ = self._scaled(x)
        return np.asarray(turned / np.sqrt(squares)[..., np.newaxis])

    def _scaled(self, x: Array) -> tuple[Array, Array, Any]:
        """``L* x / 2**e`` of vectors, squares of the lengths of these, and e.

        e is 0 unless a square would over- or underflow.
        """
        turned = x if self._matrix is None else _times(x, self._whole.conj())
        squares = sums_of_squares(turned)
        is_far = ~((squares >= _LEAST) & (squares <= _MOST))
        if is_far.any():
            is_far &= x.any(axis=-1)
        if not is_far.any():
            return turned, squares, 0
        exponents = np.zeros(squares.shape, np.int64)
        far, exponents[is_far] = self._far(x[is_far])
        turned = np.array(turned)
        turned[is_far], squares[is_far] = far, sums_of_squares(far)
        return turned, squares, exponents

    def _far(self, x: Array) -> tuple[Array, Array]:
        """``L* x / 2**e`` of vectors of any size, the largest number scaled to near 1; and e."""
        own = 0 if self._matrix is None else self._factor.exponents
        scaled, exponents = near_one(x, own)
        if self._matrix is not None:
            scaled = _times(scaled, self._factor.lower.conj())
        return scaled, exponents


def _times(x: Array, matrix: Array) -> Array:
    """Rows times a matrix."""
    rows = x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
    return np.asarray(matmul(rows, matrix)).reshape(x.shape)


def _real(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype of lengths of vectors of this one."""
    return np.finfo(dtype).dtype
