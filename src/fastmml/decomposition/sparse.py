"""`projection` of sparse rows, in float64: the mean is taken off the products."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmml import _check
from fastmml.decomposition.products import compressed, sparse_times
from fastmml.decomposition.projection import ProjectedRows
from fastmml.linalg import matmul

Array = NDArray[Any]


def project(rows: Any, mean: Array, basis: Array) -> ProjectedRows:
    """Coordinates along orthonormal rows of a basis, and squared distances from what they span.

    Distances are those from the mean less those along the components: rounding errors are those of
    the squares of the numbers.
    """
    rows = _sound(rows)
    along = _along(rows, mean, basis)
    squares = np.asarray(rows.astype(np.float64).multiply(rows).sum(axis=1)).ravel()
    inside = sparse_times(compressed(rows), mean[:, np.newaxis], np.zeros(1))[:, 0]
    found = squares - 2 * inside + float(mean @ mean) - np.einsum("ij,ij->i", along, along)
    return ProjectedRows(along.astype(rows.dtype), _finite(rows, found.clip(0)))


def coordinates(rows: Any, mean: Array, basis: Array) -> Array:
    """Products of centred rows with those of a basis."""
    return _along(_sound(rows), mean, basis).astype(rows.dtype)


def errors(rows: Any, mean: Array, basis: Array) -> Array:
    """Squared distances of centred rows from what the orthonormal rows of a basis span."""
    return project(rows, mean, basis).errors


def squared_lengths(rows: Any, mean: Array, basis: Array, along: Array, across: float) -> Array:
    """Sums of squared coordinates over their variances, and of squared errors over another one."""
    y, rest = project(rows.astype(np.float64), mean, basis)
    spans_all = len(basis) == basis.shape[1]
    return np.asarray((y**2 / along).sum(axis=1) + (0 if spans_all else rest / across))


def _sound(rows: Any) -> Any:
    """Compressed rows that can be read."""
    _check.compressed("X", rows)
    return rows.tocsr()


def _along(rows: Any, mean: Array, basis: Array) -> Array:
    wide = basis.T.astype(np.float64)
    return _finite(rows, sparse_times(compressed(rows), wide, matmul(mean, wide)))


def _finite(rows: Any, found: Array) -> Array:
    if not _check.is_finite(found):
        _check.finite("X", rows)
    return found
