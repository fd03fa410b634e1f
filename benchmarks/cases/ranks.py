"""Passes and solves of PageRank, and the orders that they work in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.cases.inputs import EDGES, NODES, THREADS, Call, in_graph, in_rows, reals
from fastmml._kernels import COLUMNS, Kernels
from fastmml.graph.plan import prepare

VECTORS = 4


def rank_pull(kernels: Kernels, weighted: bool = False) -> Call:
    """A pass of PageRank."""
    indptr, indices = in_rows()
    weights = reals((EDGES,), 3) if weighted else None
    uniform = np.full(1, 1 / NODES)
    x, inverse = reals((NODES,), 4), reals((NODES,), 5)
    contribution = x * inverse
    y, following = np.empty(NODES), np.empty(NODES)
    return lambda: kernels.rank_pull(
        indptr, indices, weights, inverse, uniform, uniform, 0.85, 1.0, 0.1, x, contribution, y,
        following, THREADS,
    )  # fmt: skip


def rank_pull_columns(kernels: Kernels) -> Call:
    """A pass of PageRank for several columns."""
    indptr, indices = in_rows()
    uniform, total = np.full((1, COLUMNS), 1 / NODES), np.ones(COLUMNS)
    x, inverse = reals((NODES, COLUMNS), 4), reals((NODES,), 5)
    contribution = x * inverse[:, None]
    y, following = np.empty((2, NODES, COLUMNS))
    return lambda: kernels.rank_pull_columns(
        indptr, indices, None, inverse, uniform, uniform, 0.85, total, total, x, contribution, y,
        following, THREADS,
    )  # fmt: skip


def rank_image(kernels: Kernels) -> Call:
    """The pass of PageRank that proves."""
    indptr, indices = in_rows()
    uniform = np.full(1, 1 / NODES)
    x, contribution, y = reals((NODES,), 4), reals((NODES,), 5), np.empty(NODES)
    return lambda: kernels.rank_image(
        indptr, indices, None, uniform, uniform, 0.85, 1.0, 0.1, 64.0, x, contribution, y, THREADS
    )


def rank_image_columns(kernels: Kernels) -> Call:
    """The pass that proves, for several columns."""
    indptr, indices = in_rows()
    uniform, total = np.full((1, COLUMNS), 1 / NODES), np.ones(COLUMNS)
    x, contribution, y = reals((3, NODES, COLUMNS), 4)
    return lambda: kernels.rank_image_columns(
        indptr, indices, None, uniform, uniform, 0.85, total, total, 64.0, x, contribution, y,
        THREADS,
    )  # fmt: skip


def rank_solve(kernels: Kernels) -> Call:
    """Nine sweeps over components, with two combinations."""
    prepared = prepare(in_graph())
    base, y, c = np.full(1, 1 / NODES), np.full(NODES, 1 / NODES), np.empty(2 * NODES)
    return lambda: kernels.rank_solve(
        prepared.plan, prepared.inverse_strength, base, 0.85, 0.0, 9, y, c, THREADS
    )


def rank_solve_columns(kernels: Kernels) -> Call:
    """Nine sweeps for several columns."""
    prepared = prepare(in_graph())
    base = reals((NODES, COLUMNS), 9)
    y, c = np.ones((NODES, COLUMNS)), np.empty((2 * NODES, COLUMNS))
    return lambda: kernels.rank_solve_columns(
        prepared.plan, prepared.inverse_strength, base, 0.85, 0.0, 9, y, c, THREADS
    )


def rank_push(kernels: Kernels, weighted: bool = False) -> Call:
    """Push from two seeds until most nodes are found."""
    indptr, indices = in_rows()
    weights = strength = None
    if weighted:
        weights, rows = reals((EDGES,), 3), np.repeat(np.arange(NODES), np.diff(indptr))
        strength = np.bincount(rows, weights, NODES)
    seeds, base = np.array([3, 70], np.uint32), np.full(2, 0.075)
    nodes, ranks, images = np.empty(NODES, np.uint32), np.empty(NODES), np.empty(NODES)
    return lambda: kernels.rank_push(
        indptr, indices, weights, strength, seeds, base, 0.85, 1e-3, 1 << 40, nodes, ranks, images
    )


def difference_gram(kernels: Kernels) -> Call:
    """Products of differences of vectors."""
    x = reals((VECTORS + 1, NODES), 6)
    return lambda: kernels.difference_gram(x, THREADS)


def combine(kernels: Kernels) -> Call:
    """A combination of vectors."""
    coefficients, x, y = reals((VECTORS,), 7), reals((VECTORS, NODES), 8), np.empty(NODES)
    return lambda: kernels.combine(coefficients, x, y, THREADS)


def component_order(kernels: Kernels) -> Call:
    """Find strong components."""
    g, order = in_graph(), np.empty(NODES, np.uint32)
    is_sink = (g.out_strength() == 0).view(np.uint8)
    return lambda: kernels.component_order(g.indptr, g.indices, is_sink, order)


def degree_order(kernels: Kernels) -> Call:
    """Sort nodes by degree."""
    g, order = in_graph(), np.empty(NODES, np.uint32)
    degree = g.out_strength()
    is_sink = (degree == 0).view(np.uint8)
    return lambda: kernels.degree_order(g.indptr, degree, is_sink, order, THREADS)


def permute_nodes(kernels: Kernels) -> Call:
    """Bring what is known of nodes into another order."""
    g = in_graph()
    order = _order()
    out = np.empty(NODES, np.uint32), np.empty(NODES + 1, np.int64), np.empty(NODES)
    strength = g.out_strength()
    return lambda: kernels.permute_nodes(order, g.indptr, strength, *out, THREADS)


def gather_values(kernels: Kernels) -> Call:
    """Bring some columns into another order."""
    order, values = _order(), np.ones((NODES, 2 * COLUMNS))
    out = np.empty((NODES, COLUMNS))
    return lambda: kernels.gather_values(order, values, COLUMNS, COLUMNS, out, THREADS)


def scatter_values(kernels: Kernels) -> Call:
    """Bring some columns back."""
    order, values = _order(), np.ones((NODES, COLUMNS))
    out = np.empty((NODES, 2 * COLUMNS))
    return lambda: kernels.scatter_values(order, values, out, COLUMNS, COLUMNS, THREADS)


def _order() -> NDArray[np.uint32]:
    return np.random.default_rng(5).permutation(NODES).astype(np.uint32)


def permute_rows(kernels: Kernels) -> Call:
    """Bring rows into another order."""
    g = in_graph()
    prepared = prepare(g)
    position = np.argsort(prepared.order).astype(np.uint32)
    return lambda: kernels.permute_rows(g.indptr, g.indices, None, position, prepared.plan, THREADS)
