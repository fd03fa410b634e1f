"""Solvers of principal component analysis: largest eigenvalues of products, and their vectors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from fastmml import _check
from fastmml._centred import TINY
from fastmml.decomposition.number import Number
from fastmml.linalg import gram, matmul
from fastmml.moments import Moments
from fastmml.orthogonal import qr

Array = NDArray[Any]

#: Numbers of the columns that are centred and multiplied at a time for the products of rows, and
#: columns at least: products of many rows are added up in float64 so many times.
_SLAB, _SLAB_COLUMNS = 1 << 22, 512


class Spectrum(NamedTuple):
    """What solvers find: the largest singular values of the centred data, and their vectors."""

    mean: Array  # (n,) float64
    total: float  # sum of the squares of the centred data
    squares: Array  # (k,) float64: squared singular values, the largest first
    components: Array  # (k, n): orthonormal rows, whatever their signs


def covariance_eigh(rows: Array, number: Number) -> Spectrum:
    """By the products of columns, in one pass."""
    return moments_eigh(Moments().update(rows), number, rows)


def moments_eigh(moments: Moments, number: Number, rows: Array) -> Spectrum:
    """By the products of columns of all rows; these show what is not finite."""
    scatter = moments.scatter
    total = _total(rows, scatter)
    squares, vectors = _largest(scatter, number)
    return Spectrum(moments.mean, total, squares, vectors.T)


def gram_eigh(rows: Array, number: Number) -> Spectrum:
    """By the products of rows, and a second pass for the components."""
    mean, products = _row_products(rows)
    total = _total(rows, products)
    squares, vectors = _largest(products, number)
    return Spectrum(mean, total, squares, _from_rows(rows, mean, squares, vectors).T)


def _total(rows: Array, products: Array) -> float:
    total = float(np.trace(products))
    if not np.isfinite(total):
        _check.finite("X", rows)
        raise ValueError("X: expected numbers whose squares are finite, got larger ones")
    return total


def _largest(products: Array, number: Number) -> tuple[Array, Array]:
    """The largest eigenvalues, as many as are wanted, in falling order, and their vectors.

    Where all are needed divide and conquer keeps vectors of equal eigenvalues more orthogonal.
    """
    n, known = len(products), number.known
    if known == 0:
        return np.empty(0), np.empty((n, 0))
    subset = None if known is None or known >= n else [n - known, n - 1]
    values, vectors = scipy.linalg.eigh(
        products, subset_by_index=subset, driver="evr" if subset else "evd",
        overwrite_a=True, check_finite=False,
    )  # fmt: skip
    values, vectors = values[::-1].clip(0), vectors[:, ::-1]
    count = number.among(values)
    return values[:count], vectors[:, :count]


def _slabs(rows: Array) -> Iterator[slice]:
    """Columns that are centred at a time."""
    m, n = rows.shape
    size = max(_SLAB // m, _SLAB_COLUMNS)
    for start in range(0, n, size):
        yield slice(start, start + size)


def _row_products(rows: Array) -> tuple[Array, Array]:
    """The mean, and the products of the centred rows."""
    found = _products_in(rows, rows.dtype)
    squares = np.diagonal(found[1])
    if rows.dtype == np.float32 and not TINY["f"] ** 2 < squares.max() < np.inf:
        found = _products_in(rows, np.dtype(np.float64))
    return found


def _products_in(rows: Array, dtype: np.dtype[Any]) -> tuple[Array, Array]:
    """Mean and products, multiplied in this type.

    Deviations are from the mean as the type holds it; what they leave is taken off the products,
    which are then those of deviations from the mean itself.
    """
    m, n = rows.shape
    mean, products = np.empty(n), np.zeros((m, m))
    with np.errstate(all="ignore"):
        for slab in _slabs(rows):
            mean[slab] = rows[:, slab].mean(axis=0, dtype=np.float64)
            centred = rows[:, slab].astype(dtype, copy=False) - mean[slab].astype(dtype)
            products += gram(centred.T)
        sides = products.mean(axis=0)
        products += sides.mean() - (sides + sides[:, np.newaxis])
    return mean, products


def _from_rows(rows: Array, mean: Array, values: Array, vectors: Array) -> Array:
    """Components by the eigenvectors of the rows' products; orthonormal where they are rounding."""
    left = np.ascontiguousarray(vectors.T, rows.dtype)
    found = np.empty((rows.shape[1], len(values)), rows.dtype)
    for slab in _slabs(rows):
        centred = rows[:, slab] - mean[slab].astype(rows.dtype)
        found[slab] = matmul(left, centred).T
    largest = float(values[0]) if len(values) else 0.0
    kept = values > float(np.finfo(rows.dtype).eps) ** 2 * largest
    found[:, kept] /= np.sqrt(values[kept])
    return np.asarray(qr(found).Q)
