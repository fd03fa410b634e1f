"""Rows to coordinates and back, in one pass: what `PCA` computes of new data.

Rows are of any real type: those that kernels do not read are converted to float64 some at a time,
and those of mapped files leave memory again.
"""

from __future__ import annotations

from collections.abc import Iterator
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
    found = kernels().empty((len(rows), len(basis)), _number(rows))
    errors = kernels().empty(len(rows), np.float64)
    _fill(rows, mean, basis, found, errors)
    return ProjectedRows(found, errors)


def coordinates(rows: Array, mean: Array, basis: Array) -> Array:
    """Products of centred rows with orthonormal ones of a basis."""
    found = kernels().empty((len(rows), len(basis)), _number(rows))
    if len(basis):
        _fill(rows, mean, basis, found, None)
        return found
    for _, piece in _pieces(rows, _number(rows)):
        _check.finite("X", piece)
    return found


def errors(rows: Array, mean: Array, basis: Array) -> Array:
    """Squared distances of centred rows from what the orthonormal rows of a basis span."""
    found = kernels().empty(len(rows), np.float64)
    _fill(rows, mean, basis, None, found)
    return found


def reconstruct(y: Array, mean: Array, basis: Array) -> Array:
    """Points that have these coordinates."""
    dtype = _number(y)
    found = kernels().empty((len(y), basis.shape[1]), dtype)
    basis, shift = np.ascontiguousarray(basis, dtype), _shift(mean, dtype)
    for part, piece in _pieces(y, dtype):
        kernels().reconstruct_rows(
            _check.readable(piece), basis, shift, found[part], get_num_threads()
        )
    return found


def squared_lengths(rows: Array, mean: Array, basis: Array, along: Array, across: float) -> Array:
    """Sums of squared coordinates over their variances, and of squared errors over another one.

    In float64, since a small variance magnifies errors; the other one counts for nothing where the
    basis spans everything.
    """
    found, spans_all = kernels().empty(len(rows), np.float64), len(basis) == basis.shape[1]
    for part, piece in _pieces(rows, np.dtype(np.float64), is_cut=True):
        y, rest = project(piece, mean, basis)
        with np.errstate(all="ignore"):
            found[part] = (y**2 / along).sum(axis=1) + (0 if spans_all else rest / across)
    return found


def _fill(rows: Array, mean: Array, basis: Array, found: Array | None, rest: Array | None) -> None:
    """Fill results; refuse what is not finite."""
    dtype = _number(rows)
    shift, basis = _shift(mean, dtype), np.ascontiguousarray(basis, dtype)
    for part, piece in _pieces(rows, dtype):
        y, squares = (None if x is None else x[part] for x in (found, rest))
        kernels().project_rows(_check.readable(piece), shift, basis, y, squares, get_num_threads())
        if not all(x is None or _check.is_finite(x) for x in (y, squares)):
            _check.finite("X", piece)


def _pieces(
    rows: Array, dtype: np.dtype[Any], is_cut: bool = False
) -> Iterator[tuple[slice, Array]]:
    """Rows in this type, and which they are: cut into pieces if they are converted."""
    start, size = 0, max(_PIECE // max(rows.shape[1], 1), 1)
    for part in pieces(rows):
        end = start + len(part)
        step = size if is_cut or part.dtype != dtype else max(len(part), 1)
        for first in range(start, end, step):
            piece = slice(first, min(first + step, end))
            yield piece, part[piece.start - start : piece.stop - start].astype(dtype, copy=False)
        start = end


def _number(rows: Array) -> np.dtype[Any]:
    """What is computed with: float32 or float64."""
    return np.dtype(np.float32 if rows.dtype == np.float32 else np.float64)


def _shift(mean: Array, dtype: np.dtype[Any]) -> Array:
    """A mean in two steps: float32 cannot hold in one what is small beside a large mean."""
    first = mean.astype(dtype)
    return np.stack([first, (mean - first).astype(dtype)])
