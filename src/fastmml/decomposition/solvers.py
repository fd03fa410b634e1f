"""Exact solvers of principal component analysis, and what all solvers return."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from fastmml._backend import one_thread
from fastmml._blas import on_one_thread
from fastmml.decomposition.krylov import Limits, Symmetric, is_large, largest
from fastmml.decomposition.number import Number
from fastmml.decomposition.operators import Centred, DenseRows, Products
from fastmml.linalg import matmul
from fastmml.orthogonal import qr

Array = NDArray[Any]

#: Rounding errors of products, and those of eigenvectors of a matrix of float64, in units of the
#: largest eigenvalue: twice what random data of all shapes and spectra have shown.
_PRODUCTS, _VECTORS = 4.0, 64.0
_EPS = float(np.finfo(np.float64).eps)
#: Squares that differ by more than this factor have lost digits in float32, and in float64, that
#: singular values of the data along the components still have.
_LOST = {"f": 16.0, "d": 256.0}
#: Eigenvalues of a matrix of so many rows for each that is wanted come from products with it, and
#: in float32, up to a number of them, of fewer rows whose eigenvalues are, by their squares, not
#: many more than are wanted.
_FEW, _FEW_SINGLE, _MOST_SINGLE, _CONCENTRATED = 24, 10, 64, 5
#: Numbers of a matrix that vectors are multiplied by on one thread, few at a time: others would be
#: woken for each product.
_SMALL, _SMALL_BLOCK, _BLOCK = 1 << 22, 8, 16
#: Residuals in units of the largest eigenvalue, at which eigenvectors are as good as LAPACK's of
#: products of float32 and of float64.
_EXACT = {"f": 5e-7, "d": 1e-14}
#: Residuals in rounding errors of products of float32, which are of the size of the root of the
#: largest eigenvalue times their own, beyond which float64 is taken: powers of i have 2 to 3,
#: spectra that end in many near the last one 12 to 112, where sines were 1e-5 to 2e-3.
_ROUNDED = 4.0


class Spectrum(NamedTuple):
    """What solvers find: the largest singular values of the centred data, and their vectors."""

    squares: Array  # (k,) float64: squared singular values, the largest first
    components: Array  # (k, n): orthonormal rows, whatever their signs
    errors: Array  # (k,): estimates of the sine of the angle to the true component


def covariance_eigh(data: Centred, number: Number) -> Spectrum:
    """By the products of columns, in one pass, and another where squares have lost digits."""
    found = products_eigh(data, number)
    if not _has_lost(data, found.squares):
        return found
    return refined(data, found.components.T, found.errors)


def products_eigh(data: Products, number: Number) -> Spectrum:
    """By the products of columns alone."""
    values, vectors, residuals = _largest(data, data.column_products(), number)
    k, n = vectors.shape[1], len(vectors)
    errors = angles(values, residuals + rounding(data, values, data.unit), n)
    return Spectrum(values[:k], vectors.T, errors)


def gram_eigh(data: Centred, number: Number) -> Spectrum:
    """By the products of rows, and another pass for the components."""
    values, vectors, residuals = _largest(data, data.row_products(), number)
    k = vectors.shape[1]
    residuals = residuals + rounding(data, values, data.unit)
    errors = through_rows(values[:k], angles(values, residuals, data.shape[1]))
    components = qr(_from_rows(data, values[:k], vectors)).Q
    if not _has_lost(data, values[:k]):
        return Spectrum(values[:k], components.T, errors)
    return refined(data, components, errors)


def full(data: DenseRows, number: Number) -> Spectrum:
    """By the singular values of a centred copy in float64: no squares are taken."""
    centred = data.centred()
    if centred.shape[0] >= centred.shape[1]:
        _, lengths, rows = _svd(qr(centred, mode="r", overwrite_a=True))
    else:
        basis, triangle = qr(centred.T)
        left, lengths, _ = _svd(triangle)
        rows = matmul(basis, left).T
    squares = lengths**2
    k = number.among(squares, data.total)
    residuals = _VECTORS * _EPS * lengths[:1] * lengths[:k]
    return Spectrum(squares[:k], rows[:k], angles(squares[: k + 1], residuals, data.shape[1]))


def rounding(data: Products, values: Array, unit: float) -> float:
    """What rounding errors of this unit in products leave of residuals of these eigenvalues."""
    top = float(values.max(initial=0))
    products = _PRODUCTS * unit * np.sqrt(top) * np.sqrt(top + data.removed)
    return float(products + _VECTORS * _EPS * top + np.finfo(float).tiny)


def angles(values: Array, residuals: Array, n: int) -> Array:
    """Bounds on the sines of the angles to eigenvectors, by residuals and gaps (Davis, Kahan 1970).

    ``values`` has one more than ``residuals``, if there is one; the others of n are 0.
    """
    k = len(residuals)
    known = values if len(values) > k or k == n else np.append(values, 0.0)
    gaps = np.full(k, np.inf)
    steps = known[:-1] - known[1:]
    gaps[: len(steps)] = steps[:k]
    gaps[1:] = np.minimum(gaps[1:], steps[: k - 1] if k else steps)
    with np.errstate(all="ignore"):
        found = np.where(gaps > 2 * residuals, residuals / (gaps - residuals), 1.0)
    return np.asarray(np.nan_to_num(found, nan=1.0).clip(0, 1))


def through_rows(values: Array, errors: Array) -> Array:
    """What errors of eigenvectors of the products of rows become in components."""
    with np.errstate(all="ignore"):
        longer = np.sqrt(values.max(initial=0) / values)
        return np.asarray(np.nan_to_num(errors * longer, nan=1.0).clip(0, 1))


def refined(data: Centred, vectors: Array, errors: Array) -> Spectrum:
    """Singular values of the data in the span of orthonormal vectors (n, k), without squares."""
    triangle = data.triangle(vectors)
    with on_one_thread():
        _, lengths, turn = _svd(triangle)
    return Spectrum(lengths**2, matmul(turn, vectors.T), errors)


def _is_single(data: Products) -> bool:
    """Whether products have the digits of float32."""
    return data.unit > _EPS


def _has_lost(data: Products, values: Array) -> bool:
    factor = _LOST["f" if _is_single(data) else "d"]
    return bool(len(values)) and float(values[0]) > factor * float(values[-1])


def _svd(x: Array) -> tuple[Array, Array, Array]:
    left, values, right = scipy.linalg.svd(
        x, full_matrices=False, overwrite_a=True, check_finite=False
    )
    return left, values, right


class _Pairs(NamedTuple):
    """The largest eigenvalues, one more than wanted if there is one, and the vectors wanted."""

    values: Array
    vectors: Array  # (n, k)
    residuals: Array  # (k,): norms, but for rounding


def _largest(data: Products, products: Array, number: Number) -> _Pairs:
    n, k = len(products), number.known
    if k == 0:
        return _Pairs(np.empty(0), np.empty((n, 0)), np.empty(0))
    if k is not None and are_few(data, n, k):
        found = _few(data, products, k)
        if found is not None:
            return found
    values, vectors = _by_lapack(products, n if k is None else min(k + 1, n))
    count = number.among(values, data.total)
    return _Pairs(values[: count + 1], vectors[:, :count], np.zeros(vectors[:, :count].shape[1]))


def are_few(data: Products, n: int, k: int) -> bool:
    """Whether k eigenvalues of products of n rows may come from iterations."""
    is_single = _is_single(data) and k <= _MOST_SINGLE
    return k * (_FEW_SINGLE if is_single else _FEW) <= n and is_large(n, k, _block(n))


def _block(n: int) -> int:
    return _SMALL_BLOCK if n * n <= _SMALL else _BLOCK


def _few(data: Products, products: Array, k: int) -> _Pairs | None:
    """By iterations: in float32 where products are no better and no eigenvalue is much smaller."""
    n = len(products)
    is_sure = k * _FEW <= n
    exponent = int(np.frexp(np.trace(products))[1])
    scaled = np.ldexp(products, -exponent)
    with one_thread(n * n <= _SMALL):
        if _is_single(data):
            if not is_sure and not _are_concentrated(scaled, k):
                return None
            found = _iterated(scaled, k, np.dtype(np.float32))
            if found is None or _are_as_rounded(found.values[:k], found.residuals):
                return _scaled(found, exponent)
        return _scaled(_iterated(scaled, k, np.dtype(np.float64)), exponent) if is_sure else None


def _are_concentrated(products: Array, k: int) -> bool:
    """Whether few eigenvalues have most of the sum of squares: iterations find these soon."""
    squares = float(np.einsum("ij,ij->", products, products))
    return float(np.trace(products)) ** 2 <= _CONCENTRATED * k * squares


def _iterated(products: Array, k: int, number: np.dtype[Any]) -> _Pairs | None:
    """By iterations in this type, then in float64 in the span that they find, if they find one."""
    n = len(products)
    limits = Limits(_EXACT[number.char], n if k * _FEW <= n else n // 2)
    operator = Symmetric(products.astype(number, copy=False))
    found = largest(operator, k, _block(n), limits, np.random.RandomState(0))
    if not found.is_converged:
        return None
    image = matmul(products, found.vectors.T)
    with on_one_thread():
        values, turn = scipy.linalg.eigh(matmul(found.vectors, image), check_finite=False)
    values, turn = values[::-1], np.ascontiguousarray(turn[:, ::-1])
    vectors, residuals = matmul(found.vectors.T, turn), found.residuals
    if number == np.float32 and values[-1] > np.finfo(number).eps * values[0]:
        # One more product, in float64, takes most of the rounding errors off.
        image = matmul(image, turn)
        residuals = np.linalg.norm(image - vectors * values, axis=0)
        vectors = qr(image / values, overwrite_a=True).Q
    return _Pairs(np.append(values, found.values[k:]).clip(0), vectors, residuals)


def _are_as_rounded(values: Array, residuals: Array) -> bool:
    rounded = np.finfo(np.float32).eps * np.sqrt(values[0] * values)
    return bool((residuals <= _ROUNDED * rounded).all())


def _scaled(found: _Pairs | None, exponent: int) -> _Pairs | None:
    """Of the matrix times this power of two."""
    if found is None:
        return None
    values, residuals = (np.ldexp(x, exponent) for x in (found.values, found.residuals))
    return found._replace(values=values, residuals=residuals)


def _by_lapack(products: Array, count: int) -> tuple[Array, Array]:
    """Where all are needed divide and conquer keeps vectors of equal eigenvalues orthogonal."""
    n = len(products)
    subset = [n - count, n - 1] if count < n else None
    values, vectors = scipy.linalg.eigh(
        products, subset_by_index=subset, driver="evr" if subset else "evd",
        overwrite_a=True, check_finite=False,
    )  # fmt: skip
    return values[::-1].clip(0), np.ascontiguousarray(vectors[:, ::-1])


def _from_rows(data: Centred, values: Array, vectors: Array) -> Array:
    """Components (n, k), by the eigenvectors of the rows' products; 0 where they are rounding."""
    found = data.transposed_times(vectors)
    kept = values > data.unit**2 * values.max(initial=0)
    found[:, kept] /= np.sqrt(values[kept])
    return found
