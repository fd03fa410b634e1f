"""Rows to coordinates and back, in one pass: what `PCA` computes of new data."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastmml import _check
from fastmml._backend import get_num_threads, kernels
from fastmml._chunks import pieces

Array = NDArray[Any]

#: Numbers of the rows that are converted to float64 at a time: 8 MB.
_PIECE = 1 << 20


class ProjectedRows(NamedTuple):
    """What `PCA.project` returns."""

    coordinates: Array  #: (m, k): as `PCA.transform`
    errors: Array  #: (m,) float64: as `PCA.reconstruction_errors`


def project(rows: Array, mean: Array, basis: Array) -> ProjectedRows:
    """Coordinates along orthonormal rows of a basis, and squared distances from what they span."""
    found = np.empty((len(rows), len(basis)), rows.dtype)
    errors = np.empty(len(rows))
    _fill(rows, mean, basis, found, errors)
    return ProjectedRows(found, errors)


def coordinates(rows: Array, mean: Array, basis: Array) -> Array:
    """Products of centred rows with orthonormal ones of a basis."""
    found = np.empty((len(rows), len(basis)), rows.dtype)
    if len(basis):
        _fill(rows, mean, basis, found, None)
    else:
        _check.finite("X", rows)
    return found


def errors(rows: Array, mean: Array, basis: Array) -> Array:
    """Squared distances of centred rows from what the orthonormal rows of a basis span."""
    found = np.empty(len(rows))
    _fill(rows, mean, basis, None, found)
    return found


def reconstruct(y: Array, mean: Array, basis: Array) -> Array:
    """Points that have these coordinates."""
    found = np.empty((len(y), basis.shape[1]), y.dtype)
    kernels().reconstruct_rows(
        _check.readable(y), np.ascontiguousarray(basis, y.dtype), _shift(mean, y.dtype), found,
        get_num_threads(),
    )  # fmt: skip
    return found


def squared_lengths(rows: Array, mean: Array, basis: Array, along: Array, across: float) -> Array:
    """Sums of squared coordinates over their variances, and of squared errors over another one.

    In float64, since a small variance magnifies errors; the other one counts for nothing where the
    basis spans everything.
    """
    found, spans_all = np.empty(len(rows)), len(basis) == basis.shape[1]
    size = max(_PIECE // rows.shape[1], 1)
    for start in range(0, len(rows), size):
        part = slice(start, start + size)
        y, rest = project(rows[part].astype(np.float64, copy=False), mean, basis)
        with np.errstate(all="ignore"):
            found[part] = (y**2 / along).sum(axis=1) + (0 if spans_all else rest / across)
    return found


def _fill(rows: Array, mean: Array, basis: Array, found: Array | None, rest: Array | None) -> None:
    """Fill results, some rows at a time of mapped files; refuse what is not finite."""
    shift, basis = _shift(mean, rows.dtype), np.ascontiguousarray(basis, rows.dtype)
    start = 0
    for piece in pieces(rows):
        part = slice(start, start + len(piece))
        y, squares = (None if x is None else x[part] for x in (found, rest))
        kernels().project_rows(_check.readable(piece), shift, basis, y, squares, get_num_threads())
        if not all(x is None or _check.is_finite(x) for x in (y, squares)):
            _check.finite("X", piece)
        start = part.stop


def _shift(mean: Array, dtype: np.dtype[Any]) -> Array:
    """A mean in two steps: float32 cannot hold in one what is small beside a large mean."""
    first = mean.astype(dtype)
    return np.stack([first, (mean - first).astype(dtype)])
