"""A QR factorisation that follows its matrix: columns and rows are appended and dropped."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmml import _check
from fastmml._lapack_qr import fits_lapack, lapack_qr
from fastmml.least_squares import LstsqResult, singular_limit, solve_triangle
from fastmml.linalg import gram, matmul
from fastmml.orthogonal import is_tall, qr
from fastmml.systems import inv

Array = NDArray[Any]

#: What is taken off a column, at most, beside what is left, for one turn to do: what Q lacks of
#: orthogonality then grows by a fifth at most, and four times until it is measured.
_LITTLE = 0.5
#: The norm of the inverse of the factor of new columns, scaled, beside that of orthogonal ones, up
#: to which they are far from dependent.
_FAR = 2.0
#: Orthogonalised again as long as this much of a new vector was lost: then what is left is mostly
#: new. "Twice is enough" unless vectors are dependent to rounding, which take another turn.
_KEPT = 0.5
_MOST_TURNS = 5
#: What is left of a unit vector, in rounding errors, that is taken for nothing.
_NOTHING = 8.0
#: Changes after which orthogonality is measured, and its loss in rounding errors a column from
#: which on it is restored.
_CHANGES, _LOST = 8, 2.0
#: A product that turns so many columns of Q takes as long as one rotation of each, and the way to
#: it as long as to rotate so many numbers.
_TURNED, _CALL = 10, 40_000
#: Rows of Q of this norm carry some column all but alone: without them, what is left of Q may lose
#: orthogonality by rotations.
_ALONE = 0.9
#: Rows that are turned at a time: 1 MB of 32 columns of double.
_ROWS = 4096
#: The types of less precision.
_SINGLE = {"d": "f", "D": "F"}


class _Factors(NamedTuple):
    """Both factors, which change together."""

    q: Array  # (m, k): the first columns of the room
    r: Array  # (k, n)
    room: Array  # (m, at least k)


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
    a turn for p of them; one turn where little of them is taken off, else two, and a third where
    they depend on the others. Q lies by columns, with room for more. Where few columns are dropped,
    or few rows come or go, rotations that make R triangular again turn the columns of Q, too [3]_
    (SciPy's ``qr_delete`` and ``qr_insert``): 6 m k flops each for k columns behind. Where there
    are many, the orthogonal factor of a block of R does, 2 m k² flops, and what many dropped rows
    leave of Q is factorised. An interrupted change leaves all as it was; but where `drop` turns Q
    in place, of which there is no second copy, the factors are given up: any later use raises a
    RuntimeError.

    Each change adds some rounding errors. After every eighth one ``|Q.T @ Q - I|`` is measured, and
    Q restored by a Cholesky factor of ``Q.T @ Q`` before it has lost 10 n rounding errors, so that
    this holds after any number of changes and at any condition number. ``|a - Q @ R|`` is at most
    some n rounding errors of the largest ``|a|`` so far, times the number of changes: rows that are
    much larger than the others leave their errors behind when they are dropped.

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
        q, r = qr(matrix)
        room = _by_columns(q, _room_for(q.shape[1]))
        self._factors: _Factors | None = _Factors(room[:, : q.shape[1]], r, room)
        self._is_shown = False  # to somebody for whom the factors have to stay
        self._changes = 0

    def __getstate__(self) -> dict[str, Any]:
        """The state of a copy, which may share the factors, but not the room for more columns."""
        self._is_shown = True
        whole = self._whole
        return self.__dict__ | {"_factors": whole._replace(room=whole.q)}

    @property
    def _whole(self) -> _Factors:
        """The factors, if no interrupted call left parts of them."""
        if self._factors is None:
            raise RuntimeError(
                "QR: a call of drop was interrupted while it changed the factors; make a new object"
            )
        return self._factors

    @property
    def Q(self) -> Array:
        """The orthonormal factor; a view that is not writeable."""
        self._is_shown = True
        return _frozen(self._whole.q)

    @property
    def R(self) -> Array:
        """The triangular factor; a view that is not writeable."""
        self._is_shown = True
        return _frozen(self._whole.r)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the matrix."""
        q, r, _ = self._whole
        return len(q), r.shape[1]

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
        q, old, room = self._whole
        (m, k), n = q.shape, old.shape[1]
        new = self._cast("columns", columns)
        new = new[:, np.newaxis] if new.ndim == 1 else new
        _check_block("columns", new, (m, None))
        size = min(m - k, new.shape[1])  # how many extend the basis
        basis, above, below = _orthogonalised(q, new[:, :size])
        r = np.zeros((k + size, n + new.shape[1]), above.dtype, order="F")
        r[:k, :n], r[:k, n : n + size], r[k:, n : n + size] = old, above, below
        if size < new.shape[1]:
            r[:k, n + size :] = _inside(q, new[:, size:])
            r[k:, n + size :] = _inside(basis, new[:, size:])
        if room.shape[1] < k + size or room.dtype != basis.dtype:
            room = _by_columns(q.astype(basis.dtype, copy=False), _room_for(k + size))
        room[:, k : k + size] = basis
        return self._set(room[:, : k + size], r, room)

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
        q, old, room = self._whole
        (m, k), n = q.shape, old.shape[1]
        dropped = _dropped(n, index)
        if len(dropped) == 0:
            return self
        size = min(m, n - len(dropped))
        top = min(int(dropped[0]), k)
        if self._is_shown:
            room = _by_columns(q, _room_for(k))
            q, old = room[:, :k], old.copy(order="F")
        if size and _are_few(len(dropped), m, k - top):
            delete, r = _updates().qr_delete, np.asfortranarray(old)
            self._give_up(room)
            for first, count in reversed(_runs(dropped)):
                q, r = delete(q, r, first, count, "col", True, False)
            return self._set(q[:, :size], r[:size], room)
        kept = np.delete(np.arange(n), dropped)
        turn, triangle = np.linalg.qr(old[top:, kept[top:]])
        r = np.zeros((size, len(kept)), old.dtype, order="F")
        r[:top], r[top:, top:] = old[:top, kept], triangle
        self._give_up(room)
        for rows in _blocks(m):
            room[rows, top:size] = matmul(q[rows, top:], turn)
        return self._set(room[:, :size], r, room)

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
        q, r, _ = self._whole
        (m, k), n = q.shape, r.shape[1]
        new = np.atleast_2d(self._cast("rows", rows))
        _check_block("rows", new, (None, n))
        if len(new) == 0:
            return self
        if k and _are_few(len(new), m, k):
            q, r = (part.astype(new.dtype, copy=False) for part in (q, r))
            q, r = _updates().qr_insert(q, r, new, m, "row", None, False, False)
            size = min(m + len(new), n)
            return self._set(q[:, :size], r[:size])
        turn, triangle = np.linalg.qr(np.vstack([r, new]))
        turned = np.empty((m + len(new), turn.shape[1]), turn.dtype, order="F")
        turned[m:] = turn[k:]
        for some in _blocks(m):
            turned[some] = matmul(q[some], turn[:k])
        return self._set(turned, triangle)

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
        q, r, _ = self._whole
        m, k = q.shape
        dropped = _dropped(m, index)
        if len(dropped) == m:
            raise ValueError("index: expected at least one row to stay, got all of them")
        if len(dropped) == 0:
            return self
        is_possible = m - len(dropped) >= k > 0 and _are_few(len(dropped), m, k)
        if is_possible and _is_shorter(q[dropped], _ALONE):
            for first, count in reversed(_runs(dropped)):
                q, r = _updates().qr_delete(q, r, first, count, "row", False, False)
            return self._set(q, r)
        basis, inner = qr(np.delete(q, dropped, axis=0))
        return self._set(_by_columns(basis, basis.shape[1]), np.triu(matmul(inner, r)))

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
        q, r, _ = self._whole
        m, n = self.shape
        right = _check.factorisable("b", b)
        if right.ndim not in (1, 2) or len(right) != m:
            raise ValueError(f"b: expected shape ({m},) or ({m}, k), got {right.shape}")
        if n == 0:
            raise ValueError("lstsq: expected a matrix with columns, got one without")
        limit = singular_limit(rcond, (m, n), float(np.finfo(r.dtype).eps))
        inside = _inside(q, right)
        ridge = _check.at_least_zero("alpha", alpha)
        x, rank, singular_values = solve_triangle(r, inside, limit, ridge)
        residuals = np.empty(0, singular_values.dtype)
        if rank == n < m:
            rest = right - matmul(q, matmul(r, x))
            residuals = np.atleast_1d(np.linalg.norm(rest, axis=0) ** 2)
        return LstsqResult(x, residuals, rank, singular_values)

    def _cast(self, name: str, values: ArrayLike) -> Array:
        """New numbers in the precision of the factors, whose errors theirs will have."""
        array = _check.factorisable(name, values)
        own = self._whole.r.dtype
        if array.dtype == own:
            return array
        number: str = np.result_type(array, own).char
        if own.char in _SINGLE.values():
            number = _SINGLE.get(number, number)
        with np.errstate(over="ignore"):  # is seen as an infinity
            return array.astype(number, copy=False)

    def _give_up(self, room: Array) -> None:
        """Have no factors while the memory changes in which they lie."""
        if self._whole.room is room:
            self._factors = None

    def _set(self, q: Array, r: Array, room: Array | None = None) -> QR:
        """Take the factors after a change, and restore Q where it has lost orthogonality.

        ``room`` is where q may lie. Both are taken at once: an interrupt comes before or after.
        """
        changes = self._changes + 1
        if changes % _CHANGES == 0:
            q, r = _restored(q, r)
        if room is None or not np.may_share_memory(q, room):
            room = q
        is_shown = self._is_shown and self._factors is not None and room is self._factors.room
        self._factors = _Factors(q, r, room)
        self._is_shown, self._changes = is_shown, changes
        return self


def _updates() -> Any:
    """SciPy's, imported when they are used."""
    return importlib.import_module("scipy.linalg")


def _are_few(changes: int, m: int, behind: int) -> bool:
    """Whether rotations of so many columns are faster than to make their product and turn Q by it.

    (2000 x 500: 1 ms for 15.)
    """
    product = m * behind * behind / _TURNED + behind**3 + _CALL
    return (changes - 1) * m * behind <= product


def _dropped(size: int, index: Any) -> NDArray[np.intp]:
    """What `numpy.delete` takes away of so many, ascending."""
    # Which takes ten times as long for one number and for neighbours.
    if type(index) is int and -size <= index < size:
        return np.array([index % size])
    if isinstance(index, slice):
        return np.sort(np.arange(size)[index])
    _check.unmasked("index", index)
    is_dropped = np.ones(size, bool)
    try:
        is_dropped[np.delete(np.arange(size), index)] = False
    except (IndexError, ValueError) as error:
        raise type(error)(f"index: {error}") from None
    return np.flatnonzero(is_dropped)


def _room_for(columns: int) -> int:
    """Columns that memory is asked for; it is not taken before they are written."""
    return columns + columns // 2 + 8


def _by_columns(q: Array, columns: int) -> Array:
    """A copy that lies by columns, of which the first are those of q."""
    room = np.empty((len(q), columns), q.dtype, order="F")
    for rows in _blocks(len(q)):
        room[rows, : q.shape[1]] = q[rows]
    return room


def _blocks(m: int) -> Iterator[slice]:
    """Rows, some at a time."""
    for start in range(0, m, _ROWS):
        yield slice(start, min(start + _ROWS, m))


def _runs(numbers: NDArray[np.intp]) -> list[tuple[int, int]]:
    """The first of each run of neighbours among ascending numbers, and its length."""
    if numbers[-1] - numbers[0] < len(numbers):
        return [(int(numbers[0]), len(numbers))]
    runs = np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1)
    return [(int(run[0]), len(run)) for run in runs]


def _inside(q: Array, x: Array) -> Array:
    """``Q* x``, without a conjugated copy of Q."""
    return np.asarray(matmul(q.T, x.conj()).conj())


def _along(q: Array, x: Array) -> Array:
    """``q @ x``, by columns, as q lies."""
    return np.asarray(matmul(x.T, q.T).T)


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
        _check.finite(name, x)  # tells where


def _orthogonalised(q: Array, new: Array) -> tuple[Array, Array, Array]:
    """A basis of what is new in these columns, ``above`` and ``below``.

    ``new = q @ above + basis @ below``. The basis is orthonormal, and orthogonal to q; where
    nothing is new in a column, its vector is any other.
    """
    above = _inside(q, new)
    basis, below = _factors(new - _along(q, above))
    if _is_new(above, below):
        return basis, above, below
    for _ in range(_MOST_TURNS):
        inside = _inside(q, basis)
        basis, turn = qr(basis - _along(q, inside))
        above, below = above + matmul(inside, below), np.triu(matmul(turn, below))
        kept = np.abs(np.diagonal(turn))
        if kept.min(initial=1) > _KEPT:
            break
        _replace(basis, q, np.flatnonzero(kept <= _NOTHING * np.finfo(q.dtype).eps))
    return basis, above, below


def _is_shorter(rows: Array, limit: float) -> bool:
    """Whether the 2-norm is below a limit, which the faster Frobenius norm mostly tells."""
    is_matrix = rows.ndim > 1 and len(rows) > 1
    frobenius = float(np.linalg.norm(rows))
    return frobenius < limit or (is_matrix and bool(np.linalg.norm(rows, 2) < limit))


def _factors(x: Array) -> tuple[Array, Array]:
    """Q and R; of a single column, it scaled to length 1 and its length."""
    if x.shape[1] == 1:
        square, limits = float(gram(x)[0, 0].real), np.finfo(x.dtype)
        if limits.tiny / limits.eps < square < limits.max:
            length = np.sqrt(square)
            return x / x.dtype.type(length), np.full((1, 1), length, x.dtype)
    if is_tall(x) or x.size == 0 or not fits_lapack(x, "reduced"):
        q, r = qr(x)
    else:  # NumPy's takes twice as long for few columns
        q, r = lapack_qr(x, "reduced", True)
    return q, r


def _is_new(above: Array, below: Array) -> bool:
    """Whether little was taken off new columns for what is left, which is far from dependent."""
    if len(below) == 1 and above.shape[1] == 1:  # a tenth of the time of arrays
        length = float(abs(below[0, 0]))
        return length > 0 and bool(np.linalg.norm(above[:, 0] / length) < _LITTLE)
    lengths = np.abs(below).max(axis=0, initial=0)
    if not (np.abs(above).max(axis=0, initial=0) < lengths).all():
        return False
    above = above / lengths  # squares are in range now
    try:
        inverse = inv(below / lengths)
    except np.linalg.LinAlgError:
        return False
    is_far = np.linalg.norm(inverse) < _FAR * np.sqrt(len(below))
    return bool(is_far and np.linalg.norm(above @ inverse) < _LITTLE)


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
