"""Steps of refinement of least squares, from residuals with twice the digits of float64."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmml._backend import get_num_threads, kernels
from fastmml._centred import Data, Mean
from fastmml._powers import ldexp
from fastmml._tall_qr import as_complex, as_real_map
from fastmml._two_numbers import column_sums, two_product, two_sum

Array = NDArray[Any]

#: A step counts that is longer than so many times its rounding errors.
_CLEAR = 2.0
#: Targets whose residuals are computed at a time, which takes 128 bytes a feature of each.
_TARGETS = 64
#: Targets up to which a step takes no longer than the rest of a solution (10,000 x 100).
MOST_REFINED = 32


@np.errstate(all="ignore")
def improved(
    data: Data, mean: Mean, coef: Array, inverse: Array, most: int = 1
) -> tuple[Array, Array]:
    """`corrected` up to so many times, each target while steps are more than rounding, and shrink.

    A step no longer than twice what its products round is none: where few rows are much larger than
    all others, it would do harm. A first one is undone where the second one is not half as long.
    """
    found, last, goes_on = coef, np.full(coef.shape[1], np.inf), np.ones(coef.shape[1], bool)
    for turn in range(most):
        step, rounding, chi2 = _step(data, mean, found, inverse)
        size = np.abs(step).max(axis=0)
        goes_on &= size > _CLEAR * rounding
        shrinks = size < last / 2
        if turn == 1:
            found = np.where(goes_on & ~shrinks, coef, found)
        goes_on &= shrinks
        found, last = np.where(goes_on, found + step, found), size
        goes_on &= size > np.finfo(np.float64).eps / 4 * np.abs(found).max(axis=0)
        if not goes_on.any():
            break
    return found, chi2


@np.errstate(all="ignore")
def corrected(data: Data, mean: Mean, coef: Array, inverse: Array) -> tuple[Array, Array]:
    """Coefficients after a step of refinement, and sums of squared residuals.

    There is no step where it is no number.
    """
    step, _, chi2 = _step(data, mean, coef, inverse)
    return np.where(np.isfinite(step).all(axis=0), coef + step, coef), chi2


def _step(data: Data, mean: Mean, coef: Array, inverse: Array) -> tuple[Array, Array, Array]:
    """A step of corrected seminormal equations, its rounding errors, and sums of squared residuals.

    ``inverse`` is that of the triangular factor of the centred features. Complex coefficients are
    those of the matrices that the real ones of the data stand for.
    """
    gradient, chi2, exponents = _residual_products(data, mean, coef)
    inside = ldexp(inverse.conj().T @ gradient, exponents)
    squares = np.einsum("ij,ij->j", inside.conj(), inside).real
    sizes = np.abs(inverse)
    rounded = ldexp(np.finfo(np.float64).eps * (sizes.T @ np.abs(gradient)), exponents)
    least = np.where(np.isfinite(squares), chi2 - squares, chi2)
    return inverse @ inside, (sizes @ rounded).max(axis=0), least


def squared_residuals(data: Data, mean: Mean, coef: Array) -> Array:
    """Sums of squared residuals."""
    return _residual_products(data, mean, coef)[1]


@np.errstate(all="ignore")
def _residual_products(data: Data, mean: Mean, coef: Array) -> tuple[Array, Array, Array]:
    """Products of features with residuals, over 2**exponents, and sums of squared residuals."""
    is_complex, coef = coef.dtype.kind == "c", as_real_map(coef)
    used = True if data.scale is None else data.scale[:, np.newaxis] > 0
    exponents = np.frexp(np.abs(data.y).max(axis=0, initial=0, where=used))[1]
    if is_complex:
        exponents = np.repeat(exponents.reshape(-1, 2).max(axis=1), 2)
    gradient, chi2 = np.empty(coef.shape), np.empty(len(exponents))
    for some in _blocks(len(exponents)):
        columns = np.r_[np.arange(len(coef)), len(coef) + np.arange(len(exponents))[some]]
        part = replace(data, y=data.y[:, some])
        found = _scaled_products(part, mean.of(columns), coef[:, some], exponents[some])
        gradient[:, some], chi2[some] = found[0], np.ldexp(found[1], 2 * exponents[some])
    if is_complex:
        return as_complex(gradient), chi2.reshape(-1, 2).sum(axis=1), exponents[::2]
    return gradient, chi2, exponents


def _blocks(size: int) -> Iterator[slice]:
    """Targets some at a time."""
    for first in range(0, size, _TARGETS):
        yield slice(first, first + _TARGETS)


def _scaled_products(data: Data, mean: Mean, coef: Array, exponents: Array) -> tuple[Array, Array]:
    """Such products and sums, both of targets over 2**exponents."""
    centre, offset = mean.parts()
    n, k = coef.shape
    factors, coef = np.ldexp(1.0, -exponents), np.ldexp(coef, -exponents)
    has_mean = bool(centre.any())
    constant = _constant(centre, offset, coef, factors) if has_mean else np.zeros((2, k))
    products, squares = np.zeros((2, k, n + 1)), np.zeros(k)
    own, own_squares, rows = np.empty_like(products), np.empty(k), np.ascontiguousarray(coef.T)
    for x, y, scale in data.wide_rows():
        kernels().residual_products(
            x, y, rows, constant, factors, scale, own, own_squares, get_num_threads()
        )
        products[0], lost = two_sum(products[0], own[0])
        products[1] += own[1] + lost
        squares += own_squares
    (high, low), (sums, small) = products[:, :, :n], products[:, :, n:]
    if not has_mean:
        return (high + low).T, squares
    taken, lacking = two_product(sums, centre[:n])
    high, lost = two_sum(high, -taken)
    low = low + (lost - lacking - (small * centre[:n] + sums * offset[:n]))
    return (high + low).T, squares


def _constant(centre: Array, offset: Array, coef: Array, factors: Array) -> Array:
    """What the model adds to the features' part, and what that lacks."""
    n = len(coef)
    products, errors = two_product(centre[:n, np.newaxis], coef)
    terms = np.concatenate([(centre[n:] * factors)[np.newaxis], -products])
    total, lacking = column_sums(terms)
    lacking += offset[n:] * factors - errors.sum(axis=0) - offset[:n] @ coef
    return np.stack([total, lacking])
