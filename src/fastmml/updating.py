"""A QR factorisation that follows its matrix: columns and rows are appended and dropped."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmml import _check
from fastmml.least_squares import LstsqResult, singular_limit, solve_triangle
from fastmml.linalg import gram, matmul
from fastmml.orthogonal import qr

Array = NDArray[Any]

#: Orthogonalised again as long as this much of a new vector was lost: then what is left is mostly
#: new. "Twice is enough" unless vectors are dependent to rounding, which take another turn.
_KEPT = 0.5
_MOST_TURNS = 5
#: What is left of a unit vector, in rounding errors, that is taken for nothing.
_NOTHING = 8.0
#: Changes after which orthogonality is measured, and its loss in rounding errors a column from
#: which on it is restored.
_CHANGES, _LOST = 8, 2.0
#: The types of less precision.
_SINGLE = {"d": "f", "D": "F"}


class QR:
    """A QR factorisation ``a = Q @ R`` whose matrix may gain and lose columns and rows.

    Parameters
    ----------
    a : (m, n) array_like
        float32, float64, complex64, complex128 or whole numbers, of at least one row. Its
        precision is that of the factors for good: columns and rows of another one are cast.

    Attributes
    ----------
    Q : (m, min(m, n)) ndarray
        Orthonormal columns.
    R : (min(m, n), n) ndarray
        Upper triangular. Signs are not specified.

    Raises
    ------
    ValueError
        ``a`` does not have two dimensions, or no rows; NaN or infinities.
    TypeError
        Another dtype.

    Notes
    -----
    Columns are appended by Gram-Schmidt in blocks with reorthogonalisation [1]_ [2]_: 4 m n p flops
    a turn for p of them, two turns, and a third where they depend on the others. The columns of
    R behind a dropped one become triangular again by the orthogonal factor of this small block
    [3]_, which also turns the columns of Q: 2 m k² flops for k columns behind. Rows are appended
    the same way; where rows are dropped, what is left of Q is factorised.

    Each change adds some rounding errors. After every eighth one ``|Q.T @ Q - I|`` is measured, and
    Q restored by a Cholesky factor of ``Q.T @ Q`` before it has lost 10 n rounding errors, so that
    this holds after any number of changes and at any condition number. ``|a - Q @ R|`` is at most
    some n rounding errors of ``|a|``, times the number of changes.

    References
    ----------
    .. [1] J. W. Daniel, W. B. Gragg, L. Kaufman, G. W. Stewart, "Reorthogonalization and stable
       algorithms for updating the Gram-Schmidt QR factorization", Mathematics of Computation 30
       (1976).
    .. [2] J. L. Barlow, A. Smoktunowicz, "Reorthogonalized block classical Gram-Schmidt",
       Numerische Mathematik 123 (2013).
    .. [3] G. H. Golub, C. F. Van Loan, Matrix Computations, 4th ed., Johns Hopkins 2013, section
       6.5.

    Examples
    --------
    >>> import numpy as np, fastmml as fm
    >>> t = np.arange(5.0)
    >>> fit = fm.QR(np.column_stack([np.ones(5), t]))
    >>> fit.lstsq(t**2).x.round(10)
    array([-2.,  4.])
    >>> fit.append(t**2).lstsq(t**2).x.round(10) + 0.0
    array([0., 0., 1.])
    >>> fit.drop(1).R.shape
    (2, 2)
    """

    def __init__(self, a: ArrayLike) -> None:
        matrix = _check.factorisable("a", a)
        if matrix.ndim != 2 or len(matrix) == 0:
            raise ValueError(f"a: expected shape (m, n) with m > 0, got {matrix.shape}")
        _check_finite("a", matrix)
        self._q, self._r = qr(matrix)
        self._changes = 0

    @property
    def Q(self) -> Array:
        """The orthonormal factor; a view that is not writeable."""
        return _frozen(self._q)

    @property
    def R(self) -> Array:
        """The triangular factor; a view that is not writeable."""
        return _frozen(self._r)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the matrix."""
        return len(self._q), self._r.shape[1]

    def append(self, columns: ArrayLike) -> QR:
        """Add columns behind the last one.

        Parameters
        ----------
        columns : (m,) or (m, p) array_like
            One or several; they may depend on the others, or be zero.

        Returns
        -------
        QR
            Itself.

        Raises
        ------
        ValueError, TypeError
            Another number of rows; NaN or infinities; another dtype.
        """
        m, n = self.shape
        new = self._cast("columns", columns)
        new = new[:, np.newaxis] if new.ndim == 1 else new
        _check_block("columns", new, (m, None))
        size = min(m - self._q.shape[1], new.shape[1])  # how many extend the basis
        basis, above, below = _orthogonalised(self._q, new[:, :size])
        over = matmul(self._q.conj().T, new[:, size:])
        over_below = matmul(basis.conj().T, new[:, size:])
        right = np.vstack([np.hstack([above, over]), np.hstack([below, over_below])])
        left = np.vstack([self._r, np.zeros((size, n), self._r.dtype)])
        return self._set(np.hstack([self._q, basis]), np.hstack([left, right]))

    def drop(self, index: Any) -> QR:
        """Take columns away.

        Parameters
        ----------
        index : int, slice or array_like
            Which, as `numpy.delete` takes them.

        Returns
        -------
        QR
            Itself.

        Raises
        ------
        IndexError
            No such column.
        """
        kept = np.delete(np.arange(self.shape[1]), index)
        first = int(np.argmax(np.append(kept, -1) != np.arange(len(kept) + 1)))  # that moved
        k = self._q.shape[1]
        top = min(first, k)
        block = self._r[top:, kept[top:]]
        turn, triangle = np.linalg.qr(block)
        r = np.zeros((top + len(triangle), len(kept)), self._r.dtype)
        r[:top] = self._r[:top, kept]
        r[top:, top:] = triangle
        q = np.hstack([self._q[:, :top], matmul(self._q[:, top:], turn)])
        return self._set(q, r)

    def append_rows(self, rows: ArrayLike) -> QR:
        """Add rows below the last one.

        Parameters
        ----------
        rows : (n,) or (p, n) array_like
            One or several.

        Returns
        -------
        QR
            Itself.

        Raises
        ------
        ValueError, TypeError
            Another number of columns; NaN or infinities; another dtype.
        """
        k = self._q.shape[1]
        new = np.atleast_2d(self._cast("rows", rows))
        _check_block("rows", new, (None, self.shape[1]))
        turn, triangle = np.linalg.qr(np.vstack([self._r, new]))
        return self._set(np.vstack([matmul(self._q, turn[:k]), turn[k:]]), triangle)

    def drop_rows(self, index: Any) -> QR:
        """Take rows away; at least one has to stay.

        Parameters
        ----------
        index : int, slice or array_like
            Which, as `numpy.delete` takes them.

        Returns
        -------
        QR
            Itself.

        Raises
        ------
        IndexError
            No such row.
        ValueError
            No row would stay.
        """
        left = np.delete(self._q, index, axis=0)
        if len(left) == 0:
            raise ValueError("index: expected at least one row to stay, got all of them")
        q, inner = qr(left)
        return self._set(q, np.triu(matmul(inner, self._r)))

    def lstsq(self, b: ArrayLike, rcond: float | None = None, *, alpha: float = 0.0) -> LstsqResult:
        """Solve the least squares problem of this matrix, as `fastmml.lstsq`.

        Parameters
        ----------
        b : (m,) or (m, k) array_like
        rcond, alpha : float, optional
            As there: what counts as 0 beside the largest singular value; ridge regression.

        Returns
        -------
        LstsqResult

        Raises
        ------
        ValueError, TypeError
            Another number of rows; another dtype; no columns.
        """
        m, n = self.shape
        right = _check.factorisable("b", b)
        if right.ndim not in (1, 2) or len(right) != m:
            raise ValueError(f"b: expected shape ({m},) or ({m}, k), got {right.shape}")
        if n == 0:
            raise ValueError("lstsq: expected a matrix with columns, got one without")
        limit = singular_limit(rcond, (m, n), float(np.finfo(self._r.dtype).eps))
        inside = np.asarray(matmul(self._q.conj().T, right))
        ridge = _check.at_least_zero("alpha", alpha)
        x, rank, singular_values = solve_triangle(self._r, inside, limit, ridge)
        residuals = np.empty(0, singular_values.dtype)
        if rank == n < m:
            rest = right - matmul(self._q, matmul(self._r, x))
            residuals = np.atleast_1d(np.linalg.norm(rest, axis=0) ** 2)
        return LstsqResult(x, residuals, rank, singular_values)

    def _cast(self, name: str, values: ArrayLike) -> Array:
        """New numbers in the precision of the factors, whose errors theirs will have."""
        array = _check.factorisable(name, values)
        number: str = np.result_type(array, self._r).char
        if self._r.dtype.char in _SINGLE.values():
            number = _SINGLE.get(number, number)
        with np.errstate(over="ignore"):  # is seen as an infinity
            return array.astype(number, copy=False)

    def _set(self, q: Array, r: Array) -> QR:
        """Take the factors after a change, and restore Q where it has lost orthogonality."""
        self._changes += 1
        if self._changes % _CHANGES == 0:
            q, r = _restored(q, r)
        self._q, self._r = q, r
        return self


def _frozen(x: Array) -> Array:
    view = x.view()
    view.flags.writeable = False
    return view


def _check_block(name: str, block: Array, shape: tuple[int | None, int | None]) -> None:
    fits = block.ndim == 2 and all(
        want in (None, size) for want, size in zip(shape, block.shape, strict=True)
    )
    if not fits:
        wanted = ", ".join("p" if size is None else str(size) for size in shape)
        raise ValueError(f"{name}: expected shape ({wanted}), got {block.shape}")
    _check_finite(name, block)


def _check_finite(name: str, x: Array) -> None:
    if not np.isfinite(x).all():
        raise ValueError(f"{name}: expected finite numbers, got NaN or an infinity")


def _orthogonalised(q: Array, new: Array) -> tuple[Array, Array, Array]:
    """A basis of what is new in these columns, ``above`` and ``below``.

    ``new = q @ above + basis @ below``. The basis is orthonormal, and orthogonal to q; where
    nothing is new in a column, its vector is any other.
    """
    above = matmul(q.conj().T, new)
    basis, below = qr(new - matmul(q, above))
    for _ in range(_MOST_TURNS):
        inside = matmul(q.conj().T, basis)
        basis, turn = qr(basis - matmul(q, inside))
        above, below = above + matmul(inside, below), np.triu(matmul(turn, below))
        kept = np.abs(np.diagonal(turn))
        if kept.min(initial=1) > _KEPT:
            break
        _replace(basis, q, np.flatnonzero(kept <= _NOTHING * np.finfo(q.dtype).eps))
    return basis, above, below


def _replace(basis: Array, q: Array, places: NDArray[np.intp]) -> None:
    """Put unit vectors that are far from the columns of q where nothing new is left."""
    if places.size:
        nearness = np.linalg.norm(np.hstack([q, basis]), axis=1)
        basis[:, places] = 0
        basis[np.argsort(nearness, kind="stable")[: len(places)], places] = 1


def _restored(q: Array, r: Array) -> tuple[Array, Array]:
    """The factors, with Q orthonormal to rounding errors again if it was no longer near that."""
    k = q.shape[1]
    products = gram(q)
    lost = float(np.abs(products - np.eye(k)).sum(axis=1).max(initial=0))
    if lost <= _LOST * k * float(np.finfo(q.dtype).eps):
        return q, r
    factor = np.linalg.cholesky(products).conj().T
    return np.linalg.solve(factor.T, q.T).T, np.triu(matmul(factor, r))
