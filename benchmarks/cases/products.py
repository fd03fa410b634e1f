"""Matrix products."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.cases.inputs import NODES, THREADS, Call, reals, scrambled
from fastmml._kernels import Kernels


def matmul(
    kernels: Kernels, m: int, k: int, n: int, count: int = 1, dtype: str = "d", turned: bool = False
) -> Call:
    """Products of matrices."""
    a, b = reals((count, m, k), 10).astype(dtype), reals((count, k, n), 11).astype(dtype)
    if turned:
        b = np.ascontiguousarray(b.swapaxes(1, 2)).swapaxes(1, 2)
    out = np.empty((count, m, n), dtype)
    return lambda: kernels.matmul(a, b, out, THREADS)


def matmul_strassen(kernels: Kernels) -> Call:
    """A product that is cut into quarters twice, of sides that are not halved evenly."""
    a, b, out = reals((90, 101), 18), reals((101, 110), 19), np.empty((90, 110))
    return lambda: kernels.matmul_strassen(a, b, out, 2, THREADS)


def short_numbers(shape: tuple[int, int], salt: int) -> NDArray[np.int8]:
    """All numbers of 8 bits."""
    return scrambled(shape[0] * shape[1], salt).astype(np.int8).reshape(shape)


def matmul_short(kernels: Kernels, turned: bool = False) -> Call:
    """A product of numbers of 8 bits with sums of 32."""
    a, b = short_numbers((100, 90), 20), short_numbers((90, 80), 21)
    if turned:
        a, b = np.asfortranarray(a), np.asfortranarray(b)
    out = np.empty((100, 80), np.uint32)
    return lambda: kernels.matmul_short(a, b, out, THREADS)


def matmul_short_plain(kernels: Kernels) -> Call:
    """The same, whose checks take longer than one of 8 x 8."""
    a, b = short_numbers((8, 8), 24), short_numbers((8, 8), 25)
    return lambda: kernels.matmul_short_plain(a, b, "int32")


def matmul_bool(kernels: Kernels) -> Call:
    """A product of bools of which one in 16 is true."""
    a, b = short_numbers((300, 200), 22) < -112, short_numbers((200, 400), 23) < -112
    out = np.empty((300, 400), bool)
    return lambda: kernels.matmul_bool(a, b, out, THREADS)


def matmul_plain(kernels: Kernels) -> Call:
    """A product whose checks take longer."""
    a, b = reals((4, 4), 12), reals((4, 4), 13)
    return lambda: kernels.matmul_plain(a, b, None)


def gram(kernels: Kernels) -> Call:
    """A product of a matrix with itself."""
    x, out = reals((300, 100), 14), np.empty((100, 100))
    return lambda: kernels.gram(x, out, THREADS)


def gram_plain(kernels: Kernels) -> Call:
    """A Gram matrix whose checks take longer."""
    x = reals((8, 4), 15)
    return lambda: kernels.gram_plain(x)


def sparse_times(kernels: Kernels, dtype: str) -> Call:
    """Sparse rows times a tile of columns, and one more."""
    indptr = np.arange(0, 20 * NODES + 1, 20)
    indices = (scrambled(20 * NODES, 8) % NODES).astype(np.uint32)
    values, b = reals((20 * NODES,), 9).astype(dtype), reals((NODES, 9), 10)
    shift, out = reals((9,), 11), np.empty((NODES, 9))
    return lambda: kernels.sparse_times(indptr, indices, values, b, shift, out, THREADS)


def sparse_gram_times(kernels: Kernels, dtype: str) -> Call:
    """Sparse rows and their transpose times two tiles of rows, the second not full."""
    indptr = np.arange(0, 20 * NODES + 1, 20)
    indices = (scrambled(20 * NODES, 8) % NODES).astype(np.uint32)
    values, b = reals((20 * NODES,), 9).astype(dtype), reals((9, NODES), 10).astype(dtype)
    along, out = reals((NODES,), 11), np.empty((9, NODES), dtype)
    return lambda: kernels.sparse_gram_times(
        indptr, indices, values, b, None, along, 4, out, THREADS
    )


def solve_right(kernels: Kernels) -> Call:
    """Many rows against a small triangle."""
    a, u = reals((2000, 12), 16), np.triu(reals((12, 12), 17)) + 9 * np.eye(12)
    out = np.empty_like(a)
    return lambda: kernels.solve_right(a, u, out, THREADS)


def solved_gram(kernels: Kernels) -> Call:
    """The Gram matrix of many rows against small triangles."""
    a, u = reals((2000, 12), 16), np.triu(reals((2, 12, 12), 17)) + 9 * np.eye(12)
    out = np.empty((12, 12))
    return lambda: kernels.solved_gram(a, None, u, out, THREADS)


def gram_times(kernels: Kernels, dtype: str) -> Call:
    """Some groups of rows times a panel and a part of one."""
    x, b = reals((250, 700), 33).astype(dtype), reals((11, 700), 34).astype(dtype)
    offset, y, out = np.ones(11, dtype), np.empty((250, 11), dtype), np.empty((11, 700), dtype)
    return lambda: kernels.gram_times(x, b, offset, y, out, THREADS)


def residual_products(kernels: Kernels) -> Call:
    """Residuals of one target, times the rows."""
    x, y, coef = reals((5000, 12), 35), reals((5000, 1), 36), reals((1, 12), 37)
    constant, unit = np.zeros((2, 1)), np.ones(1)
    products, squares = np.empty((2, 1, 13)), np.empty(1)
    return lambda: kernels.residual_products(
        x, y, coef, constant, unit, None, products, squares, THREADS
    )


def centred_gram(kernels: Kernels, weighted: bool = False, is_wide: bool = False) -> Call:
    """Products of the deviations of two arrays."""
    k, n = (300, 260) if is_wide else (5000, 12)
    x, y, shift = reals((k, n), 18), reals((k, 1), 19), reals((n + 1,), 20)
    scale = reals((k,), 21) if weighted else None
    return lambda: kernels.centred_gram(x, y, shift, scale, THREADS)
