"""Sparse rows times dense columns: ``csrc/kernels/sparse_times.c`` for numba."""

from __future__ import annotations

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
