"""Least squares by normal equations: the products of all columns in one pass over the rows.

Accurate where the condition number of the columns, scaled to length 1, is not too large, which is
known once they are factorised; otherwise there is no result, and a QR factorisation has to do.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastmml._centred import TINY, Centred, Data, Mean, are_constant, centre, uncentred
from fastmml._residuals import Products, corrected, squared_residuals

Array = NDArray[Any]

#: Squared condition number times the rounding error of the products up to which normal equations
#: serve, a condition of 1e5 for float64; beyond it a QR factorisation does.
_CONDITION = 2.5e-6
#: Errors of LAPACK's solutions, in rounding errors times the condition number.
_LAPACK = 16.0
#: Steps of refinement from products take little time: they go on to this part of those errors.
_FAR_BELOW = 1e-3
#: A sum of squared residuals below this part of that of y, times the condition number, or so many
#: rounding errors of it, is computed from the residuals.
_SMALL_REST, _ROUNDED = 1e-6, 1e4
#: Targets that are taken at a time, or as many as there are features: products of targets with each
#: other are computed, too.
_TARGETS = 32


class Solution(NamedTuple):
    """Coefficients, and what their errors and the singular values come from."""

    coef: Array  # (n, k)
    chi2: Array  # (k,): weighted sums of squared residuals
    weight: float  # the sum of weights
    mean: Array  # (n + k,)
    has_changed: Array  # (n,): features that are not constant
    r: Array  # (n, n): upper factor of the products of columns of length 1
    inverse: Array  # of r
    lengths: Array  # (n,)


class _Sums(NamedTuple):
    """Products of deviations from the mean: of features with all, of targets with themselves."""

    weight: float
    mean: Mean
    square: Array  # (n, n)
    right: Array  # (n, k)
    total: Array  # (k,)

    @classmethod
    def of(cls, blocks: list[Centred], n: int) -> _Sums:
        """Of the same features with some targets in each block."""
        first, squares = blocks[0], [np.diagonal(block.products) for block in blocks]
        means = [block.mean for block in blocks]
        shift = np.concatenate([means[0].shift[:n], *(mean.shift[n:] for mean in means)])
        offset = np.concatenate([means[0].offset[:n], *(mean.offset[n:] for mean in means)])
        right = np.hstack([block.products[:n, n:] for block in blocks])
        total = np.concatenate([square[n:] for square in squares])
        return cls(first.weight, Mean(shift, offset), first.products[:n, :n], right, total)


def most_targets(n: int) -> int:
    """How many targets are multiplied at a time."""
    return max(n, _TARGETS)


def solve(
    data: Data, has_intercept: bool, most: float | None = None, known: Centred | None = None
) -> Solution | None:
    """Solve by normal equations and refinement; None where they are not accurate.

    ``most`` is the largest condition number that is wanted; by default all for which refinement
    works. ``known`` are the products of the data in their own type, of at most `most_targets`.
    """
    (n, k), size = (data.x.shape[1], data.y.shape[1]), most_targets(data.x.shape[1])
    blocks = [replace(data, y=data.y[:, first : first + size]) for first in range(0, k, size)]
    for dtype in dict.fromkeys((data.x.dtype, np.dtype(np.float64))):
        given = known if dtype == data.x.dtype else None
        centred = _centre(blocks[0], has_intercept, dtype, given)
        if centred is None:
            continue
        changed = centred.has_changed(dtype)[:n]
        factor = _scaled_factor(centred.products[:n, :n], changed)
        if factor is None:
            continue
        r, lengths = factor
        values = np.linalg.svd(r, compute_uv=False)
        condition, unit = float(values[0] / values[-1]), float(np.finfo(dtype).eps)
        if most is not None and condition > most:
            return None
        if condition**2 * unit > _CONDITION:
            continue
        all_ = [centred, *(_centre(block, has_intercept, dtype, None) for block in blocks[1:])]
        found = [block for block in all_ if block is not None]
        if len(found) < len(all_):
            continue
        sums, inverse = _Sums.of(found, n), np.linalg.inv(r)
        unscaled = inverse / lengths[:, np.newaxis] * changed[:, np.newaxis]
        coef, chi2 = _refined(data, sums, unscaled, condition, unit)
        return Solution(
            coef, chi2, sums.weight, sums.mean.total(), changed, r, inverse, lengths
        )  # fmt: skip
    return None


def _centre(
    data: Data, has_intercept: bool, dtype: np.dtype[Any], known: Centred | None
) -> Centred | None:
    """Products of deviations from the mean, or from 0; None where out of range."""
    found = known or (centre(data, dtype) if has_intercept else uncentred(data, dtype))
    if not np.isfinite(np.diagonal(found.products)).all():
        return None
    is_tiny, sides = found.spread() < TINY[dtype.char], (data.x, data.y)
    for x, which in zip(sides, np.split(is_tiny, [data.x.shape[1]]), strict=True):
        if not are_constant(x, which, None if has_intercept else 0.0):
            return None
    return found


def _scaled_factor(products: Array, changed: Array) -> tuple[Array, Array] | None:
    """The upper factor of the products of features of length 1, and their lengths.

    A constant feature stands apart, with length 1.
    """
    products = np.where(np.outer(changed, changed), products, np.eye(len(products)))
    lengths = np.sqrt(np.diagonal(products))
    try:
        lower = np.linalg.cholesky(products / lengths / lengths[:, np.newaxis])
    except np.linalg.LinAlgError:
        return None
    return np.ascontiguousarray(lower.T), lengths


def _refined(
    data: Data, sums: _Sums, inverse: Array, condition: float, unit: float
) -> tuple[Array, Array]:
    """Coefficients and sums of squared residuals.

    ``inverse`` is that of the unscaled factor, 0 for constant features.
    """
    n, k = sums.right.shape
    coef = inverse @ (inverse.T @ sums.right)
    rate = error = 4 * unit * condition**2
    wanted = _LAPACK * condition * float(np.finfo(data.x.dtype).eps)
    if error > wanted and k <= n:
        while error > wanted:
            coef, chi2 = corrected(data, sums.mean, coef, inverse)
            error *= rate
        return coef, chi2.clip(0)
    if error > wanted:
        products = Products.of(data, sums.mean)
        while error > _FAR_BELOW * wanted:
            coef = products.corrected(coef, inverse)
            error *= rate
        chi2 = products.squared_residuals(coef)
    else:
        chi2 = sums.total - np.einsum("ij,ij->j", coef, 2 * sums.right - sums.square @ coef)
    least = max(_SMALL_REST * condition, _ROUNDED * unit)
    small = np.flatnonzero(chi2 < least * sums.total)
    if small.size:
        mean = sums.mean.of(np.concatenate([np.arange(n), n + small]))
        chi2[small] = squared_residuals(replace(data, y=data.y[:, small]), mean, coef[:, small])
    return coef, chi2.clip(0)
