"""Products of large matrices by Winograd's form of Strassen's algorithm.

The steps, in two quarters of memory besides the result, are those of B. Boyer, J.-G. Dumas,
C. Pernet and W. Zhou, Memory efficient scheduling of Strassen-Winograd's matrix multiplication
algorithm, ISSAC 2009. The products at the end are those of `dense.matmul`, the sums NumPy's on
threads of ours, block by block while a block is in a cache.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fastmml._kernels import Real
from fastmml._numba.dense import matmul
from fastmml._threads import run_blocks

#: Numbers of a block of a sum, and blocks in one call.
BLOCK_NUMBERS, BLOCKS_AT_ONCE = 1 << 14, 64


class _Sum(NamedTuple):
    """``out = operation(x, y)``, number by number."""

    operation: Callable[..., Any]
    x: Real
    y: Real
    out: Real


def matmul_strassen(a: Real, b: Real, out: Real, halvings: int, threads: int) -> None:
    """See `fastmml._kernels.Kernels.matmul_strassen`."""
    m, k, n = (size >> halvings << halvings for size in (*a.shape, b.shape[1]))
    _multiply(a[:m, :k], b[:k, :n], out[:m, :n], halvings, threads)
    if k < a.shape[1]:
        rest = np.empty((m, n), out.dtype)
        matmul(a[:m, k:], b[k:, :n], rest, threads)
        _add_up([_Sum(np.add, out[:m, :n], rest, out[:m, :n])], threads)
    matmul(a[:m], b[:, n:], out[:m, n:], threads)
    matmul(a[m:], b, out[m:], threads)


def _multiply(a: Real, b: Real, out: Real, halvings: int, threads: int) -> None:
    """With the names of Boyer et al.: sums S, T of quarters of a, b; products P, their sums U."""
    if halvings == 0:
        matmul(a, b, out, threads)
        return
    a11, a12, a21, a22 = _quarters(a)
    b11, b12, b21, b22 = _quarters(b)
    c11, c12, c21, c22 = _quarters(out)
    memory = np.empty(max(a11.size, c11.size), out.dtype)
    s, t = _like(a11, memory), _like(b11, np.empty(b11.size, out.dtype))
    p1 = _like(c11, memory)
    add, subtract = np.add, np.subtract

    def product(left: Real, right: Real, result: Real) -> None:
        _multiply(left, right, result, halvings - 1, threads)

    _add_up([_Sum(subtract, a11, a21, s), _Sum(subtract, b22, b12, t)], threads)
    product(s, t, c21)  # P7 = S3 T3
    _add_up([_Sum(add, a21, a22, s), _Sum(subtract, b12, b11, t)], threads)
    product(s, t, c22)  # P5 = S1 T1
    _add_up([_Sum(subtract, s, a11, s), _Sum(subtract, b22, t, t)], threads)
    product(s, t, c12)  # P6 = S2 T2
    _add_up([_Sum(subtract, a12, s, s), _Sum(subtract, t, b21, t)], threads)
    product(s, b22, c11)  # P3 = S4 B22
    product(a11, b11, p1)
    _add_up(
        [
            _Sum(add, p1, c12, c12),  # U2 = P1 + P6
            _Sum(add, c12, c21, c21),  # U3 = U2 + P7
            _Sum(add, c12, c22, c12),  # U4 = U2 + P5
            _Sum(add, c21, c22, c22),  # U7 = U3 + P5
            _Sum(add, c12, c11, c12),  # U5 = U4 + P3
        ],
        threads,
    )
    product(a22, t, c11)  # P4 = A22 T4
    _add_up([_Sum(subtract, c21, c11, c21)], threads)  # U6 = U3 - P4
    product(a12, b21, c11)  # P2
    _add_up([_Sum(add, p1, c11, c11)], threads)  # U1 = P1 + P2


def _quarters(x: Real) -> tuple[Real, Real, Real, Real]:
    row, column = x.shape[0] // 2, x.shape[1] // 2
    return x[:row, :column], x[:row, column:], x[row:, :column], x[row:, column:]


def _like(x: Real, memory: Real) -> Real:
    """An array of the shape of x in this memory, by columns where x lies by columns."""
    flat = memory[: x.size]
    return flat.reshape(x.shape[::-1]).T if _is_by_columns(x) else flat.reshape(x.shape)


def _is_by_columns(x: Real) -> bool:
    return bool(x.strides[1] != x.itemsize)


def _add_up(sums: list[_Sum], threads: int) -> None:
    """Take the sums in turn, block by block: those of one shape may build on another."""
    turned = [
        _Sum(one.operation, *(x.T if _is_by_columns(one.out) else x for x in one[1:]))
        for one in sums
    ]
    blocks = max(one.out.size for one in sums) // BLOCK_NUMBERS + 1

    def work(first: int, last: int) -> None:
        with np.errstate(all="ignore"):
            for block in range(first, last):
                for operation, *arrays in turned:
                    rows = len(arrays[0])
                    part = slice(rows * block // blocks, rows * (block + 1) // blocks)
                    operation(arrays[0][part], arrays[1][part], out=arrays[2][part])

    run_blocks(work, blocks, threads, BLOCKS_AT_ONCE)
