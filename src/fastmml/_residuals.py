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
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastmml._centred import Data, Mean
from fastmml.linalg import matmul

Array = NDArray[Any]

#: Leading bits: two numbers of so many, and sums of products over so many rows, fit into float64.
_BITS, _MOST_ROWS = 19, 1 << 15


class _Cut(NamedTuple):
    """Rows of numbers less those of ``shift``: ``leading + rest``, without rounding errors."""

    leading: Array  # whole multiples of 2**(exponents - _BITS)
    rest: Array
    exponents: Array  # (rows, 1): of the largest number of each row

    @classmethod
    def of(cls, x: Array, shift: Array | None = None) -> _Cut:
        """Cut rows; the errors of a shift are those of the rest."""
        sizes = np.abs(x if shift is None else x - shift).max(axis=1, initial=0)
        exponents = np.frexp(sizes)[1][:, np.newaxis]
        leading = _on_grid(x, exponents)
        rest = x - leading
        if shift is not None:
            near = _on_grid(shift, exponents)
            leading -= near
            rest -= shift - near
        return cls(leading, rest, exponents)


def corrected(data: Data, mean: Mean, coef: Array, inverse: Array) -> tuple[Array, Array]:
    """Coefficients after a step of refinement, and sums of squared residuals.

    ``inverse`` is that of the triangular factor of the centred features. The step is that of
    corrected seminormal equations; there is none where it is no number.
    """
    gradient, chi2, unit = _residual_products(data, mean, coef)
    with np.errstate(all="ignore"):
        inside = np.ldexp(inverse.T @ gradient, unit)
        found = coef + inverse @ inside, chi2 - np.einsum("ij,ij->j", inside, inside)
    fits = np.isfinite(found[0]).all(axis=0)
    return np.where(fits, found[0], coef), np.where(fits, found[1], chi2)


def squared_residuals(data: Data, mean: Mean, coef: Array) -> Array:
    """Sums of squared residuals."""
    return _residual_products(data, mean, coef)[1]


@np.errstate(all="ignore")
def _residual_products(data: Data, mean: Mean, coef: Array) -> tuple[Array, Array, Array]:
    """Products of the features with the residuals, over 2**unit, and sums of squared residuals."""
    n, k = coef.shape
    centre = mean.total()
    offset = mean.shift - centre + mean.offset
    shifts = np.split(centre[:, np.newaxis], [n]) if centre.any() else (None, None)
    constant = (offset[n:] - offset[:n] @ coef)[:, np.newaxis]
    used = True if data.scale is None else data.scale[:, np.newaxis] > 0
    unit = np.frexp(np.abs(data.y).max(axis=0, initial=0, where=used))[1]
    sum_, error, chi2 = np.zeros((n, k)), np.zeros((n, k)), np.zeros(k)
    for x, y, scale in _counted(data):
        left = _Cut.of(np.ascontiguousarray(x.T), shifts[0])
        below = _Cut.of(np.ascontiguousarray(y.T), shifts[1])
        rest, lacking = _residuals(left, below, coef, constant)
        roots = np.ones(1) if scale is None else scale
        chi2 += np.einsum("ij,ij->i", rest * roots, rest * roots)
        factors = np.ldexp(roots * roots, -unit[:, np.newaxis])
        weighted = rest * factors
        right = _Cut.of(weighted)
        sum_, lost = _sum(sum_, matmul(left.leading, right.leading.T))
        small = (right.rest + lacking * factors).T
        error += lost + matmul(left.leading, small) + matmul(left.rest, weighted.T)
        error -= offset[:n, np.newaxis] * weighted.sum(axis=1)
    return sum_ + error, chi2, unit


def _counted(data: Data) -> Iterator[tuple[Array, Array, Array | None]]:
    """Rows some at a time, less those of weight 0, whose numbers have any size."""
    for x, y, scale in data.pieces(_MOST_ROWS):
        if scale is None or scale.all():
            yield x, y, scale
            continue
        used = scale > 0
        yield x[used], y[used], scale[used]


def _residuals(x: _Cut, y: _Cut, coef: Array, constant: Array) -> tuple[Array, Array]:
    """``y - constant - coef.T @ x``, and what it lacks; what cancels has no rounding errors."""
    # Of numbers over the size of their feature, leading parts lie on one grid for all features.
    scaled = _Cut.of(np.ldexp(coef.T, x.exponents.T))
    leading, rest = (np.ldexp(part, -x.exponents.T) for part in (scaled.leading, scaled.rest))
    small = matmul(rest, x.leading) + matmul(coef.T, x.rest) + constant
    first, lost = _sum(y.leading, -matmul(leading, x.leading))
    rest, lacking = _sum(first, y.rest - small)
    return rest, lost + lacking


def _on_grid(x: Array, exponents: Array) -> Array:
    """Numbers rounded to ``_BITS`` bits of 2**exponents."""
    grid = np.ldexp(1.5, exponents + (np.finfo(np.float64).nmant - _BITS))
    return np.asarray((x + grid) - grid)


def _sum(a: Array, b: Array) -> tuple[Array, Array]:
    """The rounded sum, and what it lacks (D. E. Knuth's two-sum)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)
