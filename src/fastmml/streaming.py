"""QR factorisation of more rows than memory holds: `StreamingQR`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmml import _check
from fastmml._chunks import Chunks
from fastmml._undo import all_or_nothing
from fastmml.least_squares import LstsqResult, singular_limit, solve_triangle
from fastmml.orthogonal import qr

Array = NDArray[Any]

#: Numbers that are factorised at a time: 8 MB of float64.
_PIECE = 1 << 20
#: Rows are gathered until there are so many for each column: then Gram matrices serve.
_ROWS_PER_COLUMN = 8


class StreamingQR:
    """The triangular factor of a matrix whose rows come in chunks, and least squares by it.

    Memory holds the factor and the rows of one piece: some n² numbers whatever the number of rows.

    Attributes
    ----------
    rows : int
        How many rows were taken.
    r : (min(rows, n), n) ndarray
        Upper triangular: ``r.T @ r = a.T @ a`` for all rows ``a`` so far. Signs are not specified.

    Notes
    -----
    Each piece of rows is factorised by `qr` with its right-hand sides as further columns, and its
    factor together with that of the rows before (TSQR [1]_, one piece after the other). No
    orthogonal matrix is kept: the right-hand sides come out as ``Q.T @ b``, and below it the norms
    of the residuals. The factor is that of a matrix that differs, in each column, by some n
    rounding errors times the number of pieces, at any condition number. A piece has 2**20 numbers,
    so that a chunk may be a mapped file of any length; small chunks are gathered until there are
    8 rows a column. The cost is that of `qr`. Singular values count beside the rounding errors of
    the least precise chunk.

    References
    ----------
    .. [1] J. Demmel, L. Grigori, M. Hoemmen, J. Langou, "Communication-optimal parallel and
       sequential QR and LU factorizations", SIAM Journal on Scientific Computing 34 (2012).

    Examples
    --------
    >>> import numpy as np, fastmml as fm
    >>> stream = fm.StreamingQR()
    >>> for start in range(0, 1000, 100):
    ...     t = np.arange(start, start + 100.0)
    ...     _ = stream.update(np.column_stack([np.ones(100), t]), 3 + 2 * t)
    >>> stream.rows, stream.lstsq().x.round(10)
    (1000, array([3., 2.]))
    """

    def __init__(self) -> None:
        self.rows = 0
        self._columns = 0  # of a
        self._right: tuple[int, ...] | None = None  # the shape of a row of b
        self._factor = np.empty((0, 0))
        self._unit = 0.0  # the largest rounding error of what was taken
        self._waiting: tuple[Array, ...] = ()

    def update(self, a: Any, b: ArrayLike | None = None) -> StreamingQR:
        """Take more rows of the matrix, and of its right-hand sides.

        Parameters
        ----------
        a : (m, n) array_like, frame, Arrow data, or iterable of these
            float32, float64, complex64, complex128 or whole numbers; n is the same in all calls.
            Some rows are in memory at a time, as in `Moments.update`.
        b : (m,) or (m, k) array_like, optional
            In all calls or in none, for all chunks end to end.

        Returns
        -------
        StreamingQR
            Itself. A call that raises changes nothing.

        Raises
        ------
        ValueError
            Shapes that do not fit together, or not to what came before; NaN or infinities.
        TypeError
            Another dtype.
        """
        right = None if b is None else _check.factorisable("b", b)
        first = self.rows
        with all_or_nothing(self):
            for rows in Chunks("a", a):
                matrix, start = _check.factorisable("a", rows), self.rows - first
                part = right
                if right is not None and right.ndim > 0 and matrix.ndim > 0:
                    part = right[start : start + len(matrix)]
                self._take(matrix, part, start)
            if right is not None and len(right) != self.rows - first:
                m = self.rows - first
                raise ValueError(f"b: expected shape ({m},) or ({m}, k), got {right.shape}")
        return self

    def merge(self, other: StreamingQR) -> StreamingQR:
        """Take all rows that another one took: of another thread, file or machine.

        Parameters
        ----------
        other : StreamingQR

        Returns
        -------
        StreamingQR
            Itself; the other one stays as it is.

        Raises
        ------
        TypeError
            ``other`` is no `StreamingQR`.
        ValueError
            It has another number of columns or right-hand sides.
        """
        if not isinstance(other, StreamingQR):
            raise TypeError(f"other: expected a StreamingQR, got {type(other).__name__}")
        mine, theirs = (self._columns, self._right), (other._columns, other._right)
        if other._columns and self._columns and mine != theirs:
            raise ValueError(f"other: expected {_describe(*mine)}, got {_describe(*theirs)}")
        factors = [x for x in (self.triangle(), other.triangle()) if x.size]
        if factors:
            self._factor = _reduced(factors[0], tuple(factors[1:]))
            self._columns, self._right = mine if self._columns else theirs
        self.rows += other.rows
        self._unit = max(self._unit, other._unit)
        return self

    @property
    def r(self) -> Array:
        """The triangular factor of all rows so far."""
        top = min(self.rows, self._columns)
        return self.triangle()[:top, : self._columns].reshape(top, self._columns).copy()

    def lstsq(self, rcond: float | None = None, *, alpha: float = 0.0) -> LstsqResult:
        """Solve the least squares problem of all rows so far, as `fastmml.lstsq`.

        Parameters
        ----------
        rcond, alpha : float, optional
            As there: what counts as 0 beside the largest singular value; ridge regression.

        Returns
        -------
        LstsqResult
            Residuals come from the factorisation.

        Raises
        ------
        ValueError
            No rows came yet, or they came without right-hand sides.
        """
        if self.rows == 0 or self._right is None:
            raise ValueError("lstsq: expected rows with right-hand sides (update(a, b)) before")
        ridge = _check.at_least_zero("alpha", alpha)
        triangle, n = self.triangle(), self._columns
        top = min(self.rows, n)
        r, parts, below = triangle[:top, :n], triangle[:top, n:], triangle[top:, n:]
        limit = singular_limit(rcond, (self.rows, n), self._unit)
        x, rank, singular_values = solve_triangle(r, parts, limit, ridge)
        residuals = np.empty(0, singular_values.dtype)
        if rank == n < self.rows:
            rest = np.concatenate([below, parts - r @ x])
            residuals = np.asarray(np.linalg.norm(rest, axis=0) ** 2)
        return LstsqResult(x.reshape(n, *self._right), residuals, rank, singular_values)

    def triangle(self) -> Array:
        """The factor of all rows with their right-hand sides as columns behind.

        Returns
        -------
        ndarray
            Of n columns and those of the right-hand sides; upper triangular.
        """
        if self._waiting:
            self._factor, self._waiting = _reduced(self._factor, self._waiting), ()
        return self._factor

    def _take(self, matrix: Array, right: Array | None, first_row: int) -> None:
        """Take rows of one array, whose first is this one of those of the call."""
        self._check_shapes(matrix, right)
        for piece in _pieces(matrix, right):
            if not self._is_taken(piece):
                _check.finite("a", matrix, first_row)
                if right is not None:
                    _check.finite("b", right, first_row)
                raise ValueError(_TOO_LARGE)
        self._columns = matrix.shape[1]
        self._right = None if right is None else right.shape[1:]
        self.rows += len(matrix)

    def _is_taken(self, piece: Array) -> bool:
        """Take rows; False where they, or the norm of a column, are not finite."""
        self._unit = max(self._unit, float(np.finfo(piece.dtype).eps))
        self._waiting = (*self._waiting, piece)
        if sum(map(len, self._waiting)) < _ROWS_PER_COLUMN * piece.shape[1]:
            return _check.is_finite(piece)
        self._factor, self._waiting = _stacked(self._factor, self._waiting), ()
        return _check.is_finite(self._factor)

    def _check_shapes(self, matrix: Array, right: Array | None) -> None:
        m = len(matrix) if matrix.ndim else 0
        if matrix.ndim != 2 or matrix.shape[1] == 0:
            raise ValueError(f"a: expected shape (m, n) with n > 0, got {matrix.shape}")
        if right is not None and (
            right.ndim not in (1, 2) or len(right) != m or 0 in right.shape[1:]
        ):
            raise ValueError(f"b: expected shape ({m},) or ({m}, k), got {right.shape}")
        shapes = matrix.shape[1], None if right is None else right.shape[1:]
        if self._columns and shapes != (self._columns, self._right):
            expected = _describe(self._columns, self._right)
            raise ValueError(f"a, b: expected {expected} as before, got {_describe(*shapes)}")


_TOO_LARGE = "a, b: expected columns of finite norm, got one whose norm overflows"


def _pieces(matrix: Array, right: Array | None) -> Iterator[Array]:
    """Copies of some rows at a time, with their right-hand sides as columns behind."""
    blocks = (
        [matrix] if right is None else [matrix, right.reshape(len(right), *right.shape[1:] or (1,))]
    )
    size = max(_PIECE // sum(x.shape[1] for x in blocks), 1)
    for start in range(0, len(matrix), size):
        yield np.concatenate([x[start : start + size] for x in blocks], axis=1)


def _reduced(factor: Array, blocks: tuple[Array, ...]) -> Array:
    """The triangular factor of a factor with finite rows below it."""
    r = _stacked(factor, blocks)
    if not _check.is_finite(r):
        raise ValueError(_TOO_LARGE)
    return r


def _stacked(factor: Array, blocks: tuple[Array, ...]) -> Array:
    """The same, of numbers that are not finite where rows or norms are not."""
    rows = np.concatenate(blocks) if len(blocks) > 1 else blocks[0] if blocks else factor
    r = qr(rows, "r")
    if factor.size and blocks:
        r = qr(np.concatenate([factor, r]), "r")
    return np.asarray(r)


def _describe(columns: int, right: tuple[int, ...] | None) -> str:
    if right is None:
        return f"{columns} columns without right-hand sides"
    return f"{columns} columns with right-hand sides of shape (m, {', '.join(map(str, right))})"
