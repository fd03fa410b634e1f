"""The solver of PageRank's linear system on every backend, against a dense solve."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from laws import assert_same_for_all_threads, frozen, gamma
from test_kernels_order import component_order, graphs, make_plan

import fastmml as fm
from fastmml._kernels import COLUMNS, CYCLIC, F64, Kernels, RankPlan

UNREACHED = 10**6


def plan_of(
    kernels: Kernels, g: fm.Graph, blocks: int = 1, waves: int = 1
) -> tuple[RankPlan, F64, F64]:
    """Return a plan, shares per unit of strength and the dense matrix of links, in plan order."""
    found = component_order(kernels, g)
    order = found[0]
    strength = g.out_strength()[order]
    inverse = np.divide(1, strength, out=np.zeros(len(order)), where=strength > 0)
    dense = g.to_scipy().toarray()[np.ix_(order, order)]
    return make_plan(kernels, g, *found, blocks, waves), inverse, dense


def with_kept(plan: RankPlan) -> RankPlan:
    """Let the plan say what of each node's links stays in its segment."""
    n, within = len(plan.earlier), np.zeros(len(plan.indices), bool)
    for first, early, end in zip(plan.indptr, plan.earlier, plan.indptr[1:], strict=False):
        within[first + early : end] = True
    weights = None if plan.weights is None else plan.weights[within]
    return plan._replace(kept=np.bincount(plan.indices[within] % n, weights, n).astype(float))


def solve(
    kernels: Kernels,
    plan: RankPlan,
    inverse: F64,
    base: F64,
    damping: float = 0.85,
    tolerance: float = 1e-13,
    max_sweeps: int = UNREACHED,
    threads: int = 2,
) -> tuple[F64, int]:
    n = len(inverse)
    y = np.full(n, 0.5)
    shares = np.full(2 * n, np.nan)
    total, dangling, visits = kernels.rank_solve(
        plan, inverse, base, damping, tolerance, max_sweeps, y, shares, threads
    )
    assert_adds_up(y[:, None], inverse, shares[:, None], np.array([total]), np.array([dangling]))
    return y, visits


def assert_adds_up(y: F64, inverse: F64, shares: F64, total: F64, dangling: F64) -> None:
    """What comes beside y follows from it."""
    if not np.isfinite(y).all():
        return
    exact = y * inverse[:, None]
    for half in (shares[: len(y)], shares[len(y) :]):
        np.testing.assert_allclose(half, exact, rtol=gamma(4), atol=0)
    np.testing.assert_allclose(total, y.sum(axis=0), rtol=1e-12)
    np.testing.assert_allclose(dangling, y[inverse == 0].sum(axis=0), rtol=1e-12)


@settings(max_examples=80, deadline=None)
@given(
    g=graphs(),
    blocks=st.sampled_from([1, 4, 8]),
    waves=st.integers(1, 4),
    damping=st.sampled_from([0.0, 0.5, 0.85, 0.99]),
    uniform=st.booleans(),
    scaled=st.booleans(),
)
def test_solves_small_systems(
    variant: Kernels,
    g: fm.Graph,
    blocks: int,
    waves: int,
    damping: float,
    uniform: bool,
    scaled: bool,
) -> None:
    waves = max(waves, blocks // 4)  # at most four blocks in a wave
    plan, inverse, dense = plan_of(variant, g, blocks, waves)
    plan = with_kept(plan) if scaled else plan
    base = np.array([0.3]) if uniform else np.arange(g.num_nodes) % 3.0
    y, _ = solve(variant, plan, inverse, base, damping)
    matrix = np.eye(g.num_nodes) - damping * (dense * inverse[:, None]).T
    exact = np.linalg.solve(matrix, np.broadcast_to(base, g.num_nodes))
    # A sweep's change of at most 1e-12 leaves damping / (1 - damping) times that, and roundings.
    assert np.abs(y - exact).sum() <= 1e-12 * (1 + np.abs(exact).sum()) / (1 - damping)


@settings(max_examples=80, deadline=None)
@given(
    g=graphs(),
    blocks=st.sampled_from([1, 4, 8]),
    waves=st.integers(2, 4),
    damping=st.sampled_from([0.5, 0.85, 0.99, 0.9999]),
    tolerance=st.sampled_from([1e-1, 1e-4, 1e-8]),
)
def test_tolerance_bounds_the_error(
    variant: Kernels, g: fm.Graph, blocks: int, waves: int, damping: float, tolerance: float
) -> None:
    """A sweep misses by damping times what it changed, and the inverse adds 1 / (1 - damping).

    The last sweep changes at most ten times the tolerance.
    """
    plan, inverse, dense = plan_of(variant, g, blocks, waves)
    base = (np.arange(g.num_nodes) % 3 + 1.0) / g.num_nodes
    y, _ = solve(variant, plan, inverse, base, damping, tolerance)
    exact = np.linalg.solve(np.eye(g.num_nodes) - damping * (dense * inverse[:, None]).T, base)
    roundings = gamma(g.num_edges + g.num_nodes + 8) * exact.sum()
    assert np.abs(y - exact).sum() <= (10 * damping * tolerance + 2 * roundings) / (1 - damping)


@pytest.mark.parametrize("weighted", [False, True])
def test_solves_a_large_component_in_waves(variant: Kernels, weighted: bool) -> None:
    rng = np.random.default_rng(2)
    src, dst = np.arange(3000), (np.arange(3000) + 1) % 3000
    src, dst = (
        np.append(src, rng.integers(0, 3000, 9000)),
        np.append(dst, rng.integers(0, 3000, 9000)),
    )
    g = fm.Graph(src, dst, rng.random(12000) if weighted else None)
    plan, inverse, dense = plan_of(variant, g, 16, 4)
    assert plan.kinds.tolist() == [CYCLIC]
    y, visits = solve(variant, plan, inverse, np.ones(1), 0.95)
    exact = np.linalg.solve(np.eye(3000) - 0.95 * (dense * inverse[:, None]).T, np.ones(3000))
    assert np.abs(y - exact).sum() <= 1e-11 * exact.sum()
    assert visits < 100 * g.num_edges  # plain Gauss-Seidel in a random order takes more than 300


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("columns", [1, COLUMNS])
@pytest.mark.parametrize("blocks", [1, 16])
def test_scaling_settles_the_sum_of_random_graphs(
    variant: Kernels, weighted: bool, columns: int, blocks: int
) -> None:
    """All columns of the matrix sum up alike: what is wrong with the sum goes in one sweep."""
    rng = np.random.default_rng(3)
    src, dst = np.repeat(np.arange(2000), 8), rng.integers(0, 2000, 16000)
    g = fm.Graph(src, dst, rng.random(16000) if weighted else None)
    plan, inverse, dense = plan_of(variant, g, blocks, max(1, blocks // 4))
    base = rng.random((2000, columns))
    exact = np.linalg.solve(np.eye(2000) - 0.99 * (dense * inverse[:, None]).T, base)

    def sweeps(plan: RankPlan) -> float:
        tolerance = 1e-13 * exact.sum() / columns
        if columns == 1:
            y, visits = solve(variant, plan, inverse, base[:, 0].copy(), 0.99, tolerance)
        else:
            y, visits = solve_columns(variant, plan, inverse, base, 0.99, tolerance)
        error = np.abs(y.reshape(2000, -1) - exact).sum()
        assert error <= 1e-11 * exact.sum()
        return visits / g.num_edges

    assert sweeps(with_kept(plan)) < sweeps(plan)


def test_reads_the_links_of_acyclic_graphs_once(variant: Kernels) -> None:
    g = fm.Graph([0, 0, 1, 2], [1, 2, 3, 3])
    plan, inverse, _ = plan_of(variant, g)
    assert solve(variant, plan, inverse, np.ones(1))[1] == 4


@pytest.mark.parametrize("size", [2, 5, 64])
@pytest.mark.parametrize("blocks", [1, 8])
def test_solves_periodic_graphs(variant: Kernels, size: int, blocks: int) -> None:
    """Power iteration goes round a cycle for ever; ranks started at one node show it most."""
    g = fm.Graph(np.arange(size), (np.arange(size) + 1) % size)
    plan, inverse, dense = plan_of(variant, g, blocks, 2)
    base = np.zeros(size)
    base[0] = 1
    y, _ = solve(variant, plan, inverse, base, 0.9999, 1e-10)
    exact = np.linalg.solve(np.eye(size) - 0.9999 * (dense * inverse[:, None]).T, base)
    assert np.abs(y - exact).sum() <= 1e-10 * 1e4


def test_keeps_to_max_sweeps(variant: Kernels) -> None:
    g = fm.Graph(np.arange(9), (np.arange(9) + 1) % 9)
    plan, inverse, _ = plan_of(variant, g)
    assert solve(variant, plan, inverse, np.ones(1), tolerance=0, max_sweeps=7)[1] == 7 * 9


def test_loops_are_solved_without_sweeps(variant: Kernels) -> None:
    g = fm.Graph([0, 0, 0, 1], [0, 0, 1, 2])
    plan, inverse, _ = plan_of(variant, g)
    y, visits = solve(variant, plan, inverse, np.ones(1), 0.9)
    expected = 1 / (1 - 0.9 * 2 / 3)
    assert np.allclose(y, [expected, 1 + 0.3 * expected, 1 + 0.9 * (1 + 0.3 * expected)])
    assert visits == 4


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_infinity_reach_only_what_depends_on_them(variant: Kernels, bad: float) -> None:
    g = fm.Graph([0, 1, 1, 2, 3, 4], [1, 0, 2, 3, 2, 3])
    order = component_order(variant, g)[0]
    plan, inverse, _ = plan_of(variant, g)
    base = np.ones(5)
    base[order == 2] = bad
    y, _ = solve(variant, plan, inverse, base, max_sweeps=50)
    reached = np.isin(order, [2, 3])
    assert np.isfinite(y[~reached]).all()
    assert not np.isfinite(y[reached]).any()


@settings(max_examples=60, deadline=None)
@given(g=graphs(), sick=st.integers(0, 11), bad=st.sampled_from([np.nan, np.inf]))
def test_nan_and_infinity_follow_links(
    variant: Kernels, g: fm.Graph, sick: int, bad: float
) -> None:
    g = fm.Graph.from_scipy(g.to_scipy() != 0)  # no link without weight
    n = g.num_nodes
    plan, inverse, dense = plan_of(variant, g, 4, 2)
    base = np.ones(n)
    base[sick % n] = bad
    y, _ = solve(variant, plan, inverse, base, max_sweeps=50)
    reached = np.linalg.matrix_power(np.eye(n) + (dense > 0), n)[sick % n] > 0
    np.testing.assert_array_equal(np.isfinite(y), ~reached)


def solve_columns(
    kernels: Kernels,
    plan: RankPlan,
    inverse: F64,
    base: F64,
    damping: float = 0.85,
    tolerance: float = 1e-13,
    threads: int = 2,
) -> tuple[F64, int]:
    n = len(inverse)
    y = np.full((n, COLUMNS), 0.5)
    shares = np.full((2 * n, COLUMNS), np.nan)
    total, dangling, visits = kernels.rank_solve_columns(
        plan, inverse, base, damping, tolerance, UNREACHED, y, shares, threads
    )
    assert_adds_up(y, inverse, shares, total, dangling)
    return y, visits


@settings(max_examples=50, deadline=None)
@given(
    g=graphs(),
    blocks=st.sampled_from([1, 4, 8]),
    damping=st.sampled_from([0.0, 0.5, 0.85, 0.99]),
    uniform=st.booleans(),
    scaled=st.booleans(),
)
def test_solves_columns(
    variant: Kernels, g: fm.Graph, blocks: int, damping: float, uniform: bool, scaled: bool
) -> None:
    n = g.num_nodes
    plan, inverse, dense = plan_of(variant, g, blocks, max(1, blocks // 4))
    plan = with_kept(plan) if scaled else plan
    base = np.random.default_rng(n).random((1 if uniform else n, COLUMNS))
    base[:, 3] = 0  # nothing to solve in one column must not stop the others
    y, _ = solve_columns(variant, plan, inverse, base, damping)
    matrix = np.eye(n) - damping * (dense * inverse[:, None]).T
    exact = np.linalg.solve(matrix, np.broadcast_to(base, y.shape))
    error = np.abs(y - exact).sum(axis=0)
    assert (error <= 1e-12 * (1 + np.abs(exact).sum(axis=0)) / (1 - damping)).all()


@pytest.mark.parametrize("columns", [1, COLUMNS])
def test_same_bits_for_all_threads(variant: Kernels, columns: int) -> None:
    g = fm.rmat(13, seed=4)
    found = component_order(variant, g)
    order, plan = found[0], make_plan(variant, g, *found, 16, 4)
    strength = g.out_strength()[order]
    plan = with_kept(plan)
    inverse = np.divide(1, strength, out=np.zeros(len(order)), where=strength > 0)
    base = np.random.default_rng(0).random((len(order), COLUMNS))

    def run(threads: int) -> tuple[F64, int]:
        if columns == 1:
            return solve(variant, plan, inverse, np.ones(1), 0.9, 1e-9, threads=threads)
        return solve_columns(variant, plan, inverse, base, 0.9, 1e-9, threads)

    assert_same_for_all_threads(run)


def test_takes_read_only_inputs(variant: Kernels) -> None:
    plan, inverse, _ = plan_of(variant, fm.rmat(6))
    shut = plan._replace(**{name: frozen(getattr(plan, name)) for name in ("indptr", "earlier")})
    y, _ = solve(variant, shut, frozen(inverse), frozen(np.ones(1)))
    assert np.array_equal(y, solve(variant, plan, inverse, np.ones(1))[0])
