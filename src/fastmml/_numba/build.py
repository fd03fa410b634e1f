"""Building a graph: edges sorted into rows, ids renumbered, strengths summed.

The reasoning stands in csrc/graph: bucket.c, ids.c and strength.c.
"""

from __future__ import annotations

import numpy as np

from fastmml._kernels import F64, I64, TILE_EDGES, U8, U16, U32
from fastmml._numba._jit import jit, readonly, readonly_or_none
from fastmml._threads import is_stopped, run_blocks

#: Ids of a block of `mark_ids` and `relabel`: about 100 microseconds.
IDS_PER_BLOCK = 1 << 16
#: Tiles, or blocks of ids, in one call: at most about 30 milliseconds.
BLOCKS_AT_ONCE = 32
#: Links that `out_strength` adds in one call: about 5 milliseconds.
LINKS_AT_ONCE = 1 << 20
#: Buckets are sorted by source 11 bits at a time: the 2048 places stay in cache.
DIGIT_BITS = 11
DIGITS = 1 << DIGIT_BITS


def _count_blocks(items: int, block: int) -> int:
    return -(-items // block)


# ---- counting and scattering ----


@jit
def _count_tiles(first: int, last: int, dst: U32, shift: int, counts: I64) -> None:
    for tile in range(first, last):
        mine = counts[tile]
        mine[:] = 0
        for target in dst[tile * TILE_EDGES : (tile + 1) * TILE_EDGES]:
            mine[target >> shift] += 1


def bucket_count(dst: U32, shift: int, counts: I64, threads: int) -> None:
    """See `fastmml._kernels.Kernels.bucket_count`."""
    targets = readonly(dst)
    run_blocks(
        lambda first, last: _count_tiles(first, last, targets, shift, counts),
        _count_blocks(len(dst), TILE_EDGES),
        threads,
        BLOCKS_AT_ONCE,
    )


@jit
def _scatter_tiles(
    first: int,
    last: int,
    src: U32,
    dst: U32,
    weights: F64 | None,
    shift: int,
    positions: I64,
    out_src: U32,
    out_local: U16,
    out_weights: F64 | None,
) -> None:
    mask = (1 << shift) - 1
    for tile in range(first, last):
        mine = positions[tile]
        for e in range(tile * TILE_EDGES, min(len(dst), (tile + 1) * TILE_EDGES)):
            bucket = dst[e] >> shift
            place = mine[bucket]
            mine[bucket] = place + 1
            out_src[place] = src[e]
            out_local[place] = dst[e] & mask
            if weights is not None and out_weights is not None:
                out_weights[place] = weights[e]


def bucket_scatter(
    src: U32,
    dst: U32,
    weights: F64 | None,
    shift: int,
    positions: I64,
    out_src: U32,
    out_local: U16,
    out_weights: F64 | None,
    threads: int,
) -> None:
    """See `fastmml._kernels.Kernels.bucket_scatter`."""
    inputs = readonly(src), readonly(dst), readonly_or_none(weights), shift

    def work(first: int, last: int) -> None:
        _scatter_tiles(first, last, *inputs, positions, out_src, out_local, out_weights)

    run_blocks(work, _count_blocks(len(dst), TILE_EDGES), threads, BLOCKS_AT_ONCE)


# ---- sorting within buckets ----


@jit
def _sources_ascend(src: U32) -> bool:
    e = 1
    while e < len(src) and src[e - 1] <= src[e]:
        e += 1
    return e >= len(src)


@jit
def _starts_from_counts(counts: I64) -> None:
    """Counts become the places where each key's run starts."""
    start = 0
    for key in range(len(counts)):
        count = counts[key]
        counts[key] = start
        start += count


@jit
def _sort_by_source_digit(
    low_bit: int,
    src: U32,
    local: U16,
    weights: F64 | None,
    out_src: U32,
    out_local: U16,
    out_weights: F64 | None,
) -> None:
    places = np.zeros(DIGITS, np.int64)
    for source in src:
        places[(source >> low_bit) & (DIGITS - 1)] += 1
    _starts_from_counts(places)
    for e in range(len(src)):
        digit = (src[e] >> low_bit) & (DIGITS - 1)
        place = places[digit]
        places[digit] = place + 1
        out_src[place] = src[e]
        out_local[place] = local[e]
        if weights is not None and out_weights is not None:
            out_weights[place] = weights[e]


@jit
def _sort_by_target(
    src: U32,
    local: U16,
    weights: F64 | None,
    out_src: U32,
    out_weights: F64 | None,
    places: I64,
) -> None:
    """Leave in ``places[v]`` where the row of local target v ends."""
    places[:] = 0
    for target in local:
        places[target] += 1
    _starts_from_counts(places)
    for e in range(len(src)):
        place = places[local[e]]
        places[local[e]] = place + 1
        out_src[place] = src[e]
        if weights is not None and out_weights is not None:
            out_weights[place] = weights[e]


@jit
def _copy_or_none(weights: F64 | None) -> F64 | None:
    if weights is None:
        return None
    return weights.copy()


@jit
def _sort_bucket(source_bits: int, local: U16, src: U32, weights: F64 | None, places: I64) -> None:
    """Sort by source unless sorted, then by target; both sorts are stable."""
    from_src, from_local, from_weights = src.copy(), local.copy(), _copy_or_none(weights)
    if not _sources_ascend(src):
        to_src, to_local = np.empty_like(src), np.empty_like(local)
        to_weights = _copy_or_none(weights)
        for low_bit in range(0, source_bits, DIGIT_BITS):
            _sort_by_source_digit(
                low_bit, from_src, from_local, from_weights, to_src, to_local, to_weights
            )
            from_src, to_src = to_src, from_src
            from_local, to_local = to_local, from_local
            from_weights, to_weights = to_weights, from_weights
    _sort_by_target(from_src, from_local, from_weights, src, weights, places)


@jit
def _sort_buckets(
    first: int,
    last: int,
    sources: int,
    shift: int,
    bounds: I64,
    local: U16,
    src: U32,
    weights: F64 | None,
    indptr: I64,
) -> None:
    n = len(indptr) - 1
    source_bits = 1
    while source_bits < 32 and (1 << source_bits) < sources:
        source_bits += 1
    for bucket in range(first, last):
        start, end = bounds[bucket], bounds[bucket + 1]
        ends = indptr[(bucket << shift) + 1 : min(n, (bucket + 1) << shift) + 1]
        bucket_weights = None if weights is None else weights[start:end]
        _sort_bucket(source_bits, local[start:end], src[start:end], bucket_weights, ends)
        ends += start


def bucket_sort(
    sources: int,
    shift: int,
    bounds: I64,
    local: U16,
    src: U32,
    weights: F64 | None,
    indptr: I64,
    threads: int,
) -> None:
    """See `fastmml._kernels.Kernels.bucket_sort`."""
    limits, targets = readonly(bounds), readonly(local)
    indptr[0] = 0
    run_blocks(
        lambda first, last: _sort_buckets(
            first, last, sources, shift, limits, targets, src, weights, indptr
        ),
        len(bounds) - 1,
        threads,
        1,
    )


# ---- strengths, repeated rows, ids ----


@jit
def _count_links(indices: U32, counts: I64) -> None:
    for source in indices:
        counts[source] += 1


@jit
def _add_weights(indices: U32, weights: F64, strength: F64, carry: F64) -> None:
    """Neumaier's compensated sum, one a node."""
    for link in range(len(indices)):
        source, weight = indices[link], weights[link]
        old = strength[source]
        total = old + weight
        if abs(old) >= abs(weight):
            carry[source] += (old - total) + weight
        else:
            carry[source] += (weight - total) + old
        strength[source] = total


def _count_all_links(sources: U32, strength: F64, threads: int) -> None:
    """Every thread counts a part of the links for itself, if they are more than what it keeps."""
    parts = max(1, min(threads, len(sources) // max(len(strength), LINKS_AT_ONCE)))
    shares = np.array_split(sources, parts)
    counts = np.zeros((parts, len(strength)), np.int64)

    def count(first: int, last: int) -> None:
        for part in range(first, last):
            for start in range(0, len(shares[part]), LINKS_AT_ONCE):
                if not is_stopped():
                    _count_links(shares[part][start : start + LINKS_AT_ONCE], counts[part])

    run_blocks(count, parts, threads, 1)
    np.sum(counts, axis=0, out=strength)


def out_strength(indices: U32, weights: F64 | None, strength: F64, threads: int) -> None:
    """See `fastmml._kernels.Kernels.out_strength`."""
    sources = readonly(indices)
    if weights is None:
        _count_all_links(sources, strength, threads)
        return
    strength[:] = 0.0
    factors, carry = readonly(weights), np.zeros_like(strength)
    for first in range(0, len(sources), LINKS_AT_ONCE):
        last = first + LINKS_AT_ONCE
        _add_weights(sources[first:last], factors[first:last], strength, carry)
    strength += carry


@jit
def _mark_blocks(first: int, last: int, ids: U32, present: U8) -> None:
    for i in range(first * IDS_PER_BLOCK, min(len(ids), last * IDS_PER_BLOCK)):
        present[ids[i]] = 1


def mark_ids(ids: U32, present: U8, threads: int) -> None:
    """See `fastmml._kernels.Kernels.mark_ids`."""
    found = readonly(ids)
    run_blocks(
        lambda first, last: _mark_blocks(first, last, found, present),
        _count_blocks(len(ids), IDS_PER_BLOCK),
        threads,
        BLOCKS_AT_ONCE,
    )


@jit
def _relabel_blocks(first: int, last: int, table: U32, ids: U32) -> None:
    for i in range(first * IDS_PER_BLOCK, min(len(ids), last * IDS_PER_BLOCK)):
        ids[i] = table[ids[i]]


def relabel(table: U32, ids: U32, threads: int) -> None:
    """See `fastmml._kernels.Kernels.relabel`."""
    numbers = readonly(table)
    run_blocks(
        lambda first, last: _relabel_blocks(first, last, numbers, ids),
        _count_blocks(len(ids), IDS_PER_BLOCK),
        threads,
        BLOCKS_AT_ONCE,
    )
