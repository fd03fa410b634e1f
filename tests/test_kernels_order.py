"""Orders of nodes and permuted rows on every backend, against SciPy and the laws of a plan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from laws import assert_same_for_all_threads, frozen, mapped
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

import fastmml as fm
from fastmml import _backend
from fastmml._kernels import (
    ACYCLIC,
    COLUMNS,
    CYCLIC,
    F64,
    I64,
    INDEPENDENT,
    PLAN_PADDING,
    U8,
    U32,
    Kernels,
    RankPlan,
)
from fastmml.graph import plan as planning


@st.composite
def graphs(draw: st.DrawFn, max_nodes: int = 12, max_edges: int = 40) -> fm.Graph:
    """Multigraphs with loops, parallel links and nodes without any."""
    n = draw(st.integers(1, max_nodes))
    edge = st.tuples(st.integers(0, n - 1), st.integers(0, n - 1))
    edges = draw(st.lists(edge, max_size=max_edges))
    weights = draw(st.none() | st.just(np.arange(len(edges)) % 3.0))
    src, dst = zip(*edges, strict=True) if edges else ((), ())
    return fm.Graph(src, dst, weights, num_nodes=n)


def sinks(g: fm.Graph) -> U8:
    return (g.out_strength() == 0).view(np.uint8)


def component_order(kernels: Kernels, g: fm.Graph) -> tuple[U32, I64, U8, I64]:
    order = np.full(g.num_nodes, 2**32 - 1, np.uint32)
    return order, *kernels.component_order(g.indptr, g.indices, sinks(g), order)


def links(g: fm.Graph) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Source and target of every link."""
    return g.indices.astype(np.int64), np.repeat(np.arange(g.num_nodes), np.diff(g.indptr))


def assert_component_order(g: fm.Graph, order: U32, starts: I64, kinds: U8, levels: I64) -> None:
    n = g.num_nodes
    assert sorted(order) == list(range(n))
    assert starts[0] == 0
    assert starts[-1] == n
    assert (np.diff(starts) > 0).all()
    assert len(kinds) == len(starts) - 1
    segment = np.empty(n, np.int64)
    segment[order] = np.repeat(np.arange(len(kinds)), np.diff(starts))
    place = np.empty(n, np.int64)
    place[order] = np.arange(n)
    src, dst = links(g)
    counts = sinks(g)[src] == 0  # the others give nothing
    src, dst = src[counts], dst[counts]
    assert (segment[src] <= segment[dst]).all()
    assert levels[0] == 0
    assert levels[-1] == len(kinds)
    assert (np.diff(levels) > 0).all()
    level = np.repeat(np.arange(len(levels) - 1), np.diff(levels))
    assert ((level[segment[src]] < level[segment[dst]]) | (segment[src] == segment[dst])).all()
    within = segment[src] == segment[dst]
    forward = place[src] <= place[dst]
    assert (~within | forward | (kinds[segment[dst]] == CYCLIC)).all()
    apart = within & (kinds[segment[dst]] == INDEPENDENT)
    assert (src == dst)[apart].all()
    matrix = sp.csr_array((np.ones(len(src)), (src, dst)), shape=(n, n))
    labels = connected_components(matrix, connection="strong")[1]
    for s in np.flatnonzero(kinds == CYCLIC):
        nodes = order[starts[s] : starts[s + 1]]
        assert len(nodes) > 1
        assert sorted(nodes) == np.flatnonzero(labels == labels[nodes[0]]).tolist()
    single = np.bincount(labels)[labels] == 1
    assert (single == (kinds[segment] != CYCLIC)).all()
    last = order[starts[-2] :] if len(kinds) and kinds[-1] == INDEPENDENT else []
    if sinks(g).any():
        assert list(last) == np.flatnonzero(sinks(g)).tolist()


@settings(max_examples=80, deadline=None)
@given(g=graphs())
def test_component_order_of_small_graphs(variant: Kernels, g: fm.Graph) -> None:
    assert_component_order(g, *component_order(variant, g))


def test_component_order_of_a_web_like_graph(variant: Kernels) -> None:
    g = fm.rmat(11, edge_factor=2, seed=5)
    assert_component_order(g, *component_order(variant, g))


@pytest.mark.parametrize("closed", [False, True])
def test_component_order_of_a_long_path_does_not_recurse(variant: Kernels, closed: bool) -> None:
    n = 300_000
    ends = np.arange(n - 1), np.arange(1, n)
    g = fm.Graph(np.append(ends[0], n - 1), np.append(ends[1], 0)) if closed else fm.Graph(*ends)
    order, starts, kinds, _ = component_order(variant, g)
    assert kinds.tolist() == ([CYCLIC] if closed else [ACYCLIC, INDEPENDENT])
    assert starts.tolist() == ([0, n] if closed else [0, n - 1, n])
    assert closed or np.array_equal(order, np.arange(n))


def test_orders_of_no_nodes(variant: Kernels) -> None:
    g = fm.Graph([], [])
    order, starts, kinds, levels = component_order(variant, g)
    assert (len(order), starts.tolist(), kinds.tolist(), levels.tolist()) == (0, [0], [], [0])
    assert variant.degree_order(g.indptr, np.empty(0), np.empty(0, np.uint8), order, 1) == (0, 0)


@settings(max_examples=60, deadline=None)
@given(g=graphs())
def test_degree_order(variant: Kernels, g: fm.Graph) -> None:
    order = np.empty(g.num_nodes, np.uint32)
    degree = np.bincount(g.indices, minlength=g.num_nodes).astype(float)
    is_sink = sinks(g)
    low, high = variant.degree_order(g.indptr, degree, is_sink, order, 2)
    links = np.diff(g.indptr)
    kind = np.where(is_sink != 0, 2, (links > 0).astype(int))
    power = np.floor(np.log2(np.maximum(degree, 1)))
    expected = np.lexsort((-np.ceil(links / 4), -power * (kind == 1), kind))
    assert np.array_equal(order, expected)
    assert (low, high) == (np.sum(kind == 0), np.sum(kind < 2))


def test_degree_order_of_huge_degrees_is_by_links_then_id(variant: Kernels) -> None:
    degree = np.array([2.0**31 - 1, 2.0**31, 1e12, 2.0**32, 2.0**32 - 1])
    indptr = np.cumsum([0, 500, 120, 121, 500, 121])
    order = np.empty(5, np.uint32)
    assert variant.degree_order(indptr, degree, np.zeros(5, np.uint8), order, 1) == (0, 5)
    assert order.tolist() == [2, 3, 4, 1, 0]


def test_degree_order_has_the_same_bits_for_all_threads(variant: Kernels) -> None:
    n = (1 << 18) + 5
    random = np.random.default_rng(6)
    indptr = np.append(0, np.cumsum(random.integers(0, 3, n)))
    degree, is_sink = random.integers(1, 40_000, n) * 1.0, random.integers(0, 2, n, np.uint8)

    def run(threads: int) -> tuple[U32, int, int]:
        order = np.empty(n, np.uint32)
        return order, *variant.degree_order(indptr, degree, is_sink, order, threads)

    assert_same_for_all_threads(run)


# ---- permute_nodes ----


@pytest.mark.parametrize("n", [0, 1, 100, (1 << 15) + 3])
def test_permute_nodes(variant: Kernels, n: int) -> None:
    random = np.random.default_rng(7)
    order = random.permutation(n).astype(np.uint32)
    degree, strength = random.integers(0, 9, n), random.integers(0, 5, n) / 4
    indptr = np.append(0, np.cumsum(degree))
    held = frozen(order), frozen(indptr), frozen(strength)

    def run(threads: int) -> tuple[U32, I64, F64]:
        out = np.empty(n, np.uint32), np.empty(n + 1, np.int64), np.empty(n)
        variant.permute_nodes(*held, *out, threads)
        return out

    position, starts, inverse = run(1)
    np.testing.assert_array_equal(position[order], np.arange(n))
    np.testing.assert_array_equal(starts, np.append(0, np.cumsum(degree[order])))
    np.testing.assert_array_equal(inverse[strength[order] == 0], 0)
    np.testing.assert_array_equal((inverse * strength[order])[strength[order] > 0], 1)
    assert_same_for_all_threads(run)


# ---- gather_values and scatter_values ----


@pytest.mark.parametrize("n", [1, 100, (1 << 16) + 3])
@pytest.mark.parametrize(
    ("width", "first", "count", "columns"),
    [(1, 0, 1, 1), (5, 3, 1, 1), (COLUMNS + 3, 2, COLUMNS, COLUMNS), (9, 4, 5, COLUMNS)],
)
def test_values_go_and_come_back(
    variant: Kernels, n: int, width: int, first: int, count: int, columns: int
) -> None:
    random = np.random.default_rng(8)
    order = frozen(random.permutation(n).astype(np.uint32))
    values = frozen(random.random((n, width)))

    def run(threads: int) -> tuple[F64, F64]:
        gathered, back = np.full((n, columns), np.nan), np.zeros((n, width))
        variant.gather_values(order, values, first, count, gathered, threads)
        variant.scatter_values(order, frozen(gathered), back, first, count, threads)
        return gathered, back

    gathered, back = run(1)
    kept = values[:, first : first + count]
    np.testing.assert_array_equal(gathered[:, :count], kept[order])
    np.testing.assert_array_equal(gathered[:, count:], kept[order][:, [-1] * (columns - count)])
    np.testing.assert_array_equal(back[:, first : first + count], kept)
    assert not back[:, :first].any()
    assert not back[:, first + count :].any()
    assert_same_for_all_threads(run)


# ---- permute_rows ----


def make_plan(
    kernels: Kernels, g: fm.Graph, order: U32, starts: I64, kinds: U8, levels: I64,
    blocks_per_segment: int, waves: int, threads: int = 2,
) -> RankPlan:  # fmt: skip
    """Cut segments into blocks as even as can be, some of them empty, and permute the rows."""
    position = np.empty(g.num_nodes, np.uint32)
    position[order] = np.arange(g.num_nodes, dtype=np.uint32)
    counts = np.full(len(kinds), blocks_per_segment)
    cuts = [
        np.linspace(a, b, c, endpoint=False).astype(np.int64)
        for a, b, c in zip(starts[:-1], starts[1:], counts, strict=True)
    ]
    indptr = np.zeros(g.num_nodes + 1, np.int64)
    np.cumsum(np.diff(g.indptr)[order], out=indptr[1:])
    plan = RankPlan(
        indptr,
        np.full(g.num_edges + PLAN_PADDING, 2**32 - 1, np.uint32),
        None if g.weights is None else np.full(g.num_edges + PLAN_PADDING, np.nan),
        np.full(g.num_nodes, 2**32 - 1, np.uint32),
        np.concatenate([*cuts, [g.num_nodes]]).astype(np.int64),
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        kinds,
        np.where(kinds == CYCLIC, waves, 1).astype(np.uint8),
        levels,
        None,
    )
    kernels.permute_rows(g.indptr, g.indices, g.weights, position, plan, threads)
    return plan


def is_ahead(plan: RankPlan, row: int, source: int) -> bool:
    """Whether a link must read the value from before the sweep: another block of the same wave."""
    block = np.searchsorted(plan.blocks, [row, source], side="right") - 1
    segment = np.searchsorted(plan.segments, block, side="right") - 1
    if segment[0] != segment[1] or plan.kinds[segment[0]] != CYCLIC or block[0] == block[1]:
        return False
    return bool((block[0] - block[1]) % plan.waves[segment[0]] == 0)


def assert_permuted(g: fm.Graph, order: U32, plan: RankPlan) -> None:
    n = g.num_nodes
    values: F64 = np.ones(g.num_edges) if g.weights is None else g.weights
    moved = np.ones(g.num_edges + PLAN_PADDING) if plan.weights is None else plan.weights
    assert not plan.indices[g.num_edges :].any()
    for i in range(n):
        row = slice(plan.indptr[i], plan.indptr[i + 1])
        old = slice(g.indptr[order[i]], g.indptr[order[i] + 1])
        sources = plan.indices[row].astype(np.int64)
        found = sorted(zip(order[sources % n], moved[row], strict=True))
        assert found == sorted(zip(g.indices[old], values[old], strict=True))
        segment = np.searchsorted(plan.blocks[plan.segments], i, side="right") - 1
        limit = i if plan.kinds[segment] == ACYCLIC else plan.blocks[plan.segments[segment]]
        early = plan.earlier[i]
        assert (sources[:early] < limit).all()
        assert (sources[early:] >= limit).all()
        assert [s >= n for s in sources] == [is_ahead(plan, i, int(s) % n) for s in sources]


@settings(max_examples=60, deadline=None)
@given(g=graphs(), blocks=st.integers(1, 8), waves=st.integers(2, 3))
def test_permute_rows(variant: Kernels, g: fm.Graph, blocks: int, waves: int) -> None:
    found = component_order(variant, g)
    assert_permuted(g, found[0], make_plan(variant, g, *found, blocks, waves))


def test_permute_rows_longer_than_the_buffer(variant: Kernels) -> None:
    rng = np.random.default_rng(1)
    src = rng.integers(0, 50, 9000)
    g = fm.Graph(src, np.where(rng.random(9000) < 0.6, 7, src[::-1]), rng.random(9000))
    found = component_order(variant, g)
    assert_permuted(g, found[0], make_plan(variant, g, *found, 4, 2))


@pytest.mark.parametrize("weighted", [False, True])
def test_permute_rows_has_the_same_bits_for_all_threads(variant: Kernels, weighted: bool) -> None:
    unweighted = fm.rmat(14, edge_factor=4)
    weights = np.arange(unweighted.num_edges) % 7.0 if weighted else None
    g = fm.Graph(*links(unweighted), weights, num_nodes=unweighted.num_nodes)
    found = component_order(variant, g)

    def run(threads: int) -> tuple[Any, ...]:
        plan = make_plan(variant, g, *found, 8, 2, threads)
        return plan.indices, plan.earlier, 0 if plan.weights is None else plan.weights

    assert_same_for_all_threads(run)


@pytest.mark.parametrize("in_file", [False, True])
def test_orders_take_read_only_and_mapped_inputs(
    variant: Kernels, in_file: bool, tmp_path: Path
) -> None:
    g = fm.rmat(6)
    degree = g.out_strength()
    arrays = {"indptr": g.indptr, "indices": g.indices, "is_sink": sinks(g), "degree": degree}
    held = {
        name: mapped(array, tmp_path / name) if in_file else frozen(array)
        for name, array in arrays.items()
    }
    expected, *cuts = component_order(variant, g)
    order = np.empty(64, np.uint32)
    found = variant.component_order(held["indptr"], held["indices"], held["is_sink"], order)
    np.testing.assert_array_equal(order, expected)
    for array, other in zip(found, cuts, strict=True):
        np.testing.assert_array_equal(array, other)
    bounds = variant.degree_order(held["indptr"], held["degree"], held["is_sink"], order, 1)
    assert bounds == variant.degree_order(g.indptr, degree, sinks(g), expected, 1)
    np.testing.assert_array_equal(order, expected)


# ---- whole plans ----


@pytest.mark.parametrize("by", ["components", "degree"])
@pytest.mark.parametrize("weighted", [False, True])
def test_prepare_keeps_the_graph(
    by: str, weighted: bool, variant: Kernels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "_SMALL_NODES", 0)
    monkeypatch.setattr(planning, "_is_random", lambda g: by == "degree")
    monkeypatch.setattr(planning, "_WAVE_WORK", 100)
    monkeypatch.setattr(planning, "_BLOCK_WORK", 50)
    rng = np.random.default_rng(3)
    src, dst = rng.integers(0, 200, (2, 900)) // rng.integers(1, 5, 900)
    g = fm.Graph(src, dst, rng.random(900) if weighted else None, num_nodes=210)
    with _backend.use_kernels(variant):
        prepared = planning.prepare(g)
    assert prepared.by == by
    assert_permuted(g, prepared.order, prepared.plan)
    assert prepared.plan.waves.max() > 1
    strength = g.out_strength()[prepared.order]
    assert np.allclose(prepared.inverse_strength * strength, strength > 0)


def test_neighbours_decide_between_components_and_degree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "_SMALL_NODES", 100)
    monkeypatch.setattr(planning, "_FEW_LINKS", 0)
    near = np.arange(5000)
    assert planning.prepare(fm.Graph(near, (near + 7) % 5000)).by == "components"
    assert planning.prepare(fm.rmat(12)).by == "degree"
