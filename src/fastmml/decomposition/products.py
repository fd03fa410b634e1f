"""The kernels that multiply dense and sparse rows by a few vectors, with memory for the results."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastmml._backend import get_num_threads, kernels

Array = NDArray[Any]

#: Entries of a part of sparse rows for each column, at least: sums of a part are set to 0 and added
#: up, which takes three times as long as an entry.
_PART_ENTRIES = 16
#: Parts of sparse rows, at most.
_MOST_PARTS = 16


class Compressed(NamedTuple):
    """Compressed rows as the kernels read them."""

    indptr: NDArray[np.int64]
    indices: NDArray[np.uint32]
    data: Array


def compressed(rows: Any) -> Compressed:
    """Compressed rows of SciPy's, whose structure was checked."""
    end = rows.indptr[-1]
    indptr = np.ascontiguousarray(rows.indptr, np.int64)
    indices = np.ascontiguousarray(rows.indices[:end], np.uint32)
    return Compressed(indptr, indices, np.ascontiguousarray(rows.data[:end]))


def sparse_times(rows: Compressed, b: Array, shift: Array) -> Array:
    """A sparse matrix times b, less a number for each column, of float64."""
    out = np.empty((len(rows.indptr) - 1, b.shape[1]))
    if out.size:
        b = np.ascontiguousarray(b, np.float64)
        kernels().sparse_times(*rows, b, shift, out, get_num_threads())
    return out


def sparse_gram_times(rows: Compressed, b: Array, scale: Array | None, along: Array | None) -> Array:
    """``b @ C.T @ C`` for ``C = A - np.outer(scale, along)``, of which one is 1 everywhere."""
    out, b = np.empty(b.shape, b.dtype), np.ascontiguousarray(b)
    parts = min(max(len(rows.data) // (_PART_ENTRIES * b.shape[1]), 1), _MOST_PARTS)
    kernels().sparse_gram_times(*rows, b, scale, along, parts, out, get_num_threads())
    return out


def gram_times(x: Array, b: Array, offset: Array) -> tuple[Array, Array]:
    """``y = x @ b.T - offset`` and ``y.T @ x``, of the type of both."""
    y, out = np.empty((len(x), len(b)), b.dtype), np.zeros(b.shape, b.dtype)
    if x.size and b.size:
        x, b = (np.require(a, requirements=["C", "A"]) for a in (x, b))
        kernels().gram_times(x, b, offset.astype(b.dtype), y, out, get_num_threads())
    return y, out
