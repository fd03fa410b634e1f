"""Products of the deviations of data from their means, in one pass: for covariance and regression.

The kernel multiplies deviations from a provisional mean, of which the true one comes out; what this
costs in digits is small while the two are near each other [1]_.

References
----------
.. [1] T. F. Chan, G. H. Golub, R. J. LeVeque, "Algorithms for computing the sample variance:
   analysis and recommendations", The American Statistician 37 (1983).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastmml import _check
from fastmml._backend import get_num_threads, kernels

Array = NDArray[Any]

#: Rows whose mean is the provisional one: enough that it is within a tenth of the spread.
SAMPLE = 1024
#: A mean that is further from the provisional one than this many times the spread takes another
#: pass around it: then the products lose no more than two digits.
_FAR = 3.0
#: Spreads whose squares are no longer numbers to all digits.
TINY = {"d": 1e-140, "f": 1e-14}
#: A spread of this part of the mean, of float64, is rounding: the numbers are all the same.
CONSTANT = 1e-15
#: Numbers of a piece of rows that is converted and multiplied in the cache: 1 MB of float64.
_PIECE = 1 << 17
#: Numbers of rows some of whose columns are compared in the cache: all at once took twice as long.
_COMPARED = 1 << 19


@dataclass(frozen=True)
class Data:
    """Two arrays side by side, and factors of their rows."""

    x: Array  # (m, n)
    y: Array  # (m, p)
    scale: Array | None = None  # (m,): square roots of weights, divided by 2**exponent
    exponent: int = 0

    @classmethod
    def scaled(cls, x: Array, y: Array, scale: Array | None) -> Data:
        """Rows whose factors may have any size: the largest comes near 1, by a power of two."""
        if scale is None:
            return cls(x, y)
        exponent = int(np.frexp(scale.max(initial=0))[1])
        return cls(x, y, np.ldexp(scale, -exponent), exponent)

    def scaled_as(self, exponent: int) -> Data:
        """The same rows with factors over this power of two."""
        if self.scale is None:
            one = np.full(len(self.x), np.ldexp(1.0, -exponent)) if exponent else None
            return Data(self.x, self.y, one, exponent)
        with np.errstate(all="ignore"):
            scale = np.ldexp(self.scale, self.exponent - exponent)
        return Data(self.x, self.y, scale, exponent)

    def no_shift(self) -> Array:
        return np.zeros(self.x.shape[1] + self.y.shape[1])

    def sample(self) -> tuple[Array, Array, Array | None]:
        """Some rows all over the data, in float64, and their scales."""
        rows = slice(None, None, max(len(self.x) // SAMPLE, 1))
        x, y = (side[rows].astype(np.float64) for side in (self.x, self.y))
        return x, y, None if self.scale is None else self.scale[rows]

    def sample_mean(self) -> Array:
        """The mean of some rows all over the data, as far as their numbers go."""
        x, y, scale = self.sample()
        weights = np.ones(len(x)) if scale is None else scale**2
        weights = weights / (weights.sum() or 1)
        # Not by BLAS: its threads would wait for more on the CPUs that the kernel is about to use.
        with np.errstate(all="ignore"):
            return np.concatenate([np.einsum("i,ij->j", weights, side) for side in (x, y)])

    def pieces(self, most: int = _PIECE) -> Iterator[tuple[Array, Array, Array | None]]:
        """Rows of x and y in float64, and their scales, some at a time."""
        size = min(max(_PIECE // (self.x.shape[1] + self.y.shape[1]), 1), most)
        for start in range(0, len(self.x), size):
            rows = slice(start, start + size)
            x, y = (side[rows].astype(np.float64, copy=False) for side in (self.x, self.y))
            yield x, y, None if self.scale is None else self.scale[rows]

    def wide_rows(self) -> Iterator[tuple[Array, Array, Array | None]]:
        """Rows of x and y in float64, and their scales: all at once where kernels read them."""
        if self.x.dtype == self.y.dtype == np.float64:
            yield _check.readable(self.x), _check.readable(self.y), self.scale
        else:
            yield from self.pieces()

    def products(self, shift: Array) -> Array:
        """The kernel's products, of all rows at once where it can read them in the shift's type."""
        threads = get_num_threads()
        if self.x.dtype == self.y.dtype == shift.dtype:
            scale = None if self.scale is None else self.scale.astype(shift.dtype)
            x, y = _check.readable(self.x), _check.readable(self.y)
            return kernels().centred_gram(x, y, shift, scale, threads)
        total = np.zeros((len(shift) + 1, len(shift) + 1))
        for x, y, scale in self.pieces():
            total += kernels().centred_gram(x, y, shift.astype(np.float64), scale, threads)
        return total


class Mean(NamedTuple):
    """A mean in two parts: less the first, numbers near it are exact."""

    shift: Array
    offset: Array

    def total(self) -> Array:
        return self.shift + self.offset

    def parts(self) -> tuple[Array, Array]:
        """The rounded mean, and what it lacks."""
        total = self.total()
        return total, self.shift - total + self.offset

    def of(self, columns: Array) -> Mean:
        return Mean(self.shift[columns], self.offset[columns])


class Centred(NamedTuple):
    """Products of deviations from the mean."""

    weight: float  # the sum of scale**2
    mean: Mean
    products: Array  # (n + p, n + p), exactly symmetric

    def spread(self) -> Array:
        """Standard deviations."""
        with np.errstate(all="ignore"):
            return np.asarray(np.sqrt(np.diagonal(self.products).clip(0) / self.weight))

    def without(self, lost: Array) -> Centred:
        """NaN in these columns."""
        products = self.products.copy()
        products[lost] = products[:, lost] = np.nan
        offset = np.where(lost, np.nan, self.mean.offset)
        return self._replace(mean=self.mean._replace(offset=offset), products=products)

    def has_changed(self, dtype: np.dtype[Any]) -> Array:
        """Whose numbers differ by more than the rounding of their mean."""
        unit = CONSTANT * float(np.finfo(dtype).eps / np.finfo(np.float64).eps)
        return np.asarray(self.spread() > unit * np.abs(self.mean.total()))


def centre(data: Data, dtype: np.dtype[Any], shift: Array | None = None) -> Centred:
    """Products of deviations from the mean, by at most two passes over the data.

    The first is around ``shift``, or the mean of a sample; where sums of deviations from the former
    overflow, there is another one around the latter.
    """
    with np.errstate(all="ignore"):
        found = _around(data, dtype, data.sample_mean() if shift is None else shift)
        if shift is not None and not np.isfinite(found.mean.total()).all():
            own = data.sample_mean()  # the guess was so far off that sums of deviations overflow
            if (np.isfinite(own) & ~np.isfinite(found.mean.total())).any():
                found = _around(data, dtype, own)
        mean = found.mean.total()
        near = _FAR * found.spread() + 4 * np.finfo(dtype).eps * np.abs(mean)
        if (np.abs(found.mean.offset) > near).any():
            found = _around(data, dtype, mean)
    return found


def _around(data: Data, dtype: np.dtype[Any], shift: Array) -> Centred:
    """One pass around a provisional mean; 0 where it is no number."""
    shift = np.where(np.isfinite(shift), shift, 0).astype(dtype)
    sums = data.products(shift)
    weight = float(sums[-1, -1])
    offset = sums[-1, :-1] / weight
    products = scaled_outer(offset, weight)
    np.subtract(sums[:-1, :-1], products, out=products)
    if np.isinf(np.diagonal(sums)).any():  # squares that overflow, whatever is taken off
        products = np.where(np.isinf(sums[:-1, :-1]), sums[:-1, :-1], products)
    return Centred(weight, Mean(shift.astype(np.float64), offset), products)


def scaled_outer(x: Array, factor: float) -> Array:
    """``np.outer(x, x) * factor``, in memory that is kept from chunk to chunk."""
    found = kernels().empty((len(x), len(x)), np.float64)
    np.multiply(x[:, np.newaxis], x, out=found)
    found *= factor
    return found


def uncentred(data: Data, dtype: np.dtype[Any]) -> Centred:
    """Products of the data as they are, as if their mean were 0."""
    shift = data.no_shift()
    with np.errstate(all="ignore"):
        sums = data.products(shift.astype(dtype))
    return Centred(float(sums[-1, -1]), Mean(shift, shift), sums[:-1, :-1])


def are_constant(x: Array, which: Array, number: float | None = None) -> bool:
    """Whether each of these columns has the same number in all rows: this one, or its own."""
    if not which.any():
        return True
    known = x[0, which] if number is None else number
    size = max(_COMPARED // x.shape[1], 1)
    starts = range(0, len(x), size)
    return all(bool((x[first : first + size, which] == known).all()) for first in starts)
