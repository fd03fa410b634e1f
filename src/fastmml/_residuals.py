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

#: The condition number from which on a step may be worse than none, where rows differ in size.
_DOUBTFUL = 1e7
#: Targets whose residuals are computed at a time, which takes 128 bytes a feature of each.
_TARGETS = 64


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
