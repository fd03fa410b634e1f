"""Edges in any order to compressed rows of in-links, in little more memory than the result.

Edges come as chunks of 32-bit ids. They are sorted in two steps (csrc/graph/bucket.c): scattered
into buckets of neighbouring targets, each chunk dropped as soon as it is scattered, then sorted
within each bucket.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastmml import _memory
from fastmml._backend import kernels
from fastmml._kernels import F64, I64, TILE_EDGES, U32

#: Edges that a bucket should hold: source, target and scratch then fit in a 1 MiB cache.
_BUCKET_EDGES = 1 << 16
#: More buckets than this and the scatter's open lines outgrow the first-level cache.
_MAX_BUCKETS = 1 << 10
#: Bits of a target within its bucket that a kernel can keep.
_MAX_SHIFT = 16
#: Edges of a chunk cut from whole arrays.
_CHUNK_EDGES = 1 << 22


class EdgeChunk(NamedTuple):
    """Some edges: parallel arrays of source, target and, for all chunks or none, weight."""

    src: NDArray[Any]
    dst: NDArray[Any]
    weights: F64 | None = None

    @property
    def edge_bytes(self) -> int:
        """Bytes that an edge takes."""
        return sum(array.itemsize for array in self if array is not None)


class Rows(NamedTuple):
    """Compressed rows of in-links: row i lists the sources of the links into node i."""

    indptr: I64
    indices: U32
    weights: F64 | None


def chunks_from_arrays(
    src: NDArray[Any], dst: NDArray[Any], weights: F64 | None
) -> list[EdgeChunk]:
    """Cut whole (validated) arrays into chunks, without a copy where they are of 32 bits."""
    cuts = [slice(i, i + _CHUNK_EDGES) for i in range(0, len(src), _CHUNK_EDGES)]
    return [
        EdgeChunk(
            np.ascontiguousarray(src[cut], np.uint32),
            np.ascontiguousarray(dst[cut], np.uint32),
            None if weights is None else weights[cut],
        )
        for cut in cuts
    ]


def chunks_from_rows(indptr: I64, indices: U32) -> list[EdgeChunk]:
    """Cut rows of out-links into chunks of edges; the targets are not copied."""
    return [
        EdgeChunk(
            _sources(indptr, start, min(start + _CHUNK_EDGES, len(indices))),
            indices[start : start + _CHUNK_EDGES],
        )
        for start in range(0, len(indices), _CHUNK_EDGES)
    ]


def _sources(indptr: I64, start: int, end: int) -> U32:
    """Row of each of the links from start to before end."""
    first = int(np.searchsorted(indptr, start, side="right")) - 1
    last = int(np.searchsorted(indptr, end, side="left"))
    lengths = np.diff(indptr[first : last + 1].clip(start, end))
    return np.repeat(np.arange(first, last, dtype=np.uint32), lengths)


def build_rows(
    num_nodes: int, chunks: list[EdgeChunk], threads: int, num_sources: int | None = None
) -> Rows:
    """Sort edges into rows; ``chunks`` is emptied on the way.

    There are num_nodes targets and, where these are a part of the nodes, more sources.
    """
    edges = sum(len(chunk.src) for chunk in chunks)
    weighted = bool(chunks) and chunks[0].weights is not None
    shift = bucket_shift(num_nodes, edges)
    positions, bounds = place_tiles(num_nodes, chunks, shift, threads)
    indices = _memory.empty(edges, np.uint32)
    local = _memory.empty(edges, np.uint16)
    weights = _memory.empty(edges, np.float64) if weighted else None
    chunks.reverse()
    tile = 0
    while chunks:
        chunk = chunks.pop()
        tiles = _tile_count(chunk)
        kernels().bucket_scatter(
            *chunk, shift, positions[tile : tile + tiles], indices, local, weights, threads
        )
        tile += tiles
        del chunk  # its memory goes before the next one fills more of the result
    indptr = np.empty(num_nodes + 1, np.int64)
    sources = num_nodes if num_sources is None else num_sources
    kernels().bucket_sort(sources, shift, bounds, local, indices, weights, indptr, threads)
    return Rows(indptr, indices, weights)


def bucket_shift(num_nodes: int, edges: int) -> int:
    """Choose how many bits of a target stay within its bucket."""
    buckets = min(max(edges // _BUCKET_EDGES, 1), _MAX_BUCKETS)
    node_bits = max(num_nodes - 1, 0).bit_length()
    return min(max(node_bits - (buckets - 1).bit_length(), 0), _MAX_SHIFT)


def _tile_count(chunk: EdgeChunk) -> int:
    return -(-len(chunk.src) // TILE_EDGES)


def place_tiles(
    num_nodes: int, chunks: list[EdgeChunk], shift: int, threads: int
) -> tuple[I64, I64]:
    """Say where each tile writes in each bucket, and where each bucket begins."""
    buckets = -(-num_nodes >> shift) if num_nodes else 0
    tiles = [_tile_count(chunk) for chunk in chunks]
    counts = np.empty((sum(tiles), buckets), np.int64)
    first = 0
    for chunk, count in zip(chunks, tiles, strict=True):
        kernels().bucket_count(chunk.dst, shift, counts[first : first + count], threads)
        first += count
    bounds = np.zeros(buckets + 1, np.int64)
    np.cumsum(counts.sum(axis=0), out=bounds[1:])
    positions = np.cumsum(counts, axis=0)
    positions -= counts
    positions += bounds[:-1]
    return positions, bounds
