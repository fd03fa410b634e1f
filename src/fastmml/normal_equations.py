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
from fastmml._residuals import corrected, squared_residuals

Array = NDArray[Any]

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


class Solution(NamedTuple):
    """Coefficients, and what their errors and the singular values come from."""

    coef: Array  # (n, k)
    chi2: Array  # (k,): weighted sums of squared residuals
    centred: Centred
    has_changed: Array  # (n,): features that are not constant
    r: Array  # (n, n): upper factor of the products of columns of length 1
    inverse: Array  # of r
    lengths: Array  # (n,)


def most_targets(n: int) -> int:
    """How many targets are solved for at a time."""
    return max(n, _TARGETS)


def solve(
    data: Data, has_intercept: bool, most: float | None = None, known: Centred | None = None
) -> Solution | None:
    """Solve by normal equations and refinement; None where they are not accurate.

    ``most`` is the largest condition number that is wanted; by default all for which refinement
    works. ``known`` are the products of the data in their own type, of at most `most_targets`.
    """
    n, k = data.x.shape[1], data.y.shape[1]
    size, parts = most_targets(n), []
    for start in range(0, k, size):
        part = _solve(replace(data, y=data.y[:, start : start + size]), has_intercept, most, known)
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


def _solve(
    data: Data, has_intercept: bool, most: float | None, known: Centred | None
) -> Solution | None:
    """`solve` for targets that are not many more than features."""
    n = data.x.shape[1]
    for dtype in dict.fromkeys((data.x.dtype, np.dtype(np.float64))):
        centred = _centre(data, has_intercept, dtype, known if dtype == data.x.dtype else None)
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
        inverse = np.linalg.inv(r)
        unscaled = inverse / lengths[:, np.newaxis] * changed[:, np.newaxis]
        coef, chi2 = _refined(data, centred, unscaled, condition, unit)
        return Solution(coef, chi2, centred, changed, r, inverse, lengths)
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
        if not (are_constant(x[:, which]) if has_intercept else not x[:, which].any()):
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
    data: Data, centred: Centred, inverse: Array, condition: float, unit: float
) -> tuple[Array, Array]:
    """Coefficients and sums of squared residuals.

    ``inverse`` is that of the unscaled factor, 0 for constant features.
    """
    n = data.x.shape[1]
    square, right = centred.products[:n, :n], centred.products[:n, n:]
    total = np.diagonal(centred.products)[n:]
    coef = inverse @ (inverse.T @ right)
    chi2 = total - np.einsum("ij,ij->j", coef, 2 * right - square @ coef)
    rate = error = 4 * unit * condition**2
    wanted = _LAPACK * condition * float(np.finfo(data.x.dtype).eps)
    while error > wanted:
        coef, chi2 = corrected(data, centred.mean, coef, inverse)
        error *= rate
    if error == rate and (chi2 < _SMALL_REST * total).any():
        chi2 = squared_residuals(data, centred.mean, coef)
    return coef, chi2.clip(0)
