"""What cases are made of: the same numbers everywhere."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fastmml import Graph
from fastmml._kernels import TILE_EDGES

Call = Callable[[], object]

#: Two tiles of edges, and so few nodes that rows are long enough to show in the counts.
NODES, EDGES = 1 << 12, TILE_EDGES + 5000
SHIFT = 9
BUCKETS, TILES = NODES >> SHIFT, 2
THREADS = 1


def scrambled(count: int, salt: int) -> NDArray[np.uint64]:
    """Numbers that look random and are the same everywhere and in every version of NumPy."""
    x = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15 + 2 * salt)
    x ^= x >> np.uint64(29)
    return x * np.uint64(0xBF58476D1CE4E5B9) >> np.uint64(32)


def node_ids(salt: int) -> NDArray[np.uint32]:
    """Ids of `EDGES` nodes, low ones more often, as in a web graph."""
    uniform = scrambled(EDGES, salt) % np.uint64(NODES)
    return (uniform * uniform // np.uint64(NODES)).astype(np.uint32)


def reals(shape: tuple[int, ...], salt: int) -> NDArray[np.float64]:
    """Numbers between 0 and 1."""
    return (scrambled(int(np.prod(shape)), salt) / 2**32).reshape(shape)


def offsets(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sums of the counts before each place, and of all."""
    return np.concatenate([[0], np.cumsum(counts)])


def in_rows() -> tuple[NDArray[np.int64], NDArray[np.uint32]]:
    """Offsets and sources of the links into each node."""
    src, dst = node_ids(1), node_ids(2)
    return offsets(np.bincount(dst, minlength=NODES)), src[np.lexsort((src, dst))]


def in_graph() -> Graph:
    """The same links as a graph."""
    return Graph(node_ids(1), node_ids(2), num_nodes=NODES)
