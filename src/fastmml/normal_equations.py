"""Least squares by normal equations: the products of all columns in one pass over the rows.

Accurate where the condition number of the columns, scaled to length 1, is not too large, which is
known once they are factorised; otherwise there is no result, and a QR factorisation has to do.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastmml._backend import get_num_threads, kernels
from fastmml.linalg import matmul

Array = NDArray[Any]

#: Rows whose mean is the provisional one: enough that it is within a tenth of the spread.
SAMPLE = 1024
#: A mean that is further from the provisional one than this many times the spread takes another
#: pass around it: then the products lose no more than two digits.
_FAR = 3.0
#: Squared condition number times the rounding error of the products up to which normal equations
#: serve, a condition of 1e5 for float64; beyond it a QR factorisation does.
_CONDITION = 2.5e-6
#: Errors of LAPACK's solutions, in rounding errors times the condition number.
_LAPACK = 16.0
#: A sum of squared residuals below this part of that of y is computed from the residuals.
_SMALL_REST = 1e-6
#: Targets that are taken at a time, or as many as there are features: products of targets with each
#: other are computed, too.
_TARGETS = 32
#: A spread of this part of the mean, of float64, is rounding: the feature is constant.
CONSTANT = 1e-15
#: Spreads whose squares are no longer numbers to all digits.
_TINY = {"d": 1e-140, "f": 1e-14}
#: Numbers of a piece of rows that is centred and multiplied in the cache: 1 MB of float64.
_PIECE = 1 << 17


class Rows(NamedTuple):
    """What a model is fitted to."""

    x: Array
    y: Array  # (m, k), of the dtype of x
    scale: Array | None = None  # (m,): square roots of weights

    def sample_mean(self) -> Array:
        """The mean of some rows all over the data, as far as their numbers go."""
        rows = self.sample()
        weights = np.ones(len(self.x[rows])) if self.scale is None else self.scale[rows] ** 2
        weights = weights / (weights.sum() or 1)
        with np.errstate(all="ignore"):
            return np.concatenate([weights @ side[rows].astype(np.float64) for side in self[:2]])

    def no_shift(self) -> Array:
        return np.zeros(self.x.shape[1] + self.y.shape[1])

    def pieces(self) -> Iterator[tuple[Array, Array, Array | None]]:
        """Rows of x and y in float64, and their scales, some at a time."""
        size = max(_PIECE // (self.x.shape[1] + self.y.shape[1]), 1)
        for start in range(0, len(self.x), size):
            rows = slice(start, start + size)
            x, y = (side[rows].astype(np.float64, copy=False) for side in self[:2])
            yield x, y, None if self.scale is None else self.scale[rows]

    def sample(self) -> slice:
        """Some rows all over the rows."""
        return slice(None, None, max(len(self.x) // SAMPLE, 1))


class Mean(NamedTuple):
    """A mean in two parts: less the first, numbers near it are exact."""

    shift: Array
    offset: Array

    def total(self) -> Array:
        return self.shift + self.offset


class Centred(NamedTuple):
    """Products of the deviations from the mean."""

    weight: float  # of all rows
    mean: Mean
    products: Array  # (n + k, n + k)
    has_changed: Array  # (n,): features that are not constant


class Solution(NamedTuple):
    """Coefficients, and what their errors and the singular values come from."""

    coef: Array  # (n, k)
    chi2: Array  # (k,): weighted sums of squared residuals
    centred: Centred
    r: Array  # (n, n): upper factor of the products of columns of length 1
    inverse: Array  # of r
    lengths: Array  # (n,)


def solve(rows: Rows, has_intercept: bool, most: float | None = None) -> Solution | None:
    """Solve by normal equations and refinement; None where they are not accurate.

    ``most`` is the largest condition number that is wanted; by default all for which refinement
    works.
    """
    n, k = rows.x.shape[1], rows.y.shape[1]
    size, parts = max(n, _TARGETS), []
    for start in range(0, k, size):
        part = _solve(rows._replace(y=rows.y[:, start : start + size]), has_intercept, most)
        if part is None:
            return None
        parts.append(part)
    if len(parts) == 1:
        return parts[0]
    means = [part.centred.mean.total() for part in parts]
    mean = np.concatenate([means[0][:n], *(mean[n:] for mean in means)])
    return parts[0]._replace(
        coef=np.hstack([part.coef for part in parts]),
        chi2=np.concatenate([part.chi2 for part in parts]),
        centred=parts[0].centred._replace(mean=Mean(mean, np.zeros(n + k))),
    )


def _solve(rows: Rows, has_intercept: bool, most: float | None) -> Solution | None:
    """`solve` for targets that are not many more than features."""
    n = rows.x.shape[1]
    for dtype in dict.fromkeys((rows.x.dtype, np.dtype(np.float64))):
        centred = centre(rows, has_intercept, dtype)
        factor = None if centred is None else scaled_factor(centred, n)
        if centred is None or factor is None:
            continue
        r, lengths = factor
        values = np.linalg.svd(r, compute_uv=False)
        condition, unit = float(values[0] / values[-1]), float(np.finfo(dtype).eps)
        if most is not None and condition > most:
            return None
        if condition**2 * unit > _CONDITION:
            continue
        inverse = np.linalg.inv(r)
        coef, chi2 = refined(rows, centred, inverse / lengths[:, np.newaxis], condition, unit)
        return Solution(coef, chi2, centred, r, inverse, lengths)
    return None


def centre(rows: Rows, has_intercept: bool, dtype: np.dtype[Any]) -> Centred | None:
    """Products of deviations from the mean, in at most two passes; None where out of range."""
    n = rows.x.shape[1]
    shift = rows.sample_mean() if has_intercept else rows.no_shift()
    for is_last in (False, True):
        shift = shift.astype(dtype)
        sums = _products(rows, shift)
        if not np.isfinite(np.diagonal(sums)).all():
            return None
        products, weight, offset = sums[:-1, :-1], float(sums[-1, -1]), np.zeros(len(shift))
        if has_intercept:
            offset = sums[-1, :-1] / weight
            products = products - np.outer(sums[-1, :-1], offset)
        spread = np.sqrt(np.diagonal(products).clip(0) / weight)
        mean = shift + offset
        near = _FAR * spread + 4 * np.finfo(dtype).eps * np.abs(mean)
        if is_last or (np.abs(offset) <= near).all():
            break
        shift = mean
    has_changed = spread[:n] > 0
    if has_intercept:
        unit = float(np.finfo(dtype).eps / np.finfo(np.float64).eps)
        has_changed = spread[:n] > CONSTANT * unit * np.abs(mean[:n])
    is_tiny, sides = spread < _TINY[dtype.char], (rows.x, rows.y)
    tiny = (x[:, which] for x, which in zip(sides, np.split(is_tiny, [n]), strict=True))
    if not all(x.shape[1] == 0 or (x == x[0] * has_intercept).all() for x in tiny):
        return None
    return Centred(weight, Mean(shift.astype(np.float64), offset), products, has_changed)


def _products(rows: Rows, shift: Array) -> Array:
    """The kernel's products, of all rows at once where it can read them in this type."""
    threads = get_num_threads()
    if rows.x.dtype == shift.dtype:
        scale = None if rows.scale is None else rows.scale.astype(shift.dtype)
        x, y = _readable(rows.x), _readable(rows.y)
        return kernels().centred_gram(x, y, shift, scale, threads)
    total = np.zeros((len(shift) + 1, len(shift) + 1))
    for x, y, scale in rows.pieces():
        total += kernels().centred_gram(x, y, shift, scale, threads)
    return total


def _readable(x: Array) -> Array:
    is_readable = x.flags.aligned and not any(stride % x.itemsize for stride in x.strides)
    return x if is_readable else x.copy()


def scaled_factor(centred: Centred, n: int) -> tuple[Array, Array] | None:
    """The upper factor of the products of features of length 1, and their lengths.

    A constant feature stands apart, with length 1.
    """
    changed = centred.has_changed
    products = np.where(np.outer(changed, changed), centred.products[:n, :n], np.eye(n))
    lengths = np.sqrt(np.diagonal(products))
    try:
        lower = np.linalg.cholesky(products / lengths / lengths[:, np.newaxis])
    except np.linalg.LinAlgError:
        return None
    return np.ascontiguousarray(lower.T), lengths


def refined(
    rows: Rows, centred: Centred, inverse: Array, condition: float, unit: float
) -> tuple[Array, Array]:
    """Coefficients and sums of squared residuals; ``inverse`` is that of the unscaled factor."""
    n, changed = rows.x.shape[1], centred.has_changed[:, np.newaxis]
    square, right = centred.products[:n, :n], centred.products[:n, n:]
    total = np.diagonal(centred.products)[n:]
    coef = inverse @ (inverse.T @ (right * changed))
    chi2 = total - np.einsum("ij,ij->j", coef, 2 * right - square @ coef)
    rate = error = 4 * unit * condition**2
    wanted = _LAPACK * condition * float(np.finfo(rows.x.dtype).eps)
    while error > wanted:
        gradient, _ = residual_products(rows, centred.mean, coef)
        coef = coef + inverse @ (inverse.T @ (gradient * changed))
        error *= rate
    if error != rate or (chi2 < _SMALL_REST * total).any():
        chi2 = residual_products(rows, centred.mean, coef)[1]
    return coef, chi2


def residual_products(rows: Rows, mean: Mean, coef: Array) -> tuple[Array, Array]:
    """Products of the features with the residuals, and sums of squared residuals."""
    n = rows.x.shape[1]
    gradient, chi2 = np.zeros(coef.shape), np.zeros(coef.shape[1])
    for x, y, scale in rows.pieces():
        inside, rest = x - mean.shift[:n], y - mean.shift[n:]
        inside -= mean.offset[:n]
        rest -= mean.offset[n:]
        if scale is not None:
            inside *= scale[:, np.newaxis]
            rest *= scale[:, np.newaxis]
        rest -= matmul(inside, coef)
        gradient += matmul(inside.T, rest)
        chi2 += np.einsum("ij,ij->j", rest, rest)
    return gradient, chi2
