"""``csrc/dense/residual_products.c`` for numba: sums of two numbers each, row by row."""

from __future__ import annotations

import numpy as np

from fastmml._kernels import F64
from fastmml._numba._jit import jit, readonly, readonly_or_none
from fastmml._threads import run_blocks

#: Work of a group of rows, at least, in numbers of x times columns of y; and groups, at most.
GROUP_WORK, MOST_GROUPS = 1 << 17, 32


@jit
def _add(sum_: F64, high: float, low: float) -> None:
    """Add ``high + low`` (D. E. Knuth's two-sum)."""
    total = sum_[0] + high
    part = total - sum_[0]
    sum_[1] += ((sum_[0] - (total - part)) + (high - part)) + low
    sum_[0] = total


@jit
def _add_product(sum_: F64, a: float, b: float, low: float) -> None:
    """Add ``a * b + low``; the product's error by halves of the factors (T. J. Dekker)."""
    product = a * b
    a_cut, b_cut = a * 134217729.0, b * 134217729.0
    a_high, b_high = a_cut - (a_cut - a), b_cut - (b_cut - b)
    a_low, b_low = a - a_high, b - b_high
    lost = ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low
    _add(sum_, product, lost + low)


@jit
def _sum_rows(
    x: F64,
    y: F64,
    coef: F64,
    constant: F64,
    unit: F64,
    scale: F64 | None,
    products: F64,
    squares: F64,
) -> None:
    """Add the products of rows with their residuals, and the squares of these."""
    rest, weighted = np.empty(2), np.empty(2)
    for i in range(len(x)):
        weight = 1.0 if scale is None else scale[i] * scale[i]
        if weight == 0:
            continue
        for c in range(len(coef)):
            rest[0], rest[1] = y[i, c] * unit[c], -constant[1, c]
            _add(rest, -constant[0, c], 0.0)
            for j in range(x.shape[1]):
                _add_product(rest, x[i, j], -coef[c, j], 0.0)
            total = rest[0] + rest[1]
            below = rest[1] - (total - rest[0])
            weighted[:] = 0
            _add_product(weighted, total, weight, below * weight)
            for j in range(x.shape[1]):
                _add_product(products[c, j], x[i, j], weighted[0], x[i, j] * weighted[1])
            _add(products[c, -1], weighted[0], weighted[1])
            squares[c] += weighted[0] * total


@jit
def _add_groups(groups: F64, out: F64) -> None:
    for group in range(len(groups)):
        for i in range(len(out)):
            _add(out[i], groups[group, i, 0], groups[group, i, 1])


def residual_products(
    x: F64,
    y: F64,
    coef: F64,
    constant: F64,
    unit: F64,
    scale: F64 | None,
    products: F64,
    squares: F64,
    threads: int,
) -> None:
    """See `fastmml._kernels.Kernels.residual_products`."""
    (m, n), p = x.shape, y.shape[1]
    rows = max(-(-GROUP_WORK // (n * p)), -(-m // MOST_GROUPS))
    groups = -(-m // rows)
    sums, parts = np.zeros((groups, p, n + 1, 2)), np.zeros((groups, p))
    model = readonly(coef), readonly(constant), readonly(unit)
    left, right, roots = readonly(x), readonly(y), readonly_or_none(scale)

    def add_groups(first: int, last: int) -> None:
        for group in range(first, last):
            some = slice(group * rows, (group + 1) * rows)
            own = None if roots is None else roots[some]
            _sum_rows(left[some], right[some], *model, own, sums[group], parts[group])

    run_blocks(add_groups, groups, threads, 1)
    total = np.zeros((p * (n + 1), 2))
    _add_groups(sums.reshape(groups, -1, 2), total)
    products[...] = total.T.reshape(products.shape)
    squares[...] = parts.sum(axis=0)
