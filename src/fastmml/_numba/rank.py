"""PageRank: the pass over the links, and the combinations of iterates that speed it up.

The formulas stand in `fastmml._kernels.Kernels`, the reasoning in csrc/kernels.
"""

from __future__ import annotations

import numpy as np

from fastmml._kernels import F64, I64, U32, Real
from fastmml._numba._blocks import sum_pairwise
from fastmml._numba._jit import jit, jit_reordered, readonly, readonly_or_none
from fastmml._threads import run_blocks

#: Links and rows of a block of `rank_pull`: 50 to 200 microseconds.
WORK_PER_BLOCK = 1 << 16
#: Columns of a block of `difference_gram` and `combine`: a few rows of them stay in cache.
COLUMNS_PER_BLOCK = 1 << 12
#: Blocks of either kind in one call: at most about 20 milliseconds.
BLOCKS_AT_ONCE = 64


@jit
def row_at(indptr: I64, work: int) -> int:
    """First row r with ``indptr[r] + r >= work``, or the number of rows."""
    low, high = 0, len(indptr) - 1
    while low < high:
        middle = (low + high) // 2
        if indptr[middle] + middle < work:
            low = middle + 1
        else:
            high = middle
    return low


@jit
def _term(indices: U32, weights: F64 | None, contribution: Real, link: int) -> float:
    if weights is None:
        return float(contribution[indices[link]])
    return float(weights[link] * contribution[indices[link]])


@jit
def sum_links(indices: U32, weights: F64 | None, contribution: Real, start: int, end: int) -> float:
    """Four sums run side by side, since one would wait for each addition."""
    s0 = s1 = s2 = s3 = 0.0
    link = start
    while link + 4 <= end:
        s0 += _term(indices, weights, contribution, link)
        s1 += _term(indices, weights, contribution, link + 1)
        s2 += _term(indices, weights, contribution, link + 2)
        s3 += _term(indices, weights, contribution, link + 3)
        link += 4
    while link < end:
        s0 += _term(indices, weights, contribution, link)
        link += 1
    return (s0 + s1) + (s2 + s3)


@jit
def _map_row(
    i: int,
    indptr: I64,
    indices: U32,
    weights: F64 | None,
    teleport: Real,
    jump: Real,
    damping: float,
    total: float,
    mass: float,
    contribution: Real,
) -> float:
    links = sum_links(indices, weights, contribution, indptr[i], indptr[i + 1])
    value = damping * (links + mass * jump[i if len(jump) > 1 else 0])
    return float(value + (1.0 - damping) * total * teleport[i if len(teleport) > 1 else 0])


@jit
def _pull_rows(
    start: int,
    end: int,
    indptr: I64,
    indices: U32,
    weights: F64 | None,
    inverse_strength: Real,
    teleport: Real,
    jump: Real,
    damping: float,
    total: float,
    mass: float,
    x: Real,
    contribution: Real,
    y: Real,
    next_contribution: Real,
) -> tuple[float, float]:
    moved = dangling = 0.0
    for i in range(start, end):
        y[i] = _map_row(
            i, indptr, indices, weights, teleport, jump, damping, total, mass, contribution
        )
        rounded = y[i]  # to the type of y: the other outputs describe what was stored
        moved += abs(rounded - x[i])
        if inverse_strength[i] == 0.0:
            dangling += rounded
        next_contribution[i] = rounded * inverse_strength[i]
    return moved, dangling


@jit
def _pull_blocks(
    first: int,
    last: int,
    indptr: I64,
    indices: U32,
    weights: F64 | None,
    inverse_strength: Real,
    teleport: Real,
    jump: Real,
    damping: float,
    total: float,
    mass: float,
    x: Real,
    contribution: Real,
    y: Real,
    next_contribution: Real,
    moved: F64,
    dangling: F64,
) -> None:
    for block in range(first, last):
        moved[block], dangling[block] = _pull_rows(
            row_at(indptr, block * WORK_PER_BLOCK),
            row_at(indptr, (block + 1) * WORK_PER_BLOCK),
            indptr,
            indices,
            weights,
            inverse_strength,
            teleport,
            jump,
            damping,
            total,
            mass,
            x,
            contribution,
            y,
            next_contribution,
        )


def rank_pull(
    indptr: I64,
    indices: U32,
    weights: F64 | None,
    inverse_strength: Real,
    teleport: Real,
    jump: Real,
    damping: float,
    total: float,
    mass: float,
    x: Real,
    contribution: Real,
    y: Real,
    next_contribution: Real,
    threads: int,
) -> tuple[float, float]:
    """See `fastmml._kernels.Kernels.rank_pull`."""
    blocks = (int(indptr[-1]) + len(y)) // WORK_PER_BLOCK + 1
    moved, dangling = np.empty(blocks), np.empty(blocks)
    inputs = (
        readonly(indptr),
        readonly(indices),
        readonly_or_none(weights),
        readonly(inverse_strength),
        readonly(teleport),
        readonly(jump),
        float(damping),
        float(total),
        float(mass),
        readonly(x),
        readonly(contribution),
    )

    def work(first: int, last: int) -> None:
        _pull_blocks(first, last, *inputs, y, next_contribution, moved, dangling)

    run_blocks(work, blocks, threads, BLOCKS_AT_ONCE)
    return sum_pairwise(moved), sum_pairwise(dangling)


def rank_pull_columns(
    indptr: I64,
    indices: U32,
    weights: F64 | None,
    inverse_strength: F64,
    teleport: F64,
    jump: F64,
    damping: float,
    total: F64,
    mass: F64,
    x: F64,
    contribution: F64,
    y: F64,
    next_contribution: F64,
    threads: int,
) -> tuple[F64, F64]:
    """See `fastmml._kernels.Kernels.rank_pull_columns`: one by one, which is not slower here."""
    change, dangling = np.empty(y.shape[1]), np.empty(y.shape[1])
    image, shares = np.empty(len(y)), np.empty(len(y))
    for i in range(y.shape[1]):
        change[i], dangling[i] = rank_pull(
            indptr, indices, weights, inverse_strength, teleport[:, i].copy(), jump[:, i].copy(),
            damping, total[i], mass[i], x[:, i].copy(), contribution[:, i].copy(), image, shares,
            threads,
        )  # fmt: skip
        y[:, i], next_contribution[:, i] = image, shares
    return change, dangling


@jit
def _image_blocks(
    first: int,
    last: int,
    indptr: I64,
    indices: U32,
    weights: F64 | None,
    teleport: F64,
    jump: F64,
    damping: float,
    total: float,
    mass: float,
    roundings: float,
    x: F64,
    contribution: F64,
    y: F64,
    moved: F64,
    rounded: F64,
) -> None:
    for block in range(first, last):
        moved[block] = rounded[block] = 0.0
        start = row_at(indptr, block * WORK_PER_BLOCK)
        for i in range(start, row_at(indptr, (block + 1) * WORK_PER_BLOCK)):
            value = _map_row(
                i, indptr, indices, weights, teleport, jump, damping, total, mass, contribution
            )
            rank = value / total
            y[i] = 0.0 if rank < 0.0 else rank  # NaN stays
            moved[block] += abs(value - x[i])
            rounded[block] += (indptr[i + 1] - indptr[i] + roundings) * y[i]


def rank_image(
    indptr: I64,
    indices: U32,
    weights: F64 | None,
    teleport: F64,
    jump: F64,
    damping: float,
    total: float,
    mass: float,
    roundings: float,
    x: F64,
    contribution: F64,
    y: F64,
    threads: int,
) -> tuple[float, float]:
    """See `fastmml._kernels.Kernels.rank_image`."""
    blocks = (int(indptr[-1]) + len(y)) // WORK_PER_BLOCK + 1
    moved, rounded = np.empty(blocks), np.empty(blocks)
    inputs = (
        readonly(indptr),
        readonly(indices),
        readonly_or_none(weights),
        readonly(teleport),
        readonly(jump),
        float(damping),
        float(total),
        float(mass),
        float(roundings),
        readonly(x),
        readonly(contribution),
    )

    def work(first: int, last: int) -> None:
        _image_blocks(first, last, *inputs, y, moved, rounded)

    run_blocks(work, blocks, threads, BLOCKS_AT_ONCE)
    return sum_pairwise(moved), sum_pairwise(rounded)


def rank_image_columns(
    indptr: I64,
    indices: U32,
    weights: F64 | None,
    teleport: F64,
    jump: F64,
    damping: float,
    total: F64,
    mass: F64,
    roundings: float,
    x: F64,
    contribution: F64,
    y: F64,
    threads: int,
) -> tuple[F64, F64]:
    """See `fastmml._kernels.Kernels.rank_image_columns`: one by one, which is not slower here."""
    change, rounded = np.empty(y.shape[1]), np.empty(y.shape[1])
    image = np.empty(len(y))
    for i in range(y.shape[1]):
        change[i], rounded[i] = rank_image(
            indptr, indices, weights, teleport[:, i].copy(), jump[:, i].copy(), damping, total[i],
            mass[i], roundings, x[:, i].copy(), contribution[:, i].copy(), image, threads,
        )  # fmt: skip
        y[:, i] = image
    return change, rounded


@jit
def _subtract(a: Real, b: Real, out: F64) -> None:
    for i in range(len(a)):
        out[i] = a[i] - b[i]


@jit_reordered
def _inner_product(a: F64, b: F64) -> float:
    total = 0.0
    for i in range(len(a)):
        total += a[i] * b[i]
    return total


@jit
def _gram_blocks(first: int, last: int, x: Real, parts: F64) -> None:
    """Fill ``parts[i, j, block]`` for j <= i."""
    count = len(x) - 1
    differences = np.empty((count, COLUMNS_PER_BLOCK))
    for block in range(first, last):
        start = block * COLUMNS_PER_BLOCK
        end = min(start + COLUMNS_PER_BLOCK, x.shape[1])
        for i in range(count):
            _subtract(x[i + 1, start:end], x[i, start:end], differences[i])
            for j in range(i + 1):
                parts[i, j, block] = _inner_product(
                    differences[i, : end - start], differences[j, : end - start]
                )


def difference_gram(x: Real, threads: int) -> F64:
    """See `fastmml._kernels.Kernels.difference_gram`."""
    count = len(x) - 1
    blocks = -(-x.shape[1] // COLUMNS_PER_BLOCK)
    parts = np.empty((count, count, blocks))
    rows = readonly(x)
    run_blocks(
        lambda first, last: _gram_blocks(first, last, rows, parts),
        blocks,
        threads,
        BLOCKS_AT_ONCE,
    )
    gram = np.empty((count, count))
    for i in range(count):
        for j in range(i + 1):
            gram[i, j] = gram[j, i] = sum_pairwise(parts[i, j])
    return gram


@jit_reordered
def _sum(values: Real) -> float:
    total = 0.0
    for i in range(len(values)):
        total += values[i]
    return total


@jit
def _combine_blocks(first: int, last: int, coefficients: F64, x: Real, y: Real, sums: F64) -> None:
    for block in range(first, last):
        start = block * COLUMNS_PER_BLOCK
        columns = min(COLUMNS_PER_BLOCK, len(y) - start)
        out = np.zeros(columns)
        for k in range(len(coefficients)):
            row = x[k, start : start + columns]
            for c in range(columns):
                out[c] += coefficients[k] * row[c]
        for c in range(columns):
            out[c] = 0.0 if out[c] < 0.0 else out[c]  # NaN stays
            y[start + c] = out[c]
        sums[block] = _sum(y[start : start + columns])


def combine(coefficients: F64, x: Real, y: Real, threads: int) -> float:
    """See `fastmml._kernels.Kernels.combine`."""
    blocks = -(-len(y) // COLUMNS_PER_BLOCK)
    sums = np.empty(blocks)
    factors, rows = readonly(coefficients), readonly(x)
    run_blocks(
        lambda first, last: _combine_blocks(first, last, factors, rows, y, sums),
        blocks,
        threads,
        BLOCKS_AT_ONCE,
    )
    return sum_pairwise(sums)
