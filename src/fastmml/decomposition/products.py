"""The kernels that multiply dense and sparse rows by a few vectors, with memory for the results."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from fastmml._backend import get_num_threads, kernels

Array = NDArray[Any]

#: Entries of sparse rows for each column that are worth two parts, which take 10 % longer on one
#: thread there, and those of a part where there are more: the sums of all parts share a cache with
#: the entries, and twice as many parts took 4 % longer on one thread.
_TWO_PARTS, _PART_ENTRIES = 4, 32
#: Parts of sparse rows, at most: 2 to this power.
_MOST_PARTS = 4


class Compressed(NamedTuple):
    """Compressed rows as the kernels read them."""

    indptr: NDArray[np.int64]
    indices: NDArray[np.uint32]
    data: Array


def compressed(rows: Any) -> Compressed:
    """Compressed rows of SciPy's, whose structure was checked."""
    end = rows.indptr[-1]
    indptr = np.ascontiguousarray(rows.indptr, np.int64)
    indices = rows.indices[:end]
    if indices.dtype == np.int32:  # which need no copy: none is negative
        indices = np.ascontiguousarray(indices).view(np.uint32)
    indices = np.ascontiguousarray(indices, np.uint32)
    return Compressed(indptr, indices, np.ascontiguousarray(rows.data[:end]))


def as_csr(rows: Compressed, shape: tuple[int, int]) -> sp.csr_array:
    """The same as SciPy has them, without copies of indices where 32 bits do."""
    indptr, indices = rows.indptr, rows.indices
    if max(*shape, len(rows.data)) <= np.iinfo(np.int32).max:
        indptr, indices = indptr.astype(np.int32), indices.view(np.int32)
    return sp.csr_array((rows.data, indices, indptr), shape)


def sparse_times(rows: Compressed, b: Array, shift: Array) -> Array:
    """A sparse matrix times b, less a number for each column, of float64."""
    out = np.empty((len(rows.indptr) - 1, b.shape[1]))
    if out.size:
        b = np.ascontiguousarray(b, np.float64)
        kernels().sparse_times(*rows, b, shift, out, get_num_threads())
    return out


def sparse_gram_times(
    rows: Compressed, b: Array, scale: Array | None, along: Array | None
) -> Array:
    """``b @ C.T @ C`` for ``C = A - np.outer(scale, along)``, of which one is 1 everywhere."""
    out, b = np.empty(b.shape, b.dtype), np.ascontiguousarray(b)
    parts = parts_of(len(rows.data) // b.shape[1])
    kernels().sparse_gram_times(*rows, b, scale, along, parts, out, get_num_threads())
    return out


def parts_of(entries: int) -> int:
    """How many parts of sparse rows have sums of their own, by the entries for each column."""
    if entries < _TWO_PARTS:
        return 1
    return 1 << min(max((entries // _PART_ENTRIES).bit_length() - 1, 1), _MOST_PARTS)


def gram_times(x: Array, b: Array, offset: Array) -> tuple[Array, Array]:
    """``y = x @ b.T - offset`` and ``y.T @ x``, of the type of both."""
    y, out = np.empty((len(x), len(b)), b.dtype), np.zeros(b.shape, b.dtype)
    if x.size and b.size:
        x, b = (np.require(a, requirements=["C", "A"]) for a in (x, b))
        kernels().gram_times(x, b, offset.astype(b.dtype), y, out, get_num_threads())
    return y, out
