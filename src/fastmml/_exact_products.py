"""Least squares of many targets: products of features and targets to more digits than float64 has.

Numbers are cut into leading bits, on a grid that a column has in common, and a rest: products of
leading bits are summed without rounding errors, and what the others lose is as much smaller [1]_.

References
----------
.. [1] K. Ozaki, T. Ogita, S. Oishi, S. M. Rump, "Error-free transformations of matrix
   multiplication by using fast routines of matrix multiplication and its applications", Numerical
   Algorithms 59 (2012).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastmml._centred import Data, Mean
from fastmml._two_numbers import column_sums, two_product, two_sum
from fastmml.linalg import matmul

Array = NDArray[Any]

#: Leading bits: two numbers of so many, and sums of products over so many rows, fit into float64.
_BITS, _MOST_ROWS = 19, 1 << 15


class TargetProducts(NamedTuple):
    """Products of the features with some targets, ``sum + lacking``, and what they are of."""

    sum: Array  # (n, k)
    lacking: Array  # (n, k)
    total: Array  # (k,): rounded sums of squares of targets
    mean: Mean  # (n + k,)

    def rounded(self) -> Array:
        """The products as one number each."""
        return self.sum + self.lacking


class Products(NamedTuple):
    """Products of centred features with each other: ``sum + lacking``.

    Of features times ``2**-exponents``, which have numbers near 1.
    """

    sum: Array  # (n, n)
    lacking: Array  # (n, n)
    exponents: Array  # (n, 1)
    mean: Mean  # (n,)
    has_mean: bool

    @classmethod
    def of(cls, data: Data, mean: Mean, has_mean: bool) -> Products:
        """By one pass over the features."""
        # Around the same numbers as with targets: what rounds there is then the same everywhere.
        found = _exact_products(replace(data, y=data.x), mean, mean.total(), has_mean)
        exponents = np.frexp(np.sqrt(found.total))[1][:, np.newaxis]
        sum_, lacking = (np.ldexp(part, -exponents - exponents.T) for part in found[:2])
        return cls(sum_, lacking, exponents, mean, has_mean)

    def with_targets(self, data: Data) -> TargetProducts:
        """Products with some targets, by one pass over the data."""
        n, k = data.x.shape[1], data.y.shape[1]
        near = data.sample_mean()[n:] if self.has_mean else np.zeros(k)
        near[~np.isfinite(near)] = 0
        return _exact_products(data, self.mean, near, self.has_mean)

    def corrected(self, targets: TargetProducts, coef: Array, inverse: Array) -> Array:
        """Coefficients after a step of refinement; as they were where it is no number."""
        with np.errstate(all="ignore"):
            gradient = self._gradient(targets, np.ldexp(coef, self.exponents))
            found = coef + inverse @ (inverse.T @ np.ldexp(gradient, self.exponents))
        return np.where(np.isfinite(found).all(axis=0), found, coef)

    def squared_residuals(self, targets: TargetProducts, coef: Array) -> Array:
        """Sums of squared residuals: ``total - coef.T @ (right + gradient)``, where little is left.

        With the products' own digits, which the square of the coefficients would cancel.
        """
        scaled = np.ldexp(coef, self.exponents)
        right, lacking = (np.ldexp(part, -self.exponents) for part in targets[:2])
        products, errors = two_product(scaled, right)
        found, lost = column_sums(np.concatenate([targets.total[np.newaxis], -products]))
        rest = np.einsum("ij,ij->j", scaled, lacking + self._gradient(targets, scaled))
        return np.asarray(found + (lost - errors.sum(axis=0)) - rest)

    def _gradient(self, targets: TargetProducts, scaled: Array) -> Array:
        """Products of features with residuals."""
        right, lacking = (np.ldexp(part, -self.exponents) for part in targets[:2])
        left, below = _Cut.of(self.sum), _Cut.of(np.ascontiguousarray(right.T))
        rest, lost = _residuals(left, below, scaled)
        return np.asarray((rest + lost).T + (lacking - self.lacking.T @ scaled))


@np.errstate(all="ignore")  # squares may overflow: the totals tell
def _exact_products(data: Data, mean: Mean, near: Array, has_mean: bool) -> TargetProducts:
    """Products of features, of known mean, with targets less theirs, which is near this one."""
    n, k = data.x.shape[1], data.y.shape[1]
    shift = np.concatenate([mean.total(), near])
    # The last column is of ones: its products with features take off what means are not exact.
    sum_, lacking, squares = np.zeros((n, k + 1)), np.zeros((n, k + 1)), np.zeros(k + 1)
    # Not in one product: 257 columns take longer than 256 and one.
    sides = (slice(0, k), slice(n, n + k)), (slice(k, None), slice(n + k, None))
    sums, rooms = np.zeros(k + 1), np.empty((3, 0, n + k + 1))
    for x, y, scale in _counted(data):
        if len(x) > rooms.shape[1]:
            rooms = np.empty((3, len(x), n + k + 1))
        rows, leading, rest = rooms[:, : len(x)]
        np.subtract(x, shift[:n], out=rows[:, :n])
        np.subtract(y, shift[n:], out=rows[:, n:-1])
        rows[:, -1] = 1
        if scale is not None:
            rows *= scale[:, np.newaxis]
        sums += rows[:, -1] @ rows[:, n:]
        squares += np.einsum("ij,ij->j", rows[:, n:], rows[:, n:])
        grid = _grid(np.frexp(np.abs(rows, out=rest).max(axis=0, initial=0))[1])
        np.subtract(np.add(rows, grid, out=leading), grid, out=leading)
        np.subtract(rows, leading, out=rest)
        left = leading[:, :n].T
        for place, side in sides:
            sum_[:, place], lost = two_sum(sum_[:, place], matmul(left, leading[:, side]))
            lost += matmul(left, rest[:, side])
            lacking[:, place] += lost + matmul(rest[:, :n].T, rows[:, side])
    weight = sums[-1]
    own = sums[:-1] / weight if has_mean else np.zeros(k)
    off = np.outer(sum_[:, -1] + lacking[:, -1], own)
    total = (squares[:-1] - weight * own**2).clip(0)
    joined = Mean(np.append(mean.shift, near), np.append(mean.offset, own))
    return TargetProducts(sum_[:, :-1], lacking[:, :-1] - off, total, joined)


def _counted(data: Data) -> Iterator[tuple[Array, Array, Array | None]]:
    """Rows some at a time, less those of weight 0, whose numbers have any size."""
    for x, y, scale in data.pieces(_MOST_ROWS):
        if scale is None or scale.all():
            yield x, y, scale
            continue
        used = scale > 0
        yield x[used], y[used], scale[used]


class _Cut(NamedTuple):
    """Rows of numbers: ``leading + rest``, without rounding errors."""

    leading: Array  # whole multiples of 2**(exponents - _BITS)
    rest: Array
    exponents: Array  # (rows, 1): of the largest number of each row

    @classmethod
    def of(cls, x: Array) -> _Cut:
        """Cut rows."""
        exponents = np.frexp(np.abs(x).max(axis=1, initial=0))[1][:, np.newaxis]
        grid = _grid(exponents)
        leading = (x + grid) - grid
        return cls(leading, x - leading, exponents)


def _residuals(x: _Cut, y: _Cut, coef: Array) -> tuple[Array, Array]:
    """``y - coef.T @ x``, and what it lacks; what cancels has no rounding errors."""
    # Of numbers over the size of their feature, leading parts lie on one grid for all features.
    scaled = _Cut.of(np.ldexp(coef.T, x.exponents.T))
    leading, rest = (np.ldexp(part, -x.exponents.T) for part in (scaled.leading, scaled.rest))
    small = matmul(rest, x.leading) + matmul(coef.T, x.rest)
    first, lost = two_sum(y.leading, -matmul(leading, x.leading))
    rest, lacking = two_sum(first, y.rest - small)
    return rest, lost + lacking


def _grid(exponents: Array) -> Array:
    """What rounds numbers so where it is added and subtracted again."""
    return np.asarray(np.ldexp(1.5, exponents + (np.finfo(np.float64).nmant - _BITS)))
