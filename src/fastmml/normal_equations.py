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
from fastmml._exact_products import Products
from fastmml._residuals import corrected, squared_residuals

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
#: Targets whose exact products are summed at a time, or as many as there are features.
_MANY_TARGETS = 256


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


class _Factor(NamedTuple):
    """The centred features, scaled to length 1, as a triangle."""

    centred: Centred  # of features, or of these and targets
    changed: Array  # (n,)
    r: Array
    lengths: Array
    inverse: Array
    unscaled: Array  # the inverse of the unscaled factor; 0 for constant features
    condition: float
    unit: float  # rounding errors of the products

    @classmethod
    def of(cls, centred: Centred, n: int, dtype: np.dtype[Any]) -> _Factor | None:
        """None where the products are not definite."""
        changed = centred.has_changed(dtype)[:n]
        found = _scaled_factor(centred.products[:n, :n], changed)
        if found is None:
            return None
        r, lengths = found
        values, inverse = np.linalg.svd(r, compute_uv=False), np.linalg.inv(r)
        unscaled = inverse / lengths[:, np.newaxis] * changed[:, np.newaxis]
        condition, unit = float(values[0] / values[-1]), float(np.finfo(dtype).eps)
        return cls(centred, changed, r, lengths, inverse, unscaled, condition, unit)

    def steps(self, dtype: np.dtype[Any], part: float = 1.0) -> int:
        """Steps of refinement until errors are those of LAPACK, or this part of them."""
        # Each step multiplies the error by the rate, which is that of the first solution, too.
        error = rate = 4 * self.unit * self.condition**2
        wanted = _LAPACK * self.condition * float(np.finfo(dtype).eps)
        if error <= wanted:
            return 0
        count = 0
        while error > part * wanted:
            error *= rate
            count += 1
        return count

    def solved(self, right: Array) -> Array:
        """Coefficients from products of features with targets."""
        return np.asarray(self.unscaled @ (self.unscaled.T @ right))


class _TargetResults(NamedTuple):
    """What some targets have."""

    coef: Array
    chi2: Array
    mean: Array


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
    n, k = data.x.shape[1], data.y.shape[1]
    is_many = k > most_targets(n)
    first = replace(data, y=data.y[:, :0]) if is_many else data
    for dtype in dict.fromkeys((data.x.dtype, np.dtype(np.float64))):
        given = known if dtype == data.x.dtype else None
        centred = _centre(first, has_intercept, dtype, given)
        factor = None if centred is None else _Factor.of(centred, n, dtype)
        if factor is None:
            continue
        if most is not None and factor.condition > most:
            return None
        if factor.condition**2 * factor.unit > _CONDITION:
            continue
        if is_many:
            found = _solve_many(data, has_intercept, dtype, factor)
        else:
            found = _from_centred(data, factor.centred, factor)
        if found is None:
            continue
        mean = np.concatenate([factor.centred.mean.total()[:n], found.mean])
        return Solution(
            found.coef, found.chi2, factor.centred.weight, mean, factor.changed, factor.r,
            factor.inverse, factor.lengths,
        )  # fmt: skip
    return None


def _solve_many(
    data: Data, has_intercept: bool, dtype: np.dtype[Any], factor: _Factor
) -> _TargetResults | None:
    """Some targets at a time, so that memory holds little beside the results."""
    n, k = data.x.shape[1], data.y.shape[1]
    steps, size, products = factor.steps(data.x.dtype, _FAR_BELOW), most_targets(n), None
    if steps:
        products = Products.of(data, factor.centred.mean, has_intercept)
        size = max(n, _MANY_TARGETS)
    whole = _TargetResults(np.empty((n, k)), np.empty(k), np.empty(k))
    for first in range(0, k, size):
        some = slice(first, first + size)
        block = replace(data, y=data.y[:, some])
        if products is not None:
            found = _from_products(block, products, factor, steps)
        else:
            centred = _centre(block, has_intercept, dtype, None)
            found = None if centred is None else _from_centred(block, centred, factor)
        if found is None:
            return None
        whole.coef[:, some], whole.chi2[some], whole.mean[some] = found
    return whole


def _from_centred(data: Data, centred: Centred, factor: _Factor) -> _TargetResults:
    """From products of features and targets, by steps of refinement where these are needed."""
    n = data.x.shape[1]
    right, total = centred.products[:n, n:], np.diagonal(centred.products)[n:]
    coef, steps = factor.solved(right), factor.steps(data.x.dtype)
    for _ in range(steps):
        coef, chi2 = corrected(data, centred.mean, coef, factor.unscaled)
    if not steps:
        rest = 2 * right - centred.products[:n, :n] @ coef
        chi2 = total - np.einsum("ij,ij->j", coef, rest)
        chi2 = _with_small(data, centred.mean, coef, chi2, total, factor)
    return _TargetResults(coef, chi2.clip(0), centred.mean.total()[n:])


def _from_products(
    data: Data, products: Products, factor: _Factor, steps: int
) -> _TargetResults | None:
    """By steps of refinement that read no data."""
    targets = products.with_targets(data)
    if not _is_in_range(data.y, np.sqrt(targets.total / factor.centred.weight), products.has_mean):
        return None
    coef = factor.solved(targets.rounded())
    for _ in range(steps):
        coef = products.corrected(targets, coef, factor.unscaled)
    chi2 = products.squared_residuals(targets, coef)
    chi2 = _with_small(data, targets.mean, coef, chi2, targets.total, factor)
    return _TargetResults(coef, chi2.clip(0), targets.mean.total()[data.x.shape[1] :])


def _with_small(
    data: Data, mean: Mean, coef: Array, chi2: Array, total: Array, factor: _Factor
) -> Array:
    """Sums of squared residuals, of which small ones are computed from the residuals."""
    n, least = len(coef), max(_SMALL_REST * factor.condition, _ROUNDED * factor.unit)
    small = np.flatnonzero(chi2 < least * total)
    if small.size:
        own = mean.of(np.concatenate([np.arange(n), n + small]))
        chi2[small] = squared_residuals(replace(data, y=data.y[:, small]), own, coef[:, small])
    return chi2


def _centre(
    data: Data, has_intercept: bool, dtype: np.dtype[Any], known: Centred | None
) -> Centred | None:
    """Products of deviations from the mean, or from 0; None where out of range."""
    found = known or (centre(data, dtype) if has_intercept else uncentred(data, dtype))
    sides, spreads = (data.x, data.y), np.split(found.spread(), [data.x.shape[1]])
    for x, spread in zip(sides, spreads, strict=True):
        if not _is_in_range(x, spread, has_intercept, TINY[dtype.char]):
            return None
    return found


def _is_in_range(x: Array, spread: Array, has_mean: bool, tiny: float = TINY["d"]) -> bool:
    """Whether squares are numbers to all digits, or nothing but zeros."""
    if not np.isfinite(spread).all():
        return False
    which = spread < tiny
    return are_constant(x, which, None if has_mean else 0.0)


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
