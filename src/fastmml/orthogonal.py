"""Orthonormal bases: QR factorisation, Gram-Schmidt, projection onto a subspace.

Tall matrices are factorised through their Gram matrix, at the speed of a matrix product; what that
cannot do to full accuracy goes to Householder's reflections in LAPACK, by `numpy.linalg.qr`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmml._backend import get_num_threads, kernels
from fastmml.linalg import gram, matmul

Array = NDArray[Any]

#: Its stubs ask for less than it takes.
_householder: Callable[..., Any] = np.linalg.qr

#: Rows for each column, and most columns, from which on Gram matrices are faster than LAPACK.
_TALL, _MOST_COLUMNS = 8, 512
#: A pivot of the Gram matrix, scaled to unit diagonal, below this times sqrt(n eps) says that the
#: columns are nearly dependent: then the first factor is that of a shifted matrix.
_PIVOT = 2.0
#: The columns are taken for orthogonal enough for the last step if their Gram matrix is so near the
#: identity: that step then ends at rounding errors.
_NEAR_IDENTITY = 0.3
#: A column is taken for dependent if what is new in it is below this times max(m, n) eps of it.
_DEPENDENT = 1.0


class QRResult(NamedTuple):
    """What `qr` returns."""

    Q: Array  #: (..., m, k): orthonormal columns
    R: Array  #: (..., k, n): upper triangular


class Projection(NamedTuple):
    """What `project` returns."""

    coordinates: Array  #: (k,) or (k, p): of the projections, in the basis that was given
    projection: Array  #: (m,) or (m, p): the nearest points of the subspace
    distance: Any  #: a number, or (p,): from the points to the subspace


def qr(a: ArrayLike, mode: str = "reduced") -> Any:
    """Factorise matrices into ``Q @ R``, Q with orthonormal columns and R upper triangular.

    Parameters
    ----------
    a : (..., m, n) array_like
        Real, complex or integer matrices.
    mode : {"reduced", "complete", "r"}
        Q of min(m, n) columns, or of m; or R alone.

    Returns
    -------
    QRResult or ndarray
        A named tuple ``Q, R``; R alone in mode "r". Signs are not specified, as in NumPy.

    Raises
    ------
    ValueError
        Another mode.
    numpy.linalg.LinAlgError, TypeError
        As `numpy.linalg.qr`: fewer than two dimensions; float16 and long double.

    Notes
    -----
    ``|Q.T @ Q - I|`` and ``|a - Q @ R| / |a|`` are of the size of n rounding errors at any
    condition number, rank-deficient matrices included.

    Single real matrices that are tall (m >= 8 n, n <= 512): twice the Cholesky factor of the Gram
    matrix (CholeskyQR2 [1]_), a third time with a shift first where columns are nearly dependent
    [2]_, by 2 m n² flops for each Gram matrix and each triangular solve. Where a pivot says that
    this would not be accurate, and for all other matrices: Householder reflections, by LAPACK.

    References
    ----------
    .. [1] T. Fukaya, Y. Nakatsukasa, Y. Yanagisawa, Y. Yamamoto, "CholeskyQR2: a simple and
       communication-avoiding algorithm for computing a tall-skinny QR factorization", ScalA 2014.
    .. [2] T. Fukaya, R. Kannan, Y. Nakatsukasa, Y. Yamamoto, Y. Yanagisawa, "Shifted Cholesky QR
       for computing the QR factorization of ill-conditioned matrices", SIAM Journal on Scientific
       Computing 42 (2020).

    Examples
    --------
    >>> import numpy as np, fastmml as fm
    >>> a = np.random.default_rng(0).normal(size=(1000, 3))
    >>> q, r = fm.qr(a)
    >>> bool(np.allclose(q @ r, a) and fm.orthogonality(q) < 1e-14)
    True
    """
    if mode not in ("reduced", "complete", "r"):
        raise ValueError(f"mode: expected 'reduced', 'complete' or 'r', got {mode!r}")
    x = np.asarray(a)
    if mode != "complete" and is_tall(x):
        found = _tall_qr(x if x.dtype.kind == "f" else x.astype(np.float64))
        if found is not None:
            return found if mode == "reduced" else found.R
    if mode == "r":
        return _householder(a, "r")
    return QRResult(*_householder(a, mode))


def orthogonality(q: ArrayLike) -> float:
    """How far the columns of q are from orthonormal: the 2-norm of ``q.T @ q - I``.

    Parameters
    ----------
    q : (m, n) array_like

    Returns
    -------
    float
        0 for no columns. Computed by `gram`, in the precision of q.

    Examples
    --------
    >>> import fastmml as fm
    >>> fm.orthogonality([[1.0, 0.0], [0.0, 2.0]])
    3.0
    """
    products = gram(q)
    difference = products - np.eye(len(products), dtype=products.dtype)
    return float(np.linalg.norm(difference, 2)) if len(products) else 0.0


def gram_schmidt(a: ArrayLike, dependent: str = "drop", method: str = "auto") -> Array:
    """Orthonormal basis of the columns of a matrix, column after column.

    Column j of the basis is column j of ``a`` less its projection onto the columns before it,
    scaled to length 1.

    Parameters
    ----------
    a : (m, n) array_like
        Vectors in columns.
    dependent : {"drop", "zero"}
        What becomes of a column that depends on those before it: what is new in it is below
        ``max(m, n)`` rounding errors of its length.
    method : {"auto", "cgs", "mgs"}
        "cgs" and "mgs" are the classical and the modified method as the textbooks have them, for
        seeing how they lose orthogonality: all columns are kept (a zero column stays zero).

    Returns
    -------
    (m, r) ndarray
        Of float32 or complex64 if ``a`` is, else float64 or complex128.

    Raises
    ------
    ValueError
        ``a`` does not have two dimensions, or another ``dependent`` or ``method``.

    Notes
    -----
    By default a QR factorisation (see `qr`), and the classical method with reorthogonalisation
    ("twice is enough", [1]_) on its small triangular factor: orthonormal to n rounding errors at
    any condition number. The classical method loses orthogonality as the square of the condition
    number grows, the modified one as the condition number itself does [1]_.

    References
    ----------
    .. [1] L. Giraud, J. Langou, M. Rozložník, J. van den Eshof, "Rounding error analysis of the
       classical Gram-Schmidt orthogonalization process", Numerische Mathematik 101 (2005).

    Examples
    --------
    >>> import fastmml as fm
    >>> fm.gram_schmidt([[3.0, 6.0, 1.0], [0.0, 0.0, 2.0]])
    array([[1., 0.],
           [0., 1.]])
    """
    if dependent not in ("drop", "zero"):
        raise ValueError(f"dependent: expected 'drop' or 'zero', got {dependent!r}")
    if method not in ("auto", *_TEXTBOOK):
        raise ValueError(f"method: expected 'auto', 'cgs' or 'mgs', got {method!r}")
    x = np.asarray(a)
    if x.ndim != 2:
        raise ValueError(f"a: expected 2 dimensions, got {x.ndim}")
    x = x if x.dtype.kind in "fc" else x.astype(np.float64)
    if method != "auto":
        return _TEXTBOOK[method](x)
    q, r = qr(x)
    basis = _twice(r, max(x.shape))
    if dependent == "drop":
        basis = basis[:, basis.any(axis=0)]
    return np.asarray(matmul(q, basis))


def project(x: ArrayLike, basis: ArrayLike) -> Projection:
    """Project points onto the subspace that vectors span.

    Parameters
    ----------
    x : (m,) or (m, p) array_like
        A point, or points in columns.
    basis : (m, k) array_like
        Linearly independent vectors in columns; they need not be orthogonal.

    Returns
    -------
    Projection
        A named tuple: ``coordinates``, ``projection = basis @ coordinates`` and ``distance``.

    Raises
    ------
    ValueError
        Shapes that do not fit together.
    numpy.linalg.LinAlgError
        The vectors are linearly dependent.

    Notes
    -----
    By `qr`: ``Q Q* x`` is projected, so that errors do not grow with the condition number of the
    basis; those of the coordinates do.

    Examples
    --------
    >>> import fastmml as fm
    >>> coordinates, projection, distance = fm.project([6.0, 0.0, 0.0], [[1, 0], [1, 1], [1, 2]])
    >>> coordinates.round(12), projection.round(12), round(distance, 12)
    (array([ 5., -3.]), array([ 5.,  2., -1.]), 2.449489742783)
    """
    points, vectors = np.asarray(x), np.asarray(basis)
    if vectors.ndim != 2:
        raise ValueError(f"basis: expected 2 dimensions, got {vectors.ndim}")
    if points.ndim not in (1, 2) or len(points) != len(vectors):
        raise ValueError(
            f"x: expected shape ({len(vectors)},) or ({len(vectors)}, p), got {points.shape}"
        )
    q, r = qr(vectors)
    new = np.abs(np.diagonal(r))
    lengths = np.linalg.norm(r, axis=0)
    limit = _DEPENDENT * max(vectors.shape) * np.finfo(r.dtype).eps
    if r.shape[0] < r.shape[1] or not (new > limit * lengths).all():
        raise np.linalg.LinAlgError("basis: expected linearly independent columns")
    inside = matmul(q.conj().T, points)
    projection = matmul(q, inside)
    distance = np.linalg.norm(points - projection, axis=0)
    return Projection(np.linalg.solve(r, inside), projection, distance[()])


def is_tall(x: Array) -> bool:
    """Whether Gram matrices are faster than LAPACK, and accurate enough to try."""
    is_real = x.dtype.char in "fd" or x.dtype.kind in "biu"
    return is_real and x.ndim == 2 and 0 < x.shape[1] <= min(_MOST_COLUMNS, len(x) // _TALL)


def _tall_qr(a: Array) -> QRResult | None:
    """Q and R by Cholesky factors; None where they would not be accurate."""
    products = gram(a)
    first = _first_factor(products, len(a))
    if first is None:
        return None
    r, is_shifted = first
    q = np.empty(a.shape, r.dtype)
    _solve_right(_readable(a), r, q)
    if is_shifted:
        again = _scaled_factor(gram(q), 0.0)
        if again is None:
            return None
        _solve_right(q, again, q)
        r = np.asarray(again @ r)
    products = gram(q)
    if not np.linalg.norm(products - np.eye(len(r))) < _NEAR_IDENTITY:  # NaN among them
        return None
    last = np.linalg.cholesky(products).T
    _solve_right(q, last, q)
    return QRResult(q, np.triu(last @ r))


def _first_factor(products: Array, rows: int) -> tuple[Array, bool] | None:
    """The factor of a Gram matrix, or of a shifted one where columns are nearly dependent."""
    found = _scaled_factor(products, 0.0)
    if found is not None:
        return found, False
    n, eps = len(products), float(np.finfo(products.dtype).eps)
    found = _scaled_factor(products, 11 * (rows * n + n * (n + 1)) * eps / 2 * n)
    return None if found is None else (found, True)


def _scaled_factor(products: Array, shift: float) -> Array | None:
    """Upper triangular R with ``R.T @ R = products``, up to the shift, of a scaled unit diagonal.

    None where a pivot is too small for it to be accurate, or a number is not finite.
    """
    lengths = np.sqrt(np.diagonal(products))
    if not ((lengths > 0) & (lengths < np.inf)).all():
        return None
    n, eps = len(products), float(np.finfo(products.dtype).eps)
    scaled = products / lengths / lengths[:, np.newaxis]
    scaled[np.diag_indices(n)] = 1 + shift
    try:
        factor = np.linalg.cholesky(scaled).T
    except np.linalg.LinAlgError:
        return None
    if not np.diagonal(factor).min() >= (0 if shift else _PIVOT * np.sqrt(n * eps)):
        return None
    return np.asarray(factor * lengths, products.dtype)


def _solve_right(a: Array, u: Array, out: Array) -> None:
    """``out = a @ inv(u)`` for an upper triangular matrix u."""
    kernels().solve_right(a, np.ascontiguousarray(u), out, get_num_threads())


def _readable(a: Array) -> Array:
    """The matrix as a kernel can read it."""
    is_readable = a.flags.aligned and a.dtype.isnative
    if is_readable and not any(stride % a.itemsize for stride in a.strides):
        return a
    return a.astype(a.dtype.newbyteorder("="))


def _twice(r: Array, size: int) -> Array:
    """Gram-Schmidt on the columns of a small matrix, each done twice; dependent ones are 0."""
    basis = np.zeros((len(r), r.shape[1]), r.dtype)
    limit = _DEPENDENT * size * float(np.finfo(r.dtype).eps)
    for j in range(r.shape[1]):
        length = np.linalg.norm(r[:, j])
        if not length > 0:
            continue
        new = r[:, j] / length
        for _ in range(2):
            new = new - basis[:, :j] @ (basis[:, :j].conj().T @ new)
        rest = np.linalg.norm(new)
        if rest > limit:
            new = new / rest
            new = new - basis[:, :j] @ (basis[:, :j].conj().T @ new)
            basis[:, j] = new / np.linalg.norm(new)
    return basis


def _classical(a: Array) -> Array:
    """Every column less its projection onto those before it."""
    q = np.zeros_like(a)
    for j in range(a.shape[1]):
        new = a[:, j] - q[:, :j] @ (q[:, :j].conj().T @ a[:, j])
        q[:, j] = _unit(new)
    return q


def _modified(a: Array) -> Array:
    """Projections are taken off one after the other, from what is left."""
    q = np.array(a)
    for j in range(a.shape[1]):
        q[:, j] = _unit(q[:, j])
        q[:, j + 1 :] -= np.multiply.outer(q[:, j], q[:, j].conj() @ q[:, j + 1 :])
    return q


def _unit(x: Array) -> Array:
    length = np.linalg.norm(x)
    return x / length if length > 0 else x


_TEXTBOOK: dict[str, Callable[[Array], Array]] = {"cgs": _classical, "mgs": _modified}
