"""Many small matrices: elimination with partial pivoting, Jacobi's method, reflections.

The formulas stand in `fastmml._kernels.Kernels`, the reasoning in csrc/lu.h and csrc/kernels.
Matrices are taken one after the other. Inputs are copied where they are not contiguous, so that one
compiled version serves all strides.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fastmml._kernels import F64, Real
from fastmml._numba._jit import jit, readonly
from fastmml._threads import run_blocks

#: Cubes of rows in a block: 20 to 100 microseconds.
WORK_PER_BLOCK = 1 << 16
#: Blocks in one call: at most about 10 milliseconds.
BLOCKS_AT_ONCE = 64
#: What `_diagonalise` leaves off the diagonal, where the largest entry is 1 to 2.
NEGLIGIBLE = 2.0**-54
MOST_SWEEPS = 30


@jit
def _eliminate(a: F64, b: F64) -> tuple[bool, bool]:
    """Turn ``a`` into U and ``b`` into ``L⁻¹ P b``; return whether a pivot is 0, and P odd."""
    n, columns = b.shape
    singular = odd = False
    for k in range(n):
        row, largest = k, abs(a[k, k])
        for i in range(k + 1, n):
            if abs(a[i, k]) > largest:
                row, largest = i, abs(a[i, k])
        if row != k:
            odd = not odd
            for j in range(k, n):
                a[k, j], a[row, j] = a[row, j], a[k, j]
            for j in range(columns):
                b[k, j], b[row, j] = b[row, j], b[k, j]
        singular |= a[k, k] == 0.0
        for i in range(k + 1, n):
            factor = a[i, k] / a[k, k]
            for j in range(k + 1, n):
                a[i, j] -= factor * a[k, j]
            for j in range(columns):
                b[i, j] -= factor * b[k, j]
    return singular, odd


@jit
def _substitute(a: F64, b: F64) -> None:
    """``b`` becomes ``U⁻¹ b``."""
    n, columns = b.shape
    for i in range(n - 1, -1, -1):
        for k in range(i + 1, n):
            for j in range(columns):
                b[i, j] -= a[i, k] * b[k, j]
        for j in range(columns):
            b[i, j] /= a[i, i]


@jit
def _solve_some(first: int, last: int, a: Real, b: Real, x: Real) -> bool:
    n, columns = x.shape[1], x.shape[2]
    left, right = np.empty((n, n)), np.empty((n, columns))
    singular = False
    for m in range(first, last):
        left[:] = a[m]
        right[:] = b[m]
        zero, _ = _eliminate(left, right)
        _substitute(left, right)
        x[m] = right
        singular |= zero
    return singular


@jit
def _determine_some(first: int, last: int, a: Real, det: Real) -> None:
    n = a.shape[1]
    left, right = np.empty((n, n)), np.empty((n, 0))
    for m in range(first, last):
        left[:] = a[m]
        singular, odd = _eliminate(left, right)
        mantissa, exponent = -1.0 if odd else 1.0, 0
        for k in range(n):
            part, power = math.frexp(left[k, k])
            mantissa *= part
            exponent += power
        det[m] = 0.0 if singular else math.ldexp(mantissa, exponent)


@jit
def _rotate(x: F64, y: F64, cosine: float, sine: float) -> None:
    for i in range(len(x)):
        before = x[i]
        x[i] = cosine * before - sine * y[i]
        y[i] = sine * before + cosine * y[i]


@jit
def _annihilate(a: F64, vectors: F64, p: int, q: int) -> None:
    """Rotate rows and columns p and q of ``a``, and rows of ``vectors``: ``a[p, q]`` becomes 0."""
    off, difference = a[p, q], a[q, q] - a[p, p]
    tangent = 2 * off / (abs(difference) + math.sqrt(difference * difference + 4 * off * off))
    if difference < 0:
        tangent = -tangent
    cosine = 1 / math.sqrt(1 + tangent * tangent)
    sine = tangent * cosine
    first, second = a[p, p] - tangent * off, a[q, q] + tangent * off
    _rotate(a[p], a[q], cosine, sine)
    _rotate(a[:, p], a[:, q], cosine, sine)
    _rotate(vectors[p], vectors[q], cosine, sine)
    a[p, p], a[q, q] = first, second
    a[p, q] = a[q, p] = 0.0


@jit
def _diagonalise(a: F64, vectors: F64) -> None:
    """Rotate until ``a`` is diagonal; rows of ``vectors`` become its eigenvectors."""
    n = len(a)
    for _ in range(MOST_SWEEPS):
        done = True
        for p in range(n):
            for q in range(p + 1, n):
                if abs(a[p, q]) > NEGLIGIBLE:
                    _annihilate(a, vectors, p, q)
                    done = False
        if done:
            break


@jit
def _load_symmetric(a: Real, upper: bool, out: F64) -> float:
    """Fill ``out`` from one triangle, scaled; return the scale, or NaN."""
    n = len(out)
    largest = 0.0
    for i in range(n):
        for j in range(i + 1):
            value = float(a[j, i] if upper else a[i, j])
            if not math.isfinite(value):
                return math.nan
            out[i, j] = out[j, i] = value
            largest = max(largest, abs(value))
    exponent = max(min(math.frexp(largest)[1], 1023), -1021)
    for i in range(n):
        for j in range(n):
            out[i, j] = math.ldexp(out[i, j], -exponent)
    return math.ldexp(1.0, exponent)


@jit
def _decompose_some(
    first: int, last: int, a: Real, upper: bool, values: Real, vectors: Real
) -> bool:
    n = a.shape[1]
    work, rows = np.empty((n, n)), np.empty((n, n))
    failed = False
    for m in range(first, last):
        scale = _load_symmetric(a[m], upper, work)
        if math.isnan(scale):
            values[m] = math.nan
            vectors[m] = math.nan
            failed = True
            continue
        rows[:] = 0.0
        for i in range(n):
            rows[i, i] = 1.0
        _diagonalise(work, rows)
        order = np.argsort(np.diag(work))
        for j in range(n):
            values[m, j] = work[order[j], order[j]] * scale
            for i in range(n):
                vectors[m, i, j] = rows[order[j], i]
    return failed


@jit
def _find_reflection(column: F64) -> float:
    """Replace a column by v, so that ``I - v v'`` makes it a multiple of e_1; return that."""
    if not column[1:].any():
        top = column[0]
        column[0] = 0.0
        return float(top)
    largest = np.abs(column).max()
    exponent = min(math.frexp(largest)[1], 1023) if math.isfinite(largest) else 0
    for i in range(len(column)):
        column[i] = math.ldexp(column[i], -exponent)
    norm = math.copysign(math.sqrt((column * column).sum()), column[0])
    factor = 1 / math.sqrt(norm * (norm + column[0]))
    column[0] += norm
    column *= factor
    return math.ldexp(-norm, exponent)


@jit
def _reflect(v: F64, b: F64) -> None:
    """``b`` becomes ``(I - v v') b``."""
    for j in range(b.shape[1]):
        b[:, j] -= v * (v * b[:, j]).sum()


@jit
def _factorise_some(first: int, last: int, a: Real, q: Real, r: Real) -> None:
    m, n = a.shape[1], a.shape[2]
    k, steps = r.shape[1], min(m - 1, n)
    work, basis, diagonal = np.empty((m, n)), np.empty((m, k)), np.empty(steps)
    for which in range(first, last):
        work[:] = a[which]
        for j in range(steps):
            diagonal[j] = _find_reflection(work[j:, j])
            _reflect(work[j:, j], work[j:, j + 1 :])
        if len(q):
            basis[:] = 0.0
            for j in range(k):
                basis[j, j] = 1.0
            for j in range(steps - 1, -1, -1):
                _reflect(work[j:, j], basis[j:, j:])
            q[which] = basis
        for j in range(steps):
            work[j, j] = diagonal[j]
            work[j + 1 :, j] = 0.0
        r[which] = work[:k]


def _run(work: Callable[[int, int], object], batch: int, n: int, threads: int) -> bool:
    """Call ``work(first, last)`` on ranges of matrices; return whether any call returned true."""
    size = 1 + WORK_PER_BLOCK // n**3
    found: list[object] = []

    def work_on_blocks(first: int, last: int) -> None:
        if work(first * size, min(last * size, batch)):
            found.append(True)

    run_blocks(work_on_blocks, -(-batch // size), threads, BLOCKS_AT_ONCE)
    return bool(found)


def _plain(stack: Real) -> Real:
    return readonly(np.ascontiguousarray(stack))


def small_solve(a: Real, b: Real, x: Real, threads: int) -> bool:
    """See `fastmml._kernels.Kernels.small_solve`."""
    inputs = _plain(a), _plain(b)
    return _run(
        lambda first, last: _solve_some(first, last, *inputs, x), len(x), x.shape[1], threads
    )


def small_inverse(a: Real, x: Real, threads: int) -> bool:
    """See `fastmml._kernels.Kernels.small_inverse`."""
    return small_solve(a, np.broadcast_to(np.eye(a.shape[1], dtype=a.dtype), a.shape), x, threads)


def small_det(a: Real, det: Real, threads: int) -> None:
    """See `fastmml._kernels.Kernels.small_det`."""
    left = _plain(a)
    _run(lambda first, last: _determine_some(first, last, left, det), len(a), a.shape[1], threads)


def small_eigh(a: Real, upper: bool, values: Real, vectors: Real, threads: int) -> bool:
    """See `fastmml._kernels.Kernels.small_eigh`."""
    symmetric = _plain(a)
    return _run(
        lambda first, last: _decompose_some(first, last, symmetric, upper, values, vectors),
        len(a),
        a.shape[1],
        threads,
    )


def small_qr(a: Real, q: Real | None, r: Real, threads: int) -> None:
    """See `fastmml._kernels.Kernels.small_qr`."""
    matrices, basis = _plain(a), r[:0] if q is None else q
    _run(
        lambda first, last: _factorise_some(first, last, matrices, basis, r),
        len(a),
        max(a.shape[1:]),
        threads,
    )


# What takes no preparation: a call of compiled code here takes longer than the checks.


def small_solve_plain(a: Any, b: Any) -> None:
    """See `fastmml._kernels.Kernels.small_solve_plain`."""


def small_inverse_plain(a: Any) -> None:
    """See `fastmml._kernels.Kernels.small_inverse_plain`."""


def small_det_plain(a: Any) -> None:
    """See `fastmml._kernels.Kernels.small_det_plain`."""


def small_eigh_plain(a: Any, upper: bool) -> None:
    """See `fastmml._kernels.Kernels.small_eigh_plain`."""
