"""Orders of nodes, and rows in another order.

What they are for stands in `fastmml._kernels.Kernels`, the reasoning in csrc/graph.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastmml._kernels import (
    ACYCLIC,
    CYCLIC,
    F64,
    I64,
    INDEPENDENT,
    PLAN_PADDING,
    U8,
    U32,
    RankPlan,
)
from fastmml._numba._jit import jit, readonly, readonly_or_none, signed
from fastmml._threads import run_blocks

#: The visit number of a node whose component is out has this bit, and its level.
_PLACED = 1 << 31
#: The visit number of a sink: placed, and of the level before the first.
_SINK = 2**32 - 1
#: Nodes of a level that are not worth a turn of their own.
_THIN = 64
#: Nodes that the search for components ends before it lets Ctrl-C through: some 10 milliseconds.
_NODES_AT_ONCE = 1 << 16
#: Rows of a tile, and tiles in one call: at most about 20 milliseconds.
_TILE_ROWS = 1 << 10
_TILES_AT_ONCE = 64
#: Powers of two of a degree, links that a turn of the loop over a row takes, turns that are told
#: apart; keys of nodes with links both ways, and without links out.
_POWERS, _TURN, _TURNS = 32, 4, 32
_LINKED = 1
_SINKS = _LINKED + _POWERS * _TURNS
#: Nodes that are sorted by degree in one call: some 10 milliseconds.
_SORTED_NODES = 1 << 21

# Slots of the search's counters, and columns of its components.
_ROOT, _VISITS, _DEPTH, _WAITING, _FRONT, _COMPONENTS, _ENDED = range(7)
_LEVEL, _START, _SIZE = range(3)


@jit
def _place_component(
    root: int, level: int, visit: U32, waiting: U32, counters: I64, placed: U32, components: I64
) -> None:
    first = counters[_WAITING]
    while first > 0 and visit[waiting[first - 1]] > visit[root]:
        first -= 1
    size = counters[_WAITING] - first + 1
    if size > 1:
        found = components[counters[_COMPONENTS]]
        found[_LEVEL], found[_START], found[_SIZE] = level, counters[_FRONT], size
        counters[_COMPONENTS] += 1
    waiting[counters[_WAITING]] = root
    for i in range(first, first + size):
        visit[waiting[i]] = _PLACED + level
        placed[counters[_FRONT]] = waiting[i]
        counters[_FRONT] += 1
    counters[_WAITING] = first


@jit
def _descend(
    depth: int, end: int, indices: U32, visit: U32, low: U32, level: I64, link: I64
) -> int:
    """Follow the links of the node at this depth up to a new node; -1 when there is none left."""
    while link[depth] < end:
        source = signed(indices[link[depth]])
        link[depth] += 1
        if visit[source] == 0:
            return source
        low[depth] = min(low[depth], visit[source])
        if visit[source] >= _PLACED:
            level[depth] = max(level[depth], (signed(visit[source]) + 1) & (_PLACED - 1))
    return -1


@jit
def _search(
    ends: int,
    indptr: I64,
    indices: U32,
    visit: U32,
    path: U32,
    low: U32,
    level: I64,
    link: I64,
    waiting: U32,
    counters: I64,
    placed: U32,
    components: I64,
) -> bool:
    """Go on until so many nodes were ended; returns whether there are more."""
    until = counters[_ENDED] + ends
    while counters[_ENDED] < until:
        depth = counters[_DEPTH]
        if depth == 0:
            root = counters[_ROOT]
            while root < len(visit) and visit[root] != 0:
                root += 1
            counters[_ROOT] = root
            if root == len(visit):
                return False
            found = root
        else:
            node = signed(path[depth - 1])
            found = _descend(depth - 1, indptr[node + 1], indices, visit, low, level, link)
        if found >= 0:
            counters[_VISITS] += 1
            visit[found] = low[depth] = counters[_VISITS]
            path[depth] = found
            link[depth] = indptr[found]
            level[depth] = 0
            counters[_DEPTH] += 1
            continue
        counters[_DEPTH] = depth - 1
        counters[_ENDED] += 1
        needed = level[depth - 1]
        if low[depth - 1] == visit[node]:
            _place_component(node, needed, visit, waiting, counters, placed, components)
            needed += 1
        else:
            waiting[counters[_WAITING]] = node
            counters[_WAITING] += 1
            low[depth - 2] = min(low[depth - 2], low[depth - 1])
        if depth > 1:
            level[depth - 2] = max(level[depth - 2], needed)
    return True


@jit
def _put_levels(
    single: U32,
    ends: I64,
    components: I64,
    placed: U32,
    order: U32,
    segments: I64,
    kinds: U8,
    levels: I64,
) -> tuple[int, int]:
    """Put single nodes, which are sorted by level, and components; returns segments and levels.

    Single nodes of a level end at ``ends``. Thin levels in a row are one.
    """
    at = count = level_count = following = used = 0
    for level in range(len(ends)):
        last = following
        while last < len(components) and components[last, _LEVEL] == level:
            last += 1
        singles = ends[level] - used
        thin = last == following and singles < _THIN
        if not (thin and count > 0 and kinds[count - 1] == ACYCLIC):
            levels[level_count] = count
            level_count += 1
            if singles > 0:
                segments[count], kinds[count] = at, ACYCLIC if thin else INDEPENDENT
                count += 1
        order[at : at + singles] = single[used : ends[level]]
        at, used = at + singles, ends[level]
        for i in range(following, last):
            segments[count], kinds[count] = at, CYCLIC
            count += 1
            start, size = components[i, _START], components[i, _SIZE]
            order[at : at + size] = placed[start : start + size]
            at += size
        following = last
    return count, level_count


def component_order(
    indptr: I64, indices: U32, is_sink: U8, order: U32
) -> tuple[NDArray[np.int64], NDArray[np.uint8], NDArray[np.int64]]:
    """See `fastmml._kernels.Kernels.component_order`."""
    n = len(order)
    # Nobody depends on sinks: the search, for which they count as placed, leaves them out.
    visit = np.where(is_sink, np.uint32(_SINK), np.uint32(0))
    path, low, waiting, placed = (np.zeros(n + 1, np.uint32) for _ in range(4))
    level, link = np.empty(n + 1, np.int64), np.empty(n + 1, np.int64)
    components, counters = np.empty((n // 2 + 1, 3), np.int64), np.zeros(7, np.int64)
    rows, sources = readonly(indptr), readonly(indices)
    while _search(
        _NODES_AT_ONCE, rows, sources, visit, path, low, level, link, waiting, counters, placed,
        components,
    ):  # fmt: skip
        pass
    placed, components = placed[: counters[_FRONT]], components[: counters[_COMPONENTS]]
    return _assemble(n, visit, placed, components, is_sink, order)


def _assemble(
    n: int, visit: U32, placed: U32, components: I64, is_sink: U8, order: U32
) -> tuple[NDArray[np.int64], NDArray[np.uint8], NDArray[np.int64]]:
    """Sort what the search has found by level, the largest components of a level first."""
    change = np.zeros(len(placed) + 1, np.int64)
    change[components[:, _START]] = 1
    change[components[:, _START] + components[:, _SIZE]] -= 1
    single = placed[np.cumsum(change[:-1]) == 0]
    level_of = (visit & np.uint32(_PLACED - 1)).astype(np.int64)
    single = single[np.argsort(level_of[single], kind="stable")]
    count = int(level_of[placed].max(initial=-1)) + 1
    ends = np.cumsum(np.bincount(level_of[single], minlength=count))
    by_level = np.lexsort((components[:, _START], -components[:, _SIZE], components[:, _LEVEL]))
    segments, levels = np.empty(n + 3, np.int64), np.empty(n + 3, np.int64)
    kinds = np.empty(n + 2, np.uint8)
    count, level_count = _put_levels(
        single, ends, components[by_level], placed, order, segments, kinds, levels
    )
    if len(placed) < n:
        order[len(placed) :] = np.flatnonzero(is_sink)
        levels[level_count], segments[count], kinds[count] = count, len(placed), INDEPENDENT
        count, level_count = count + 1, level_count + 1
    segments[count], levels[level_count] = n, count
    return segments[: count + 1].copy(), kinds[:count].copy(), levels[: level_count + 1].copy()


@jit
def _degree_key(indptr: I64, out_degree: F64, is_sink: U8, node: int) -> int:
    links = int(indptr[node + 1] - indptr[node])
    by_turns = _TURNS - 1 - min(-(-links // _TURN), _TURNS - 1)
    if is_sink[node]:
        return _SINKS + by_turns
    if links == 0:
        return 0
    power = min(int(np.log2(max(out_degree[node], 1.0))), _POWERS - 1)
    return _LINKED + (_POWERS - 1 - power) * _TURNS + by_turns


@jit
def _count_keys(
    first: int, last: int, indptr: I64, out_degree: F64, is_sink: U8, places: I64
) -> None:
    for block in range(first, last):
        for node in range(block * _SORTED_NODES, min((block + 1) * _SORTED_NODES, len(is_sink))):
            places[_degree_key(indptr, out_degree, is_sink, node), block] += 1


@jit
def _place_nodes(
    first: int, last: int, indptr: I64, out_degree: F64, is_sink: U8, places: I64, order: U32
) -> None:
    for block in range(first, last):
        for node in range(block * _SORTED_NODES, min((block + 1) * _SORTED_NODES, len(is_sink))):
            key = _degree_key(indptr, out_degree, is_sink, node)
            order[places[key, block]] = node
            places[key, block] += 1


def degree_order(
    indptr: I64, out_degree: F64, is_sink: U8, order: U32, threads: int
) -> tuple[int, int]:
    """See `fastmml._kernels.Kernels.degree_order`."""
    inputs = readonly(indptr), readonly(out_degree), readonly(is_sink)
    blocks = -(-len(order) // _SORTED_NODES)
    counts = np.zeros((_SINKS + _TURNS, blocks), np.int64)
    run_blocks(lambda first, last: _count_keys(first, last, *inputs, counts), blocks, threads, 1)
    ends = np.cumsum(counts, dtype=np.int64).reshape(counts.shape)
    places = ends - counts
    run_blocks(
        lambda first, last: _place_nodes(first, last, *inputs, places, order), blocks, threads, 1
    )
    return int(counts[0].sum()), len(order) - int(counts[_SINKS:].sum())


@jit
def _permute_nodes(
    first: int,
    last: int,
    order: U32,
    indptr: I64,
    strength: F64,
    position: U32,
    degree: I64,
    inverse_strength: F64,
) -> None:
    for i in range(first * _TILE_ROWS, min(last * _TILE_ROWS, len(order))):
        node = signed(order[i])
        position[node] = i
        degree[i] = indptr[node + 1] - indptr[node]
        inverse_strength[i] = 1 / strength[node] if strength[node] > 0 else 0.0


def permute_nodes(
    order: U32,
    indptr: I64,
    strength: F64,
    position: U32,
    out_indptr: I64,
    inverse_strength: F64,
    threads: int,
) -> None:
    """See `fastmml._kernels.Kernels.permute_nodes`."""
    inputs = readonly(order), readonly(indptr), readonly(strength)
    out_indptr[0], degree = 0, out_indptr[1:]
    run_blocks(
        lambda first, last: _permute_nodes(
            first, last, *inputs, position, degree, inverse_strength
        ),
        -(-len(order) // _TILE_ROWS),
        threads,
        _TILES_AT_ONCE,
    )
    np.cumsum(degree, out=degree)


@jit
def _gather_values(
    start: int, end: int, order: U32, values: F64, first: int, count: int, out: F64
) -> None:
    for i in range(start, end):
        for k in range(out.shape[1]):
            out[i, k] = values[order[i], first + min(k, count - 1)]


def gather_values(order: U32, values: F64, first: int, count: int, out: F64, threads: int) -> None:
    """See `fastmml._kernels.Kernels.gather_values`."""
    inputs = readonly(order), readonly(values)
    run_blocks(
        lambda start, end: _gather_values(start, end, *inputs, first, count, out),
        len(order),
        threads,
        _TILES_AT_ONCE * _TILE_ROWS,
    )


@jit
def _scatter_values(
    start: int, end: int, order: U32, values: F64, out: F64, first: int, count: int
) -> None:
    for i in range(start, end):
        for k in range(count):
            out[order[i], first + k] = values[i, k]


def scatter_values(order: U32, values: F64, out: F64, first: int, count: int, threads: int) -> None:
    """See `fastmml._kernels.Kernels.scatter_values`."""
    inputs = readonly(order), readonly(values)
    run_blocks(
        lambda start, end: _scatter_values(start, end, *inputs, out, first, count),
        len(order),
        threads,
        _TILES_AT_ONCE * _TILE_ROWS,
    )


@jit
def _is_in_other_block(
    blocks: I64, first: int, last: int, block: int, waves: int, node: int
) -> bool:
    """Whether a node lies in another block of this one's wave; first .. last are the segment's."""
    other = first + (block - first) % waves
    while other < last:
        if other != block and blocks[other] <= node < blocks[other + 1]:
            return True
        other += waves
    return False


@jit
def _permute_tiles(
    first: int,
    last: int,
    indptr: I64,
    indices: U32,
    weights: F64 | None,
    position: U32,
    blocks: I64,
    segments: I64,
    kinds: U8,
    waves: U8,
    out_indptr: I64,
    out_indices: U32,
    out_weights: F64 | None,
    earlier: U32,
) -> None:
    n = len(position)
    for row in range(first * _TILE_ROWS, min(last * _TILE_ROWS, n)):
        i = signed(position[row])
        block = signed(np.searchsorted(blocks, i, side="right") - 1)
        segment = np.searchsorted(segments, block, side="right") - 1
        begin, end = segments[segment], segments[segment + 1]
        limit = i if kinds[segment] == ACYCLIC else blocks[begin]
        cyclic = kinds[segment] == CYCLIC
        low, high = out_indptr[i], out_indptr[i + 1]
        for k in range(indptr[row], indptr[row + 1]):
            source = signed(position[indices[k]])
            if source < limit:
                place = low
                low += 1
            else:
                high -= 1
                place = high
                if cyclic and _is_in_other_block(
                    blocks, begin, end, block, signed(waves[segment]), source
                ):
                    source += n
            out_indices[place] = source
            if weights is not None and out_weights is not None:
                out_weights[place] = weights[k]
        earlier[i] = low - out_indptr[i]


def permute_rows(
    indptr: I64,
    indices: U32,
    weights: F64 | None,
    position: U32,
    plan: RankPlan,
    threads: int,
) -> None:
    """See `fastmml._kernels.Kernels.permute_rows`."""
    plan.indices[-PLAN_PADDING:] = 0
    if plan.weights is not None:
        plan.weights[-PLAN_PADDING:] = 0
    inputs = (
        readonly(indptr),
        readonly(indices),
        readonly_or_none(weights),
        readonly(position),
        readonly(plan.blocks),
        readonly(plan.segments),
        readonly(plan.kinds),
        readonly(plan.waves),
        readonly(plan.indptr),
    )
    outputs = plan.indices, plan.weights, plan.earlier
    tiles = -(-len(position) // _TILE_ROWS)
    run_blocks(
        lambda first, last: _permute_tiles(first, last, *inputs, *outputs),
        tiles,
        threads,
        _TILES_AT_ONCE,
    )
