"""Matrix products: real ones by NumPy's BLAS, since loops that numba compiles take ten times as
long; by loops those of whole numbers, which BLAS does not have, and complex ones, whose NaN and
infinities it takes another way.

Blocks of b are copied side by side, and pairs of rows of the result are summed up along them, four
terms in one pass.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastmml._kernels import U32, Bool, Real, Short
from fastmml._numba._jit import jit, readonly
from fastmml._threads import run_blocks

#: Terms and columns of a block of b: 256 KB of float64.
BLOCK_TERMS, BLOCK_COLUMNS = 128, 256
#: Rows of a part of a result.
PART_ROWS = 64
#: Parts in one call: some milliseconds.
PARTS_AT_ONCE = 16


@jit
def _add_terms(upper: Real, lower: Real, a: Real, rows: Real) -> None:
    """Add ``a[0, 0] * rows[0] + ...`` to one sum and ``a[1, 0] * rows[0] + ...`` to the other."""
    a0, a1, a2, a3 = a[0, 0], a[0, 1], a[0, 2], a[0, 3]
    b0, b1, b2, b3 = a[1, 0], a[1, 1], a[1, 2], a[1, 3]
    r0, r1, r2, r3 = rows[0], rows[1], rows[2], rows[3]
    for j in range(len(upper)):
        upper[j] = upper[j] + a0 * r0[j] + a1 * r1[j] + a2 * r2[j] + a3 * r3[j]
        lower[j] = lower[j] + b0 * r0[j] + b1 * r1[j] + b2 * r2[j] + b3 * r3[j]


@jit
def _take(x: Real, row: int, column: int, out: Real) -> None:
    """Copy the block of x that starts there to ``out``, and zeros where x ends."""
    out[:] = 0
    for i in range(min(out.shape[0], x.shape[0] - row)):
        for j in range(min(out.shape[1], x.shape[1] - column)):
            out[i, j] = x[row + i, column + j]


@jit
def _multiply_block(
    a: Real, first: int, last: int, start: int, rows: Real, column: int, out: Real
) -> None:
    """Add the products of these rows of a and the terms from ``start`` on to ``out``."""
    columns = min(BLOCK_COLUMNS, out.shape[1] - column)
    terms = min(BLOCK_TERMS, a.shape[1] - start)
    sums = np.empty((2, BLOCK_COLUMNS), out.dtype)
    factors = np.empty((2, 4), out.dtype)
    for i in range(first, last, 2):
        _take(out[:last], i, column, sums)
        for p in range(0, terms, 4):
            _take(a[:last], i, start + p, factors)
            _add_terms(sums[0, :columns], sums[1, :columns], factors, rows[p : p + 4, :columns])
        for r in range(min(2, last - i)):
            for j in range(columns):
                out[i + r, column + j] = sums[r, j]


@jit
def _multiply_parts(first: int, last: int, a: Real, b: Real, out: Real) -> None:
    """Fill parts of ``out``; every matrix of the stack has so many rows of parts."""
    parts = -(-out.shape[1] // PART_ROWS)
    rows = np.empty((BLOCK_TERMS, BLOCK_COLUMNS), out.dtype)
    for part in range(first, last):
        matrix, top = part // parts, part % parts * PART_ROWS
        bottom = min(top + PART_ROWS, out.shape[1])
        out[matrix, top:bottom] = 0
        for column in range(0, out.shape[2], BLOCK_COLUMNS):
            for start in range(0, a.shape[2], BLOCK_TERMS):
                _take(b[matrix], start, column, rows)
                _multiply_block(a[matrix], top, bottom, start, rows, column, out[matrix])


def matmul(a: Real, b: Real, out: Real, threads: int) -> None:
    """See `fastmml._kernels.Kernels.matmul`; the threads of BLAS are its own."""
    if out.dtype.kind == "f":
        with np.errstate(all="ignore"):
            np.matmul(a, b, out=out)
        return
    if out.ndim == 2:
        a, b, out = a[None], b[None], out[None]
    for i in np.ndindex(out.shape[:-3]):
        _multiply_stack(a[i], b[i], out[i], threads)


def _multiply_stack(a: Real, b: Real, out: Real, threads: int) -> None:
    left, right = readonly(a), readonly(b)
    parts = out.shape[0] * -(-out.shape[1] // PART_ROWS)
    run_blocks(
        lambda first, last: _multiply_parts(first, last, left, right, out),
        parts,
        threads,
        PARTS_AT_ONCE,
    )


def matmul_short(a: Short, b: Short, out: U32, threads: int) -> None:
    """See `fastmml._kernels.Kernels.matmul_short`."""
    matmul(a.astype(np.int32).view(np.uint32), b.astype(np.int32).view(np.uint32), out, threads)


def matmul_bool(a: Bool, b: Bool, out: Bool, threads: int) -> None:
    """See `fastmml._kernels.Kernels.matmul_bool`: by counts, of which one that rounds is not 0."""
    counts = np.empty(out.shape, np.float32)
    matmul((a != 0).astype(np.float32), (b != 0).astype(np.float32), counts, threads)
    np.not_equal(counts, 0, out=out)


def matmul_plain(a: Any, b: Any) -> None:
    """See `fastmml._kernels.Kernels.matmul_plain`: a product here takes longer than its checks."""


def gram(x: Real, out: Real, threads: int) -> None:
    """See `fastmml._kernels.Kernels.gram`: by a product, whose upper triangle is replaced."""
    matmul(np.conjugate(x.T), x, out, threads)
    upper = np.triu_indices(len(out), 1)
    out[upper] = np.conjugate(out.T[upper])
    if out.dtype.kind == "c":
        np.fill_diagonal(out.imag, 0)


def gram_plain(x: Any) -> None:
    """See `fastmml._kernels.Kernels.gram_plain`."""


@jit
def _solve_rows(first: int, last: int, a: Real, u: Real, out: Real) -> None:
    """Forward substitution in parts of PART_ROWS rows."""
    for i in range(first * PART_ROWS, min(last * PART_ROWS, len(a))):
        for j in range(len(u)):
            total = a[i, j]
            for k in range(j):
                total -= out[i, k] * u[k, j]
            out[i, j] = total / u[j, j]


def solve_right(a: Real, u: Real, out: Real, threads: int) -> None:
    """See `fastmml._kernels.Kernels.solve_right`."""
    rows, triangle = readonly(a), readonly(u)
    run_blocks(
        lambda first, last: _solve_rows(first, last, rows, triangle, out),
        -(-len(a) // PART_ROWS),
        threads,
        PARTS_AT_ONCE,
    )
