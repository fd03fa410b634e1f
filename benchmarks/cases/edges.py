"""Edges on their way to rows of links."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.cases.inputs import (
    BUCKETS,
    EDGES,
    NODES,
    SHIFT,
    THREADS,
    TILES,
    Call,
    in_rows,
    node_ids,
    offsets,
    reals,
)
from fastmml._kernels import TILE_EDGES, Kernels


def bucket_counts(dst: NDArray[np.uint32]) -> NDArray[np.int64]:
    """What the kernel of almost this name computes."""
    tiles = np.arange(EDGES) // TILE_EDGES
    cells = np.bincount(tiles * BUCKETS + (dst >> SHIFT), minlength=TILES * BUCKETS)
    return cells.reshape(TILES, BUCKETS)


def bucket_count(kernels: Kernels) -> Call:
    """Count edges by bucket."""
    dst, counts = node_ids(2), np.zeros((TILES, BUCKETS), np.int64)
    return lambda: kernels.bucket_count(dst, SHIFT, counts, THREADS)


def bucket_scatter(kernels: Kernels, weighted: bool = False) -> Call:
    """Move edges into buckets."""
    src, dst = node_ids(1), node_ids(2)
    by_bucket = offsets(bucket_counts(dst).T.ravel())[:-1]
    positions = np.ascontiguousarray(by_bucket.reshape(BUCKETS, TILES).T)
    weights = reals((EDGES,), 3) if weighted else None
    out_weights = np.empty(EDGES) if weighted else None
    out_src, out_local = np.empty(EDGES, np.uint32), np.empty(EDGES, np.uint16)
    return lambda: kernels.bucket_scatter(
        src, dst, weights, SHIFT, positions, out_src, out_local, out_weights, THREADS
    )


def bucket_sort(kernels: Kernels, weighted: bool = False) -> Call:
    """Sort the edges of each bucket."""
    src, dst = node_ids(1), node_ids(2)
    order = np.argsort(dst >> SHIFT, kind="stable")
    bounds = offsets(np.bincount(dst >> SHIFT, minlength=BUCKETS))
    local = (dst[order] & ((1 << SHIFT) - 1)).astype(np.uint16)
    weights = reals((EDGES,), 3) if weighted else None
    sources, indptr = src[order], np.empty(NODES + 1, np.int64)
    return lambda: kernels.bucket_sort(
        NODES, SHIFT, bounds, local, sources, weights, indptr, THREADS
    )


def out_strength(kernels: Kernels, weighted: bool = False) -> Call:
    """Sum the weights of links out of each node."""
    indices, strength = in_rows()[1], np.zeros(NODES)
    weights = reals((EDGES,), 3) if weighted else None
    return lambda: kernels.out_strength(indices, weights, strength, THREADS)


def mark_ids(kernels: Kernels) -> Call:
    """Mark the ids that occur."""
    ids, present = node_ids(1), np.zeros(NODES, np.uint8)
    return lambda: kernels.mark_ids(ids, present, THREADS)


def relabel(kernels: Kernels) -> Call:
    """Replace ids by their rank."""
    table, ids = np.arange(NODES, dtype=np.uint32)[::-1].copy(), node_ids(1)
    return lambda: kernels.relabel(table, ids, THREADS)


def rmat_edges(kernels: Kernels) -> Call:
    """Make edges of an R-MAT graph."""
    src, dst = np.empty(EDGES // 8, np.uint32), np.empty(EDGES // 8, np.uint32)
    return lambda: kernels.rmat_edges(16, 1, 0, src, dst, THREADS)
