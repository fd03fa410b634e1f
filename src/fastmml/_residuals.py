"""A step of refinement of least squares, from residuals with more digits than float64 has.

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

from fastmml._backend import get_num_threads, kernels
from fastmml._centred import Data, Mean
from fastmml._powers import ldexp
from fastmml._tall_qr import as_complex, as_real_map
from fastmml.linalg import matmul

Array = NDArray[Any]

#: Leading bits: two numbers of so many, and sums of products over so many rows, fit into float64.
_BITS, _MOST_ROWS = 19, 1 << 15
#: The condition number from which on a step may be worse than none, where rows differ in size.
_DOUBTFUL = 1e7
#: Targets whose residuals are computed at a time, which takes 128 bytes a feature of each.
_TARGETS = 64


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


class Targets(NamedTuple):
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
        scaled = (np.ldexp(part, -exponents - exponents.T) for part in found[:2])
        return cls(*scaled, exponents, mean, has_mean)

    def with_targets(self, data: Data) -> Targets:
        """Products with some targets, by one pass over the data."""
        n, k = data.x.shape[1], data.y.shape[1]
        near = data.sample_mean()[n:] if self.has_mean else np.zeros(k)
        near[~np.isfinite(near)] = 0
        return _exact_products(data, self.mean, near, self.has_mean)

    def corrected(self, targets: Targets, coef: Array, inverse: Array) -> Array:
        """Coefficients after a step of refinement; as they were where it is no number."""
        with np.errstate(all="ignore"):
            gradient = self._gradient(targets, np.ldexp(coef, self.exponents))
            found = coef + inverse @ (inverse.T @ np.ldexp(gradient, self.exponents))
        return np.where(np.isfinite(found).all(axis=0), found, coef)

    def squared_residuals(self, targets: Targets, coef: Array) -> Array:
        """Sums of squared residuals: ``total - coef.T @ (right + gradient)``, where little is left.

        With the products' own digits, which the square of the coefficients would cancel.
        """
        scaled = np.ldexp(coef, self.exponents)
        right, lacking = (np.ldexp(part, -self.exponents) for part in targets[:2])
        products, errors = _two_product(scaled, right)
        found, lost = _column_sums(np.concatenate([targets.total[np.newaxis], -products]))
        rest = np.einsum("ij,ij->j", scaled, lacking + self._gradient(targets, scaled))
        return np.asarray(found + (lost - errors.sum(axis=0)) - rest)

    def _gradient(self, targets: Targets, scaled: Array) -> Array:
        """Products of features with residuals."""
        right, lacking = (np.ldexp(part, -self.exponents) for part in targets[:2])
        left, below = _Cut.of(self.sum), _Cut.of(np.ascontiguousarray(right.T))
        rest, lost = _residuals(left, below, scaled)
        return np.asarray((rest + lost).T + (lacking - self.lacking.T @ scaled))


def _exact_products(data: Data, mean: Mean, near: Array, has_mean: bool) -> Targets:
    """Products of features, of known mean, with targets less theirs, which is near this one."""
    n, k = data.x.shape[1], data.y.shape[1]
    shift = np.concatenate([mean.total(), near])
    # The last column is of ones: its products with features take off what means are not exact.
    sum_, lacking, squares = np.zeros((n, k + 1)), np.zeros((n, k + 1)), np.zeros(k + 1)
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
        sum_, lost = _sum(sum_, matmul(left, leading[:, n:]))
        lacking += lost + matmul(left, rest[:, n:]) + matmul(rest[:, :n].T, rows[:, n:])
    weight = sums[-1]
    own = sums[:-1] / weight if has_mean else np.zeros(k)
    off = np.outer(sum_[:, -1] + lacking[:, -1], own)
    total = (squares[:-1] - weight * own**2).clip(0)
    joined = Mean(np.append(mean.shift, near), np.append(mean.offset, own))
    return Targets(sum_[:, :-1], lacking[:, :-1] - off, total, joined)


def _counted(data: Data) -> Iterator[tuple[Array, Array, Array | None]]:
    """Rows some at a time, less those of weight 0, whose numbers have any size."""
    for x, y, scale in data.pieces(_MOST_ROWS):
        if scale is None or scale.all():
            yield x, y, scale
            continue
        used = scale > 0
        yield x[used], y[used], scale[used]


def improved(
    data: Data, mean: Mean, coef: Array, inverse: Array, condition: float
) -> tuple[Array, Array]:
    """`corrected`, but for targets that the step does not help.

    As told by another step, where the condition number is large: it is less than half as large
    as a first one that helps.
    """
    return refined(data, mean, coef, inverse, 2 if condition > _DOUBTFUL else 1)


def refined(data: Data, mean: Mean, coef: Array, inverse: Array, most: int) -> tuple[Array, Array]:
    """`corrected` up to so many times, each target until steps no longer shrink by half.

    A first step is not taken where the second one is no smaller.
    """
    found, small = coef, np.finfo(np.float64).eps / 4 * np.abs(coef).max(axis=0)
    last, shrinks = np.full_like(small, np.inf), np.ones(small.shape, bool)
    helps = np.full(small.shape, most == 1)
    for turn in range(most):
        better, chi2 = corrected(data, mean, found, inverse)
        size = np.abs(better - found).max(axis=0)
        shrinks = shrinks & (size < last / 2)
        helps |= shrinks & ((turn > 0) | (size <= small))
        found = np.where(shrinks, better, found)
        shrinks, last = shrinks & (size > small), size
        if not shrinks.any():
            break
    return np.where(helps, found, coef), chi2


def corrected(data: Data, mean: Mean, coef: Array, inverse: Array) -> tuple[Array, Array]:
    """Coefficients after a step of refinement, and sums of squared residuals.

    ``inverse`` is that of the triangular factor of the centred features. The step is that of
    corrected seminormal equations; there is none where it is no number. Complex coefficients are
    those of the matrices that the real ones of the data stand for.
    """
    gradient, chi2, unit = _residual_products(data, mean, coef)
    with np.errstate(all="ignore"):
        inside = ldexp(inverse.conj().T @ gradient, unit)
        squares = np.einsum("ij,ij->j", inside.conj(), inside).real
        found = coef + inverse @ inside, chi2 - squares
    fits = np.isfinite(found[0]).all(axis=0)
    return np.where(fits, found[0], coef), np.where(fits, found[1], chi2)


def squared_residuals(data: Data, mean: Mean, coef: Array) -> Array:
    """Sums of squared residuals."""
    return _residual_products(data, mean, coef)[1]


@np.errstate(all="ignore")
def _residual_products(data: Data, mean: Mean, coef: Array) -> tuple[Array, Array, Array]:
    """Products of the features with the residuals, over 2**unit, and sums of squared residuals."""
    is_complex, coef = coef.dtype.kind == "c", as_real_map(coef)
    used = True if data.scale is None else data.scale[:, np.newaxis] > 0
    unit = np.frexp(np.abs(data.y).max(axis=0, initial=0, where=used))[1]
    if is_complex:
        unit = np.repeat(unit.reshape(-1, 2).max(axis=1), 2)
    gradient, chi2 = np.empty(coef.shape), np.empty(len(unit))
    for some in _blocks(len(unit)):
        columns = np.r_[np.arange(len(coef)), len(coef) + np.arange(len(unit))[some]]
        part = replace(data, y=data.y[:, some])
        found = _scaled_products(part, mean.of(columns), coef[:, some], unit[some])
        gradient[:, some], chi2[some] = found[0], np.ldexp(found[1], 2 * unit[some])
    if is_complex:
        return as_complex(gradient), chi2.reshape(-1, 2).sum(axis=1), unit[::2]
    return gradient, chi2, unit


def _blocks(size: int) -> Iterator[slice]:
    """Targets some at a time."""
    for first in range(0, size, _TARGETS):
        yield slice(first, first + _TARGETS)


def _scaled_products(data: Data, mean: Mean, coef: Array, unit: Array) -> tuple[Array, Array]:
    """The same of targets over 2**unit."""
    centre, offset = mean.parts()
    n, k = coef.shape
    factors, coef = np.ldexp(1.0, -unit), np.ldexp(coef, -unit)
    constant = _constant(centre, offset, coef, factors)
    products, squares = np.zeros((2, k, n + 1)), np.zeros(k)
    own, own_squares, rows = np.empty_like(products), np.empty(k), np.ascontiguousarray(coef.T)
    for x, y, scale in data.wide_rows():
        kernels().residual_products(
            x, y, rows, constant, factors, scale, own, own_squares, get_num_threads()
        )
        products[0], lost = _sum(products[0], own[0])
        products[1] += own[1] + lost
        squares += own_squares
    # Less those of the mean.
    (high, low), (sums, small) = products[:, :, :n], products[:, :, n:]
    taken, lacking = _two_product(sums, centre[:n])
    high, lost = _sum(high, -taken)
    low = low + (lost - lacking - (small * centre[:n] + sums * offset[:n]))
    return (high + low).T, squares


def _constant(centre: Array, offset: Array, coef: Array, factors: Array) -> Array:
    """What the model adds to the features' part, and what that lacks."""
    n = len(coef)
    products, errors = _two_product(centre[:n, np.newaxis], coef)
    terms = np.concatenate([(centre[n:] * factors)[np.newaxis], -products])
    total, lacking = _column_sums(terms)
    lacking += offset[n:] * factors - errors.sum(axis=0) - offset[:n] @ coef
    return np.stack([total, lacking])


def _residuals(x: _Cut, y: _Cut, coef: Array) -> tuple[Array, Array]:
    """``y - coef.T @ x``, and what it lacks; what cancels has no rounding errors."""
    # Of numbers over the size of their feature, leading parts lie on one grid for all features.
    scaled = _Cut.of(np.ldexp(coef.T, x.exponents.T))
    leading, rest = (np.ldexp(part, -x.exponents.T) for part in (scaled.leading, scaled.rest))
    small = matmul(rest, x.leading) + matmul(coef.T, x.rest)
    first, lost = _sum(y.leading, -matmul(leading, x.leading))
    rest, lacking = _sum(first, y.rest - small)
    return rest, lost + lacking


def _grid(exponents: Array) -> Array:
    """What rounds numbers so where it is added and subtracted again."""
    return np.asarray(np.ldexp(1.5, exponents + (np.finfo(np.float64).nmant - _BITS)))


def _sum(a: Array, b: Array) -> tuple[Array, Array]:
    """The rounded sum, and what it lacks (D. E. Knuth's two-sum)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def _column_sums(x: Array) -> tuple[Array, Array]:
    """Rounded sums, and what they lack, by halves."""
    lacking = np.zeros(x.shape[1])
    while len(x) > 1:
        half = len(x) // 2
        sums, lost = _sum(x[:half], x[half : 2 * half])
        lacking += lost.sum(axis=0)
        x = np.concatenate([sums, x[2 * half :]])
    return x[0], lacking


def _two_product(a: Array, b: Array) -> tuple[Array, Array]:
    """The rounded product, and what it lacks (T. J. Dekker's)."""
    product = a * b
    (first, small), (second, little) = _halves(a), _halves(b)
    lost = ((first * second - product) + first * little + small * second) + small * little
    return product, lost


def _halves(x: Array) -> tuple[Array, Array]:
    """Numbers as sums of two of half as many bits."""
    cut = x * (2.0**27 + 1)
    leading = cut - (cut - x)
    return leading, x - leading
