"""Distances between rows: inner products of centred rows by NumPy's BLAS, differences in float64
where those are not accurate enough.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from fastmml._kernels import COSINE, EUCLIDEAN, F64, I64, Real
from fastmml._numba._jit import jit, jit_reordered, readonly
from fastmml._threads import run_blocks

#: Rows of x and of y whose inner products are computed at once: 32 MB of float64. With 256 rows of
#: x, 5000 x 784 neighbours took twice as long.
X_ROWS, Y_ROWS = 1024, 4096
#: Numbers that such rows may have.
BLOCK_NUMBERS = 1 << 22
#: Rows whose mean is the centre.
SAMPLE = 1024
#: Rows in one call.
ROWS_AT_ONCE = 16
#: Squared distances below this part of ``|x|^2 + |y|^2`` are summed up from differences.
NEAR = 0.25
#: Roundings beside those of a sum, as in csrc/dense/pairs.c.
ROUNDINGS = 48


class _Rows(NamedTuple):
    """Rows, and what each is multiplied with."""

    data: Real
    scale: F64


class _Block(NamedTuple):
    """Inner products of the centred rows ``row`` on of x and ``column`` on of y."""

    row: int
    column: int
    products: Real
    x_norms: Real
    y_norms: Real


def _rows(data: Real, scale: F64 | None) -> _Rows:
    factors = np.ones(len(data)) if scale is None else scale
    return _Rows(readonly(np.ascontiguousarray(data)), readonly(factors))


def _centred(rows: _Rows, first: int, count: int, centre: Real) -> tuple[Real, Real]:
    """Some rows less the centre, and their squared lengths: NaN where products could overflow."""
    data, scale = rows.data[first : first + count], rows.scale[first : first + count, None]
    scaled = data * scale if (scale != 1).any() else data
    data = (scaled - centre).astype(data.dtype, copy=False)
    norms = np.square(data, dtype=np.float64).sum(axis=1)
    limit = float(np.finfo(data.dtype).max) / 16
    return data, np.where(norms <= limit, norms, np.nan).astype(data.dtype)


def _blocks(x: _Rows, y: _Rows, is_own: bool) -> Iterator[_Block]:
    """All blocks; where y is x and order does not matter, those below the diagonal."""
    with np.errstate(all="ignore"):
        step = -(-len(y.data) // SAMPLE)
        centre = (y.data[::step] * y.scale[::step, None]).mean(axis=0).astype(y.data.dtype)
        most = BLOCK_NUMBERS // x.data.shape[1] + 1
        height, width = min(X_ROWS, most), min(Y_ROWS, most)
        for column in range(0, len(y.data), width):
            right, y_norms = _centred(y, column, width, centre)
            for row in range(column // height * height if is_own else 0, len(x.data), height):
                left, x_norms = _centred(x, row, height, centre)
                yield _Block(row, column, left @ right.T, x_norms, y_norms)


def _smallest(x: _Rows) -> float:
    """What underflows in a squared distance, at most."""
    return float(x.data.shape[1] * np.finfo(x.data.dtype).tiny)


@jit_reordered
def _sum_squares(x: Real, y: Real) -> float:
    total = 0.0
    for q in range(len(x)):
        difference = np.float64(x[q]) - np.float64(y[q])
        total += difference * difference
    return total


@jit
def _squared_difference(x: Real, x_scale: float, y: Real, y_scale: float) -> float:
    """Not reordered: what the ratio of the scales makes of equal rows is then equal, too."""
    if x_scale == 1 and y_scale == 1:
        return _sum_squares(x, y)
    ratio = y_scale / x_scale
    total = 0.0
    for q in range(len(x)):
        difference = np.float64(x[q]) - ratio * np.float64(y[q])
        total += difference * difference
    return x_scale * x_scale * total


@jit
def _finish(kind: int, squared: float) -> float:
    if kind == EUCLIDEAN:
        return math.sqrt(squared)
    return min(squared / 2, 2.0) if kind == COSINE else squared


@jit
def _fill_rows(
    first: int,
    last: int,
    block: _Block,
    x: _Rows,
    y: _Rows,
    is_own: bool,
    kind: int,
    smallest: float,
    out: Real,
) -> None:
    for r in range(first, last):
        i = block.row + r
        for c in range(min(len(block.y_norms), i + 1 - block.column if is_own else len(out[0]))):
            j = block.column + c
            both = np.float64(block.x_norms[r]) + np.float64(block.y_norms[c])
            squared = float(both - 2 * np.float64(block.products[r, c]))
            if not squared >= NEAR * both + smallest:
                squared = _squared_difference(x.data[i], x.scale[i], y.data[j], y.scale[j])
            out[i, j] = _finish(kind, squared)
            if is_own:
                out[j, i] = out[i, j]


def pairwise_distances(
    x: Real,
    x_scale: F64 | None,
    y: Real | None,
    y_scale: F64 | None,
    kind: int,
    out: Real,
    threads: int,
) -> None:
    """See `fastmml._kernels.Kernels.pairwise_distances`; the threads of BLAS are its own."""
    left = _rows(x, x_scale)
    right = left if y is None else _rows(y, y_scale)
    smallest = _smallest(left) / (float(np.finfo(x.dtype).eps) / 2)
    for block in _blocks(left, right, y is None):
        run_blocks(
            lambda first, last, block=block: _fill_rows(  # type: ignore[misc]
                first, last, block, left, right, y is None, kind, smallest, out
            ),
            len(block.x_norms),
            threads,
            ROWS_AT_ONCE,
        )


@jit
def _is_before(squared: float, index: int, heap: F64, indices: I64, at: int) -> bool:
    return bool(squared < heap[at] or (squared == heap[at] and index < indices[at]))


@jit
def _sink(heap: F64, indices: I64, size: int, squared: float, index: int) -> None:
    """Put a pair where the top was, and let it sink in a heap of this size."""
    at, child = 0, 1
    while child < size:
        if child + 1 < size and _is_before(heap[child], indices[child], heap, indices, child + 1):
            child += 1
        if not _is_before(squared, index, heap, indices, child):
            break
        heap[at], indices[at] = heap[child], indices[child]
        at = child
        child = 2 * at + 1
    heap[at], indices[at] = squared, index


@jit
def _search_rows(
    first: int,
    last: int,
    block: _Block,
    x: _Rows,
    y: _Rows,
    is_own: bool,
    error: float,
    smallest: float,
    heaps: F64,
    indices: I64,
) -> None:
    for r in range(first, last):
        i = block.row + r
        heap, nearest = heaps[i], indices[i]
        norm, products = np.float64(block.x_norms[r]), block.products[r]
        for c in range(len(products)):
            j = block.column + c
            both = norm + np.float64(block.y_norms[c])
            least = both * (1 - error) - 2 * np.float64(products[c]) - smallest
            if least >= heap[0] or (is_own and i == j):
                continue
            squared = _squared_difference(x.data[i], x.scale[i], y.data[j], y.scale[j])
            if _is_before(squared, j, heap, nearest, 0):
                _sink(heap, nearest, len(heap), squared, j)


@jit
def _sort_rows(first: int, last: int, kind: int, heaps: F64, indices: I64, distances: Real) -> None:
    for i in range(first, last):
        heap, nearest = heaps[i], indices[i]
        for end in range(len(heap) - 1, 0, -1):
            squared, index = heap[end], nearest[end]
            heap[end], nearest[end] = heap[0], nearest[0]
            _sink(heap, nearest, end, squared, index)
        for n in range(len(heap)):
            distances[i, n] = _finish(kind, heap[n])


def kneighbors(
    x: Real,
    x_scale: F64 | None,
    y: Real | None,
    y_scale: F64 | None,
    kind: int,
    distances: Real,
    indices: I64,
    threads: int,
) -> None:
    """See `fastmml._kernels.Kernels.kneighbors`; the threads of BLAS are its own."""
    left = _rows(x, x_scale)
    right = left if y is None else _rows(y, y_scale)
    roundings = (x.shape[1] + ROUNDINGS) * float(np.finfo(x.dtype).eps) / 2
    error = roundings / (1 - roundings)
    heaps = np.full(indices.shape, np.inf)
    indices[...] = np.iinfo(np.int64).max
    for block in _blocks(left, right, False):
        run_blocks(
            lambda first, last, block=block: _search_rows(  # type: ignore[misc]
                *(first, last, block, left, right, y is None),
                *(error, _smallest(left), heaps, indices),
            ),
            len(block.x_norms),
            threads,
            ROWS_AT_ONCE,
        )
    run_blocks(
        lambda first, last: _sort_rows(first, last, kind, heaps, indices, distances),
        len(indices),
        threads,
        ROWS_AT_ONCE,
    )
