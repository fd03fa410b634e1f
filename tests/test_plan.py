"""What a graph keeps for PageRank: it leads back to the graph's order, and changes no result."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from test_kernels_solve import with_kept

import fastmml as fm
from fastmml import _backend
from fastmml._kernels import CYCLIC, INDEPENDENT, Kernels
from fastmml.graph import plan as planning


def hub_graph(weighted: bool) -> fm.Graph:
    """A node with half of all links, so that some blocks are empty; sinks; links of weight zero."""
    rng = np.random.default_rng(5)
    src, dst = rng.integers(0, 400, (2, 3000))
    dst[rng.random(3000) < 0.5] = 17
    return fm.Graph(src, dst, rng.integers(0, 3, 3000) if weighted else None, num_nodes=450)


def test_scatter_undoes_the_order() -> None:
    order = np.random.default_rng(0).permutation(1000).astype(np.uint32)
    values = np.random.default_rng(1).random(1000)
    np.testing.assert_array_equal(planning.scatter(values[order], order), values)


@pytest.mark.parametrize("by", ["components", "degree"])
@pytest.mark.parametrize("weighted", [False, True])
def test_prepared_graphs_rank_with_the_same_bits(
    by: str, weighted: bool, variant: Kernels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "_SMALL_NODES", 0)
    monkeypatch.setattr(planning, "_is_random", lambda g: by == "degree")
    monkeypatch.setattr(planning, "_WAVE_WORK", 500)
    monkeypatch.setattr(planning, "_BLOCK_WORK", 50)
    with _backend.use_kernels(variant):
        g = hub_graph(weighted)
        expected = fm.pagerank(g, method="gauss-seidel")
        result = fm.pagerank(g.prepare(), method="gauss-seidel")
    assert g._prepared is not None
    assert result.info["order"] == by
    assert result.scores.tobytes() == expected.scores.tobytes()
    assert (result.error_bound, result.iterations) == (expected.error_bound, expected.iterations)


@pytest.mark.parametrize("by", ["components", "degree"])
def test_blocks_partition_the_nodes(by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "_SMALL_NODES", 0)
    monkeypatch.setattr(planning, "_is_random", lambda g: by == "degree")
    monkeypatch.setattr(planning, "_WAVE_WORK", 500)
    monkeypatch.setattr(planning, "_BLOCK_WORK", 10)
    prepared = planning.prepare(hub_graph(weighted=False))
    plan = prepared.plan
    assert plan.blocks[0] == plan.segments[0] == 0
    assert plan.blocks[-1] == 450
    assert (np.diff(plan.blocks) >= 0).all()
    assert (np.diff(plan.segments) > 0).all()
    assert plan.segments[-1] == len(plan.blocks) - 1
    assert len(plan.kinds) == len(plan.waves) == len(plan.segments) - 1
    assert (plan.waves[plan.kinds != CYCLIC] == 1).all()
    assert (np.diff(plan.segments)[plan.kinds == INDEPENDENT] > 1).any()
    assert 0 < prepared.cyclic_nodes < 450


@pytest.mark.parametrize("weighted", [False, True])
def test_random_graphs_know_what_stays_in_their_segment(
    weighted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "_SMALL_NODES", 0)
    monkeypatch.setattr(planning, "_is_random", lambda g: True)
    plan = planning.prepare(hub_graph(weighted)).plan
    assert plan.kept is not None
    start, end = plan.blocks[plan.segments[1:3]]
    assert plan.kinds[1] == CYCLIC
    expected = with_kept(plan).kept
    assert expected is not None
    np.testing.assert_allclose(plan.kept[start:end], expected[start:end], rtol=1e-14, atol=1e-13)


def test_what_is_prepared_is_kept_but_not_pickled() -> None:
    g = fm.rmat(7)
    assert g.prepare() is g
    kept = g._prepared
    assert kept is not None
    assert kept.nbytes > g.indices.nbytes
    assert g.prepare()._prepared is kept
    assert pickle.loads(pickle.dumps(g))._prepared is None
