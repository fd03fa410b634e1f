"""Edges of an R-MAT graph, the same ones as csrc/graph/rmat.c, where the method is explained."""

from __future__ import annotations

import numpy as np

from fastmml._kernels import U32
from fastmml._numba._jit import jit
from fastmml._threads import run_blocks

#: Edges of a block: 0.5 to 2 milliseconds.
EDGES_PER_BLOCK = 1 << 14
#: Blocks in one call: at most about 20 milliseconds.
BLOCKS_AT_ONCE = 8

# Unsigned constants throughout: numba turns a sum of signed and unsigned numbers into a float.
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
FIRST_FACTOR = np.uint64(0xBF58476D1CE4E5B9)
SECOND_FACTOR = np.uint64(0x94D049BB133111EB)
ONE, HALF_WORD = np.uint64(1), np.uint64(32)
SHIFT_27, SHIFT_30, SHIFT_31 = np.uint64(27), np.uint64(30), np.uint64(31)
#: Thresholds on the upper 32 bits of a random number: 0.57, 0.19, 0.19 (and 0.05).
BELOW_A, BELOW_AB, BELOW_ABC = np.uint64(2448131358), np.uint64(3264175144), np.uint64(4080218931)
WORD = (1 << 64) - 1


@jit
def _mix(z: np.uint64) -> np.uint64:
    z = (z ^ (z >> SHIFT_30)) * FIRST_FACTOR
    z = (z ^ (z >> SHIFT_27)) * SECOND_FACTOR
    return z ^ (z >> SHIFT_31)


@jit
def _scramble(node: np.uint64, scale: int, key: np.uint64) -> np.uint64:
    """Multiplying by an odd number and folding high bits into low ones are both invertible."""
    mask = (ONE << np.uint64(scale)) - ONE
    fold = np.uint64(max(scale // 2, 1))
    for _ in range(3):
        key = _mix(key + GOLDEN)
        node = (node * (key | ONE) + (key >> HALF_WORD)) & mask
        node ^= node >> fold
    return node


@jit
def _make_blocks(
    first_block: int,
    last_block: int,
    scale: int,
    seed: np.uint64,
    first: int,
    src: U32,
    dst: U32,
) -> None:
    seed_key = _mix(seed + GOLDEN)
    for i in range(first_block * EDGES_PER_BLOCK, min(len(src), last_block * EDGES_PER_BLOCK)):
        row = column = np.uint64(0)
        key = _mix(seed_key + np.uint64(first + i) * GOLDEN)
        for _ in range(scale):
            key += GOLDEN
            draw = _mix(key) >> HALF_WORD
            down = draw >= BELOW_AB
            right = (draw >= BELOW_A and not down) or draw >= BELOW_ABC
            row = (row << ONE) | np.uint64(down)
            column = (column << ONE) | np.uint64(right)
        src[i] = _scramble(row, scale, seed_key)
        dst[i] = _scramble(column, scale, seed_key)


def rmat_edges(scale: int, seed: int, first: int, src: U32, dst: U32, threads: int) -> None:
    """See `fastmml._kernels.Kernels.rmat_edges`."""
    number = np.uint64(seed & WORD)
    run_blocks(
        lambda start, end: _make_blocks(start, end, scale, number, first, src, dst),
        -(-len(src) // EDGES_PER_BLOCK),
        threads,
        BLOCKS_AT_ONCE,
    )
