"""Distances between rows, and the nearest of them, on the kernels of matrix products."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmml import _check
from fastmml._backend import get_num_threads, kernels
from fastmml._definite import factorise
from fastmml._kernels import COSINE, EUCLIDEAN, F64, I64, SQEUCLIDEAN, Real
from fastmml.linalg import matmul

_KINDS = {"euclidean": EUCLIDEAN, "sqeuclidean": SQEUCLIDEAN, "cosine": COSINE}
_METRICS = (*_KINDS, "mahalanobis")


class Neighbors(NamedTuple):
    """What `kneighbors` returns."""

    distances: NDArray[Any]  #: (queries, n_neighbors): ascending in each row
    indices: I64  #: (queries, n_neighbors): of rows of x


def pairwise_distances(
    x: ArrayLike,
    y: ArrayLike | None = None,
    metric: str = "euclidean",
    *,
    VI: ArrayLike | None = None,
) -> NDArray[Any]:
    """Distance from each row of x to each row of y, as scikit-learn's function of this name.

    Parameters
    ----------
    x : (m, k) array_like
        Real, integer or bool, finite, of any layout.
    y : (n, k) array_like, optional
        By default x: then the result is exactly symmetric, with zeros on its diagonal.
    metric : {"euclidean", "sqeuclidean", "cosine", "mahalanobis"}
        ``|x - y|``, its square, ``1 - x.y / (|x| |y|)`` (1 for a row of zeros), or
        ``sqrt((x - y) VI (x - y))``: the length under the inner product that VI defines.
    VI : (k, k) array_like, optional
        Positive definite, for "mahalanobis", which requires it; of another than a symmetric matrix
        the symmetric part counts, as in that formula.

    Returns
    -------
    (m, n) ndarray
        float32 if x and y are of float32 or float16, else float64, which "mahalanobis" always is.

    Raises
    ------
    ValueError
        Other than two dimensions; no columns, or numbers of them that differ; NaN or infinities;
        masked numbers; another metric; a VI that is missing, does not fit or is not positive
        definite; for "cosine", rows whose squared length overflows or underflows float64.
    TypeError
        A dtype that is not real, or longdouble.

    Notes
    -----
    Every result has a relative error of at most ``(2 k + 98) u`` ("euclidean") or twice that
    ("sqeuclidean", "cosine"), u being half the distance from 1 to the next number: also where rows
    are near to each other or far from the origin, unless it is a subnormal number. Typical errors
    are a few u. Rows are centred and multiplied as matrices; pairs whose squared distance is less
    than a quarter of ``|x|^2 + |y|^2`` (of centred rows) are summed up from differences in float64,
    so that equal rows have distance 0. Besides: roots of cosine distances have an absolute error of
    k + 8 roundings of float64. Mahalanobis' distances have an absolute one of 2 (k + 4) of
    ``|L| (|x| + |y|)``, for centred rows and Frobenius' norm of the Cholesky factor L of VI, and
    for the errors of L itself a relative one of k (k + 4) / s, s being the smallest eigenvalue of
    VI with its rows and columns scaled to ones on the diagonal. Squares must not overflow or
    underflow float64.

    2 m n k flops, half of them without y; 3 k for each near pair, which take some eight times as
    long: the worst case is data in far-off clusters. Errors of inner products are bounded as in N.
    J. Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 3.1. The number of
    threads changes no bit, but for the numba backend's BLAS.

    Examples
    --------
    >>> import fastmml as fm
    >>> fm.pairwise_distances([[0.0, 0.0], [3.0, 4.0]])
    array([[0., 5.],
           [5., 0.]])
    >>> fm.pairwise_distances([[1, 0]], [[0, 1], [2, 0]], metric="cosine")
    array([[1., 0.]])
    """
    _check_metric(metric, VI)
    left, right = _operands("x", x, "y", y)
    if VI is not None:
        left, right = _transformed(left, right, np.asarray(VI))
        metric = "euclidean"
    out = kernels().empty((len(left), len(left if right is None else right)), left.dtype)
    if out.size:
        _measure(left, right, metric, out)
    return out


def kneighbors(
    x: ArrayLike,
    queries: ArrayLike | None = None,
    n_neighbors: int = 5,
    metric: str = "euclidean",
    *,
    VI: ArrayLike | None = None,
) -> Neighbors:
    """The nearest rows of x to each query, by comparison with all of them.

    Parameters
    ----------
    x : (n, k) array_like
        Real, integer or bool, finite, of any layout.
    queries : (m, k) array_like, optional
        By default the rows of x, none of which is then a neighbour of itself.
    n_neighbors : int
        At most n, or n - 1 without queries.
    metric : {"euclidean", "sqeuclidean", "cosine", "mahalanobis"}
        As in `pairwise_distances`; for "cosine", rows of zeros are refused.
    VI : (k, k) array_like, optional
        For "mahalanobis", as in `pairwise_distances`.

    Returns
    -------
    Neighbors
        A named tuple ``distances, indices``, as scikit-learn's ``NearestNeighbors.kneighbors``
        returns them: two (m, n_neighbors) arrays, distances of the dtype of `pairwise_distances`.

    Raises
    ------
    ValueError, TypeError
        As in `pairwise_distances`; an ``n_neighbors`` out of range.

    Notes
    -----
    The result is that of a stable sort of all distances, each computed by differences in float64
    (for "cosine" of rows scaled to length 1; for "mahalanobis" of centred rows times the Cholesky
    factor of VI, with the errors of `pairwise_distances`), so that ties go to the lowest index.
    Those differences are summed up only for pairs that a matrix product in the precision of the
    data, with a bound on its rounding errors, does not rule out. There is no (m, n) array: memory
    beyond the results is 8 bytes for each and 10 to 30 MB of blocks; for "mahalanobis", also copies
    of x and queries in float64.

    2 m n k flops, and 3 k for each pair that is not ruled out: of rows in random order about
    ``n_neighbors (1 + log(n / n_neighbors))`` for each query. The worst case (each row of x nearer
    than those before, or clusters far from the mean) takes some eight times as long.

    Examples
    --------
    >>> import fastmml as fm
    >>> fm.kneighbors([[0.0], [1.0], [3.0]], [[2.8]], n_neighbors=2).indices
    array([[2, 1]])
    """
    _check_metric(metric, VI)
    data, asked = _operands("x", x, "queries", queries)
    count = _check.positive_int("n_neighbors", n_neighbors)
    available = len(data) - (asked is None)
    if count > available:
        others = "rows" if asked is not None else "other rows"
        raise ValueError(
            f"n_neighbors: expected at most {max(available, 0)}, the {others} of x, got {count}"
        )
    left, right = (data, None) if asked is None else (asked, data)
    if VI is not None:
        left, right = _transformed(left, right, np.asarray(VI))
        metric = "euclidean"
    distances = kernels().empty((len(left), count), left.dtype)
    indices = kernels().empty((len(left), count), np.int64)
    if distances.size:
        _search(left, right, metric, distances, indices)
    return Neighbors(distances, indices)


def _check_metric(metric: str, inner: ArrayLike | None) -> None:
    """Check that a metric is known, and has a matrix if it takes one."""
    if metric not in _METRICS:
        raise ValueError(f"metric: expected one of {_METRICS}, got {metric!r}")
    if (inner is None) == (metric == "mahalanobis"):
        raise ValueError("VI: expected a positive definite matrix for metric 'mahalanobis' alone")


def _operands(
    x_name: str, x: ArrayLike, y_name: str, y: ArrayLike | None
) -> tuple[Real, Real | None]:
    """Both matrices as numbers that the kernels compute with, of one dtype."""
    left = _check.finite_matrix(x_name, x)
    if left.shape[1] == 0:
        raise ValueError(f"{x_name}: expected at least 1 column, got 0")
    if y is None:
        return left, None
    right = _check.finite_matrix(y_name, y)
    if left.shape[1] != right.shape[1]:
        raise ValueError(
            f"{y_name}: expected {left.shape[1]} columns, as many as {x_name}, got {right.shape[1]}"
        )
    dtype = np.result_type(left, right)
    return left.astype(dtype, copy=False), right.astype(dtype, copy=False)


def _measure(x: Real, y: Real | None, metric: str, out: Real) -> None:
    """Fill ``out``."""
    scales = _scales(x, y) if metric == "cosine" else (None, None)
    kernels().pairwise_distances(x, scales[0], y, scales[1], _KINDS[metric], out, get_num_threads())
    if metric == "cosine":
        out[~x.any(axis=1)] = 1
        out[:, ~(x if y is None else y).any(axis=1)] = 1
        if y is None:
            np.fill_diagonal(out, 0)


def _search(x: Real, y: Real | None, metric: str, distances: Real, indices: I64) -> None:
    """Fill ``distances`` and ``indices``: rows of y that are near to those of x."""
    scales = _scales(x, y) if metric == "cosine" else (None, None)
    for name, rows in (("queries", x), ("x", y)) if y is not None else (("x", x),):
        if metric == "cosine" and not rows.any(axis=1).all():
            raise ValueError(f"{name}: expected rows that are not 0, for metric 'cosine'")
    kernels().kneighbors(
        *(x, scales[0], y, scales[1], _KINDS[metric]), distances, indices, get_num_threads()
    )


def _scales(x: Real, y: Real | None) -> tuple[F64, F64 | None]:
    """What rows are multiplied with to be of length 1; 1 for rows of zeros."""
    return _scale(x), None if y is None else _scale(y)


def _scale(x: Real) -> F64:
    with np.errstate(over="ignore", under="ignore"):
        squares: F64 = np.einsum("ij,ij->i", x, x, dtype=np.float64)
    smallest = np.finfo(np.float64).tiny / np.finfo(np.float64).eps * max(x.shape[1], 1)
    largest = np.finfo(np.float64).max / 4  # of which squared differences can be held
    is_zero = ~x.any(axis=1)
    if not np.all((squares >= smallest) & (squares <= largest) | is_zero):
        raise ValueError("metric: 'cosine' expects rows whose squared length float64 can hold")
    squares[is_zero] = 1
    return 1 / np.sqrt(squares)


def _transformed(x: Real, y: Real | None, inner: NDArray[Any]) -> tuple[F64, F64 | None]:
    """Rows whose distances are those of x and y under an inner product: ``|(x - y) L|``."""
    factor = _factor(inner, x.shape[1])
    wide = x.astype(np.float64, copy=False)
    sides = [wide] if y is None else [wide, y.astype(np.float64, copy=False)]
    with np.errstate(all="ignore"):
        centre = (wide / max(len(x), 1)).sum(axis=0)
        turned = [matmul(side - centre, factor) for side in sides]
    if not all(np.isfinite(side).all() for side in turned):
        raise ValueError("VI: expected rows whose lengths under it float64 can hold")
    return turned[0], None if y is None else turned[1]


def _factor(inner: NDArray[Any], columns: int) -> F64:
    """L such that VI = L L'."""
    matrix = _check.finite_matrix("VI", inner).astype(np.float64)
    if matrix.shape != (columns, columns):
        raise ValueError(f"VI: expected shape {(columns, columns)}, got {matrix.shape}")
    factor: F64 = factorise("VI", matrix).whole()
    return factor
