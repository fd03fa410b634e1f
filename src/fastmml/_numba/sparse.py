"""Products of sparse rows: ``csrc/kernels/sparse_{times,gram_times}.c`` for numba."""

from __future__ import annotations

import numpy as np

from fastmml._kernels import F64, I64, U32, Real
from fastmml._numba._jit import jit, readonly
from fastmml._numba.rank import row_at
from fastmml._threads import run_blocks

#: Entries and rows of a block, and blocks of one call.
WORK_PER_BLOCK, BLOCKS_AT_ONCE = 1 << 14, 64


@jit
def _times_blocks(
    first: int, last: int, indptr: I64, indices: U32, values: Real, b: F64, shift: F64, out: F64
) -> None:
    start, end = row_at(indptr, first * WORK_PER_BLOCK), row_at(indptr, last * WORK_PER_BLOCK)
    for row in range(start, end):
        sums = out[row]
        sums[:] = 0.0
        for k in range(indptr[row], indptr[row + 1]):
            value, other = float(values[k]), b[indices[k]]
            for column in range(len(sums)):
                sums[column] += value * other[column]
        for column in range(len(sums)):
            sums[column] -= shift[column]


def sparse_times(
    indptr: I64, indices: U32, values: Real, b: F64, shift: F64, out: F64, threads: int
) -> None:
    """See `fastmml._kernels.Kernels.sparse_times`."""
    rows, columns, numbers = readonly(indptr), readonly(indices), readonly(values)
    others, less = readonly(b), readonly(shift)
    run_blocks(
        lambda first, last: _times_blocks(first, last, rows, columns, numbers, others, less, out),
        int(indptr[-1] + len(out)) // WORK_PER_BLOCK + 1,
        threads,
        BLOCKS_AT_ONCE,
    )


@jit
def _sum_parts(
    first: int, last: int, parts: int, indptr: I64, indices: U32, values: Real, b: Real, scale: F64,
    offset: Real, sums: Real, moments: F64,
) -> None:  # fmt: skip
    """Some parts of the rows; b has a row for each column, as each part of the sums."""
    m, count = len(indptr) - 1, len(offset)
    work = (indptr[m] + m) // parts + 1
    y = np.empty(count, b.dtype)
    for part in range(first, last):
        found = sums[part]
        for row in range(row_at(indptr, part * work), row_at(indptr, (part + 1) * work)):
            factor = scale[row] if len(scale) else 1.0
            for c in range(count):
                y[c] = -(b.dtype.type(factor) * offset[c])
            for k in range(indptr[row], indptr[row + 1]):
                value, other = values[k], b[indices[k]]
                for c in range(count):
                    y[c] += value * other[c]
            for c in range(count):
                moments[part, c] += factor * y[c]
            for k in range(indptr[row], indptr[row + 1]):
                value, target = values[k], found[indices[k]]
                for c in range(count):
                    target[c] += value * y[c]


def sparse_gram_times(
    indptr: I64, indices: U32, values: Real, b: Real, scale: F64 | None, along: F64 | None,
    parts: int, out: Real, threads: int,
) -> None:  # fmt: skip
    """See `fastmml._kernels.Kernels.sparse_gram_times`."""
    count, n = b.shape
    sums, of_parts = np.zeros((parts, n, count), b.dtype), np.zeros((parts, count))
    rows, columns, numbers = readonly(indptr), readonly(indices), readonly(values)
    others, factors = readonly(np.ascontiguousarray(b.T)), np.empty(0) if scale is None else scale
    mean = np.ones(n) if along is None else along
    less, factors = readonly((b.astype(np.float64) @ mean).astype(b.dtype)), readonly(factors)
    run_blocks(
        lambda first, last: _sum_parts(
            first, last, parts, rows, columns, numbers, others, factors, less, sums, of_parts
        ),
        parts, threads, 1,
    )  # fmt: skip
    totals = sums.sum(axis=0, dtype=np.float64).T
    out[...] = totals - of_parts.sum(axis=0)[:, np.newaxis] * mean
