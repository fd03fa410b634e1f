"""A graph made ready for Gauss-Seidel: an order of its nodes, segments, and blocks.

Web graphs come in an order that keeps neighbours together; they are cut into strong components,
each solved once. Where the given order means nothing and the graph is large, finding components
costs more than it saves: nodes are ordered by degree instead, and all that lies on cycles is one
segment.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fastmml._backend import get_num_threads, kernels
from fastmml._kernels import (
    CYCLIC,
    F64,
    I64,
    INDEPENDENT,
    PLAN_PADDING,
    U8,
    U32,
    RankPlan,
)

if TYPE_CHECKING:
    from fastmml.graph.graph import Graph

#: Links of other blocks are marked by adding the number of nodes to a 32-bit source.
MAX_NODES = 2**31 - 1
#: Up to this many nodes the search for components stays in cache whatever the order.
_SMALL_NODES = 1 << 17
#: Links looked at to see whether the given order keeps neighbours together, and how near (as a
#: part of all nodes) they then are on average: 0.33 in a random order, 0.01 to 0.1 on web graphs.
_SAMPLE_LINKS = 1 << 8
_NEAR = 0.15
#: Links and nodes from which on threads are worth their waking, 0.15 ms.
_TEAM_WORK = 1 << 17
#: With fewer links looking takes longer than it saves.
_FEW_LINKS = 1 << 14
#: Links and rows of a block of an independent or acyclic segment, about.
_BLOCK_WORK = 1 << 17
#: A cyclic segment with fewer links and rows is one block: a wave would take microseconds. Others
#: are swept in this many waves: with 4 and more, sweeps converge like those of a single block.
_WAVE_WORK = 1 << 17
_WAVES = 8
#: Blocks of a wave: few, since sources in the others are a sweep old, but some for every thread.
_BLOCKS_AT_ONCE = 4


class Prepared(NamedTuple):
    """A plan, and what leads from the given order of the nodes to the plan's."""

    plan: RankPlan
    order: U32  #: node i of the plan is node order[i] of the graph
    inverse_strength: F64  #: in the plan's order
    by: str  #: what the order follows, "components" or "degree"
    is_random: bool  #: whether links lead anywhere

    @property
    def cyclic_nodes(self) -> int:
        """How many nodes lie in segments that are swept."""
        nodes = np.diff(self.plan.blocks[self.plan.segments])
        return int(nodes[self.plan.kinds == CYCLIC].sum())

    @property
    def linked(self) -> int:
        """How many nodes have links out; the others are last."""
        return int(np.searchsorted(self.inverse_strength == 0, True))

    @property
    def nbytes(self) -> int:
        """Bytes that the arrays take."""
        arrays = (*self.plan, self.order, self.inverse_strength)
        return sum(array.nbytes for array in arrays if array is not None)

    @property
    def rows(self) -> tuple[I64, U32, F64 | None]:
        """Row starts, sources and weights of the plan, without what pads them."""
        indptr, indices, weights = self.plan[:3]
        return (
            indptr,
            indices[:-PLAN_PADDING],
            None if weights is None else weights[:-PLAN_PADDING],
        )


def prepare(g: Graph) -> Prepared:
    """Order the nodes, renumber the links, cut blocks."""
    threads = get_num_threads() if g.num_edges + g.num_nodes >= _TEAM_WORK else 1
    return kernels().with_team(lambda: _prepare(g), threads)


def _prepare(g: Graph) -> Prepared:
    strength = g.out_strength()
    is_random = _is_random(g)
    by = "degree" if is_random and g.num_nodes > _SMALL_NODES else "components"
    is_sink = (strength == 0).view(np.uint8)
    order = kernels().empty(g.num_nodes, np.uint32)
    if by == "components":
        starts, kinds, levels = kernels().component_order(g.indptr, g.indices, is_sink, order)
    else:
        starts, kinds, levels = _order_by_degree(g, strength, is_sink, order)
    plan, inverse_strength = _permute(g, strength, order, starts, kinds, levels)
    if by == "degree":
        plan = plan._replace(kept=_kept(plan, inverse_strength))
    return Prepared(plan, order, inverse_strength, by, is_random)


def _is_random(g: Graph) -> bool:
    """Whether the given order keeps no neighbours together."""
    if g.num_edges < _FEW_LINKS:
        return False
    links = np.linspace(0, g.num_edges - 1, _SAMPLE_LINKS).astype(np.int64)
    targets = np.searchsorted(g.indptr, links, side="right") - 1
    distances = np.abs(targets - g.indices[links].astype(np.int64))
    return bool(np.mean(distances) >= _NEAR * g.num_nodes)


def _order_by_degree(g: Graph, strength: F64, is_sink: U8, order: U32) -> tuple[I64, U8, I64]:
    """Segments: sources, all that may lie on a cycle, sinks."""
    degree = strength
    if g.weights is not None:
        degree = kernels().empty(g.num_nodes, np.float64)
        kernels().out_strength(g.indices, None, degree, get_num_threads())
    sources, sinks = kernels().degree_order(g.indptr, degree, is_sink, order, get_num_threads())
    starts = np.array([0, sources, sinks, g.num_nodes])
    kinds = np.array([INDEPENDENT, CYCLIC, INDEPENDENT], np.uint8)
    filled = np.diff(starts) > 0
    kinds = kinds[filled]
    return np.append(starts[:-1][filled], g.num_nodes), kinds, np.arange(len(kinds) + 1)


def _permute(
    g: Graph, strength: F64, order: U32, starts: I64, kinds: U8, levels: I64
) -> tuple[RankPlan, F64]:
    """Bring the graph into the order; returns the plan and the inverse of each strength."""
    n, threads = g.num_nodes, get_num_threads()
    position, indptr = kernels().empty(n, np.uint32), kernels().empty(n + 1, np.int64)
    inverse_strength = kernels().empty(n, np.float64)
    kernels().permute_nodes(order, g.indptr, strength, position, indptr, inverse_strength, threads)
    blocks, segments, waves = _cut_blocks(starts, kinds, indptr)
    padded = g.num_edges + PLAN_PADDING
    weights = None if g.weights is None else kernels().empty(padded, np.float64)
    plan = RankPlan(
        indptr,
        kernels().empty(padded, np.uint32),
        weights,
        kernels().empty(n, np.uint32),
        blocks,
        segments,
        kinds,
        waves,
        levels,
        None,
    )
    kernels().permute_rows(g.indptr, g.indices, g.weights, position, plan, threads)
    return plan, inverse_strength


def _kept(plan: RankPlan, inverse_strength: F64) -> F64:
    """Weights of the links that stay in the one cyclic segment: all but those to the last one."""
    kept = kernels().empty(len(inverse_strength), np.float64)
    kept[:] = 0
    for segment in np.flatnonzero(plan.kinds == CYCLIC):
        start, end = plan.blocks[plan.segments[segment : segment + 2]]
        leaving = slice(plan.indptr[end], plan.indptr[-1])
        weights = None if plan.weights is None else plan.weights[leaving]
        left = kernels().empty(len(kept), np.float64)
        kernels().out_strength(plan.indices[leaving], weights, left, get_num_threads())
        np.divide(1, inverse_strength[start:end], out=kept[start:end])
        kept[start:end] -= left[start:end]
    return kept


def _cut_blocks(starts: I64, kinds: U8, indptr: I64) -> tuple[I64, I64, U8]:
    """Cut segments into blocks of equal work.

    Returns the starts of the blocks, the first block of each segment, and the waves of each.
    """
    work = indptr[starts] + starts
    sizes = np.diff(work)
    counts = np.maximum(sizes // _BLOCK_WORK, 1)
    in_waves = (kinds == CYCLIC) & (sizes >= _WAVE_WORK)
    counts[kinds == CYCLIC] = 1
    counts[in_waves] = _WAVES * _BLOCKS_AT_ONCE
    waves = np.where(in_waves, _WAVES, 1).astype(np.uint8)
    segments = np.concatenate([[0], np.cumsum(counts)])
    blocks = np.repeat(starts[:-1], counts)
    for s in np.flatnonzero(counts > 1):
        rows = range(starts[s], starts[s + 1])
        cuts = work[s] + sizes[s] * np.arange(1, counts[s]) // counts[s]
        found = [bisect_left(rows, cut, key=lambda row: indptr[row] + row) for cut in cuts]
        blocks[segments[s] + 1 : segments[s + 1]] = starts[s] + np.array(found)
    return np.append(blocks, starts[-1]), segments, waves


def arrange(values: F64, order: U32) -> F64:
    """Bring values from the graph's order into the plan's; a single one stands for all."""
    return values if len(values) == 1 else np.take(values, order, axis=0)


def scatter(values: F64, order: U32) -> F64:
    """Bring values from the plan's order into the graph's."""
    result = np.empty_like(values)
    result[order] = values
    return result
