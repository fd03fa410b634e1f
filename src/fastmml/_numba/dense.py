"""Matrix products: real and complex ones by NumPy's BLAS, since loops that numba compiles take ten
times as long; by loops those of whole numbers, which BLAS does not have.

Blocks of b are copied side by side, and four rows of the result are summed up along them, four
terms in one pass.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastmml._kernels import F64, U32, Bool, Real, Short
from fastmml._numba._jit import jit, readonly
from fastmml._threads import run_blocks

#: Terms and columns of a block of b: 512 KB of 64 bits. Terms come by fours.
BLOCK_TERMS, BLOCK_COLUMNS = 256, 256
#: Rows of a result that are summed up together.
ROWS = 4
#: Rows that are centred at a time: their products are added up in their own type.
CENTRED_ROWS = 1024
#: Numbers of the rows that are projected at a time: 4 MB of float32, of a last-level cache.
PROJECTED_NUMBERS = 1 << 20
#: Rows whose products are added up in their own type, at most.
GRAM_ROWS = 4096
#: Rows of a part of a result.
PART_ROWS = 256
#: Parts in one call: some milliseconds.
PARTS_AT_ONCE = 4


@jit
def _add_terms(sums: Real, factors: Real, rows: Real, p: int, columns: int) -> None:
    """Add the products of four rows of four factors, from the p-th on, and four rows to four sums.

    Flat arrays whose rows are at distances that LLVM knows: it makes vectors only of loops over
    few arrays that may overlap.
    """
    fa, fb = factors[p : p + 4], factors[BLOCK_TERMS + p : BLOCK_TERMS + p + 4]
    fc, fd = factors[2 * BLOCK_TERMS + p :], factors[3 * BLOCK_TERMS + p :]
    a0, a1, a2, a3 = fa[0], fa[1], fa[2], fa[3]
    b0, b1, b2, b3 = fb[0], fb[1], fb[2], fb[3]
    c0, c1, c2, c3 = fc[0], fc[1], fc[2], fc[3]
    d0, d1, d2, d3 = fd[0], fd[1], fd[2], fd[3]
    terms = rows[p * BLOCK_COLUMNS :]
    for j in range(columns):
        k, m, n = j + BLOCK_COLUMNS, j + 2 * BLOCK_COLUMNS, j + 3 * BLOCK_COLUMNS
        t0, t1, t2, t3 = terms[j], terms[k], terms[m], terms[n]
        sums[j] = sums[j] + a0 * t0 + a1 * t1 + a2 * t2 + a3 * t3
        sums[k] = sums[k] + b0 * t0 + b1 * t1 + b2 * t2 + b3 * t3
        sums[m] = sums[m] + c0 * t0 + c1 * t1 + c2 * t2 + c3 * t3
        sums[n] = sums[n] + d0 * t0 + d1 * t1 + d2 * t2 + d3 * t3


@jit
def _take(x: Real, row: int, column: int, rows: int, columns: int, step: int, out: Real) -> None:
    """Copy the block of x that starts there, rows ``step`` apart, and zeros where x ends."""
    width = min(columns, x.shape[1] - column)
    for i in range(rows):
        line = out[i * step : i * step + columns]
        used = width if row + i < x.shape[0] else 0
        for j in range(used):
            line[j] = x[row + i, column + j]
        line[used:] = 0


@jit
def _multiply_block(
    a: Real, first: int, last: int, start: int, terms: int, rows: Real, column: int, out: Real
) -> None:
    """Add the products of these rows of a and terms from ``start`` on to ``out``; set it first."""
    columns = min(BLOCK_COLUMNS, out.shape[1] - column)
    sums = np.empty(ROWS * BLOCK_COLUMNS, out.dtype)
    factors = np.empty(ROWS * BLOCK_TERMS, out.dtype)
    for i in range(first, last, ROWS):
        if start == 0:
            sums[:] = 0
        else:
            _take(out[:last], i, column, ROWS, columns, BLOCK_COLUMNS, sums)
        _take(a[:last], i, start, ROWS, terms, BLOCK_TERMS, factors)
        for p in range(0, terms, 4):
            _add_terms(sums, factors, rows, p, columns)
        for r in range(min(ROWS, last - i)):
            for j in range(columns):
                out[i + r, column + j] = sums[r * BLOCK_COLUMNS + j]


@jit
def _multiply_parts(first: int, last: int, a: Real, b: Real, out: Real) -> None:
    """Fill parts of ``out``; every matrix of the stack has so many rows of parts."""
    parts = -(-out.shape[1] // PART_ROWS)
    rows = np.empty(BLOCK_TERMS * BLOCK_COLUMNS, out.dtype)
    for part in range(first, last):
        matrix, top = part // parts, part % parts * PART_ROWS
        bottom = min(top + PART_ROWS, out.shape[1])
        if a.shape[2] == 0:
            out[matrix, top:bottom] = 0
        for column in range(0, out.shape[2], BLOCK_COLUMNS):
            columns = min(BLOCK_COLUMNS, out.shape[2] - column)
            for start in range(0, a.shape[2], BLOCK_TERMS):
                terms = -(-min(BLOCK_TERMS, a.shape[2] - start) // 4) * 4
                _take(b[matrix], start, column, terms, columns, BLOCK_COLUMNS, rows)
                _multiply_block(a[matrix], top, bottom, start, terms, rows, column, out[matrix])


def matmul(a: Real, b: Real, out: Real, threads: int) -> None:
    """See `fastmml._kernels.Kernels.matmul`; the threads of BLAS are its own."""
    if out.dtype.kind in "fc":
        with np.errstate(all="ignore"):
            _multiply_by_blas(a, b, out)
        return
    if out.ndim == 2:
        a, b, out = a[None], b[None], out[None]
    for i in np.ndindex(out.shape[:-3]):
        _multiply_stack(a[i], b[i], out[i], threads)


def _multiply_by_blas(a: Real, b: Real, out: Real) -> None:
    """Complex products by those of the parts, since BLAS takes NaN and infinities another way."""
    if out.dtype.kind == "f":
        np.matmul(a, b, out=out)
        return
    left, right = np.stack([a.real, a.imag])[:, None], np.stack([b.real, b.imag])
    (real, cross), (turned, minus) = np.matmul(left, right)
    np.subtract(real, minus, out=out.real)
    np.add(cross, turned, out=out.imag)


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


def matmul_plain(a: Any, b: Any, out: Any, /) -> None:
    """See `fastmml._kernels.Kernels.matmul_plain`: a product here takes longer than its checks."""


def matmul_short_plain(a: Any, b: Any, dtype: Any, /) -> None:
    """See `fastmml._kernels.Kernels.matmul_short_plain`."""


def gram(x: Real, out: Real, threads: int) -> None:
    """See `fastmml._kernels.Kernels.gram`: by a product, whose upper triangle is replaced."""
    matmul(np.conjugate(x.T) if out.dtype.kind == "c" else x.T, x, out, threads)
    upper = np.triu_indices(len(out), 1)
    out[upper] = np.conjugate(out.T[upper])
    if out.dtype.kind == "c":
        np.fill_diagonal(out.imag, 0)


def gram_plain(x: Any) -> None:
    """See `fastmml._kernels.Kernels.gram_plain`."""


@jit
def _solve_row(row: Real, u: Real) -> None:
    """Forward substitution, for one triangle after the other."""
    for which in range(len(u)):
        for j in range(len(row)):
            total = row[j]
            for k in range(j):
                total -= row[k] * u[which, k, j]
            row[j] = total / u[which, j, j]


@jit
def _solve_rows(first: int, last: int, a: Real, u: Real, out: Real) -> None:
    """Solve for parts of PART_ROWS rows."""
    for i in range(first * PART_ROWS, min(last * PART_ROWS, len(a))):
        out[i] = a[i]
        _solve_row(out[i], u)


def solve_right(a: Real, u: Real, out: Real, threads: int) -> None:
    """See `fastmml._kernels.Kernels.solve_right`."""
    rows, triangles = readonly(a), readonly(u if u.ndim == 3 else u[np.newaxis])
    run_blocks(
        lambda first, last: _solve_rows(first, last, rows, triangles, out),
        -(-len(a) // PART_ROWS),
        threads,
        PARTS_AT_ONCE,
    )


def centred_gram(x: Real, y: Real, shift: Real, scale: Real | None, threads: int) -> F64:
    """See `fastmml._kernels.Kernels.centred_gram`; the threads of BLAS are its own."""
    n, size = x.shape[1], len(shift) + 1
    total, whole = np.zeros((size, size)), np.empty((CENTRED_ROWS, size), x.dtype)
    with np.errstate(all="ignore"):
        for start in range(0, len(x), CENTRED_ROWS):
            rows = slice(start, start + CENTRED_ROWS)
            z = whole[: len(x[rows])]
            np.subtract(x[rows], shift[:n], out=z[:, :n])
            np.subtract(y[rows], shift[n:], out=z[:, n:-1])
            z[:, -1] = 1
            if scale is not None:
                z *= scale[rows, np.newaxis]
            total += z.T @ z
    return np.asarray((total + total.T) / 2)


def solved_gram(a: Real, b: Real | None, u: Real, out: Real, threads: int) -> None:
    """See `fastmml._kernels.Kernels.solved_gram`."""
    n = a.shape[1]
    solved = np.empty((len(a), len(out)), a.dtype)
    solve_right(a, u, solved[:, :n], threads)
    if b is not None:
        solved[:, n:] = b
    gram(solved, out, threads)


def gram_times(x: Real, b: Real, offset: Real, y: Real, out: Real, threads: int) -> None:
    """See `fastmml._kernels.Kernels.gram_times`; the threads of BLAS are its own."""
    sums = np.zeros(out.shape)
    size = min(max(PROJECTED_NUMBERS // x.shape[1], 1), GRAM_ROWS)
    with np.errstate(all="ignore"):
        for start in range(0, len(x), size):
            rows = slice(start, start + size)
            y[rows] = x[rows] @ b.T - offset
            sums += y[rows].T @ x[rows]
        out[...] = sums


def project_rows(
    x: Real, shift: Real, basis: Real, coordinates: Real | None, errors: F64 | None, threads: int
) -> None:
    """See `fastmml._kernels.Kernels.project_rows`; the threads of BLAS are its own."""
    size = max(PROJECTED_NUMBERS // x.shape[1], 1)
    with np.errstate(all="ignore"):
        for start in range(0, len(x), size):
            rows = slice(start, start + size)
            z = x[rows] - shift[0]
            z -= shift[1]
            y = z @ basis.T
            if coordinates is not None:
                coordinates[rows] = y
            if errors is not None:
                z -= y @ basis
                np.einsum("ij,ij->i", z, z, out=errors[rows], dtype=np.float64)


def reconstruct_rows(y: Real, basis: Real, shift: Real, out: Real, threads: int) -> None:
    """See `fastmml._kernels.Kernels.reconstruct_rows`; the threads of BLAS are its own."""
    size = max(PROJECTED_NUMBERS // out.shape[1], 1)
    with np.errstate(all="ignore"):
        for start in range(0, len(out), size):
            rows = slice(start, start + size)
            np.matmul(y[rows], basis, out=out[rows])
            out[rows] += shift[1]
            out[rows] += shift[0]
