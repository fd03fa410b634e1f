"""What a fitted `PCA` does with sparse matrices, in float64: means are taken off products."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmml import _check
from fastmml.decomposition.operators import sparse_times
from fastmml.linalg import matmul

Array = NDArray[Any]


def coordinates(rows: Any, mean: Array, components: Array, scale: Array) -> Array:
    """Coordinates of the rows along the components, divided by ``scale``, in the rows' dtype."""
    basis = (components / scale[:, np.newaxis]).T.astype(np.float64)
    found = _times(rows, basis, matmul(mean, basis))
    if not np.isfinite(found).all():
        _check.finite("X", rows.data)
    return found.astype(rows.dtype)


def squared_distances(rows: Any, mean: Array, components: Array) -> Array:
    """Squared distance of each row from the subspace of the components.

    That from the mean less that along the components: rounding errors of float64 in the squares of
    the numbers are not divided by their difference.
    """
    basis = components.T.astype(np.float64)
    along = _times(rows, basis, matmul(mean, basis))
    squares = rows.astype(np.float64).multiply(rows).sum(axis=1)
    inside = _times(rows, mean[:, np.newaxis], np.zeros(1))[:, 0]
    found = np.asarray(squares).ravel() - 2 * inside + float(mean @ mean)
    found -= np.einsum("ij,ij->i", along, along)
    if not np.isfinite(found).all():
        _check.finite("X", rows.data)
    return np.asarray(found.clip(0))


def _times(rows: Any, b: Array, shift: Array) -> Array:
    return sparse_times(rows.tocsr(), b, shift)
