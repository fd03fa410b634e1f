"""Personalised PageRank by local push: right to its own bound, against PageRank of all nodes."""

from __future__ import annotations

import math
import pickle
import threading
from typing import Any

import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse.linalg import spsolve
from test_kernels_order import graphs

import fastmml as fm
from fastmml import _backend
from fastmml._kernels import Kernels
from fastmml.graph.out_links import collect_out_links

#: Rounding errors of the sums that the tests make themselves.
ROUNDING = 1e-12


def dense(result: fm.LocalPageRankResult, g: fm.Graph) -> NDArray[np.float64]:
    """Scores of all nodes."""
    scores = np.zeros(g.num_nodes)
    scores[result.nodes] = result.scores
    return scores


def assert_within_bound(
    result: fm.LocalPageRankResult, g: fm.Graph, seeds: dict[Any, float], damping: float
) -> None:
    """Scores are distinct, positive, within the bound of the exact ones, and below them."""
    exact = fm.pagerank(g, damping, personalization=seeds, tol=1e-11)
    missing = exact.scores - dense(result, g)
    slack = exact.error_bound + ROUNDING
    assert np.abs(missing).sum() <= result.error_bound + slack
    assert missing.min() >= -slack
    assert result.scores.sum() + result.error_bound == pytest.approx(1, abs=ROUNDING)
    assert (result.scores > 0).all()
    assert len(set(result.nodes.tolist())) == len(result.nodes)


@st.composite
def seeds_of(draw: st.DrawFn, g: fm.Graph) -> dict[int, float]:
    """Weights of a few nodes, of which the first is positive."""
    nodes = st.integers(0, g.num_nodes - 1)
    chosen = draw(st.lists(nodes, min_size=1, max_size=4, unique=True))
    others = draw(st.lists(st.sampled_from([0.0, 0.5, 3.0]), min_size=3, max_size=3))
    return dict(zip(chosen, [1.0, *others], strict=False))


@settings(max_examples=150, deadline=None)
@given(
    g=graphs(),
    data=st.data(),
    damping=st.floats(0, 0.98),
    tol=st.sampled_from([0.9, 1e-2, 1e-4, 1e-10]),
)
def test_agrees_with_pagerank(g: fm.Graph, data: st.DataObject, damping: float, tol: float) -> None:
    seeds = data.draw(seeds_of(g))
    result = fm.local_pagerank(g, seeds, damping, tol)
    assert result.converged
    assert result.error_bound <= tol
    assert_within_bound(result, g, seeds, damping)


@settings(max_examples=100, deadline=None)
@given(g=graphs(), data=st.data(), max_links=st.integers(1, 60))
def test_reads_no_more_than_it_may(g: fm.Graph, data: st.DataObject, max_links: int) -> None:
    seeds = data.draw(seeds_of(g))
    result = fm.local_pagerank(g, seeds, tol=1e-9, max_links=max_links)
    assert result.links <= max_links
    assert result.converged == (result.error_bound <= 1e-9)
    assert_within_bound(result, g, seeds, 0.85)


@pytest.fixture(scope="module", params=["plain", "weighted"])
def web(request: pytest.FixtureRequest) -> fm.Graph:
    """A random graph with hubs, loops, parallel links and dangling nodes."""
    g = fm.rmat(12, edge_factor=6, seed=3)
    if request.param == "plain":
        return g
    targets = np.repeat(np.arange(g.num_nodes), np.diff(g.indptr))
    weights = np.arange(g.num_edges) % 5 * 0.25
    return fm.Graph(g.indices, targets, weights, num_nodes=g.num_nodes)


@pytest.mark.parametrize("tol", [1e-1, 1e-4, 1e-9])
def test_every_variant_is_within_its_bound(variant: Kernels, web: fm.Graph, tol: float) -> None:
    start = int(np.argmax(web.out_strength()))
    dangling = int(np.argmin(web.out_strength()))
    for seeds in ({start: 1.0}, {dangling: 1.0}, {start: 2.0, dangling: 1.0, 7: 0.5}):
        with _backend.use_kernels(variant):
            result = fm.local_pagerank(web, seeds, tol=tol)
        assert result.error_bound <= tol
        assert_within_bound(result, web, seeds, 0.85)


def test_images_are_the_map_of_the_ranks(variant: Kernels, web: fm.Graph) -> None:
    """And the ranks are below the solution, by what the stopping rule allows."""
    links, n = collect_out_links(web), web.num_nodes
    seeds, base = np.array([1, 40], np.uint32), np.array([0.1, 0.05])
    nodes, ranks, images = np.empty(n, np.uint32), np.empty(n), np.empty(n)
    count, _ = variant.rank_push(*links, seeds, base, 0.85, 1e-5, 2**62, nodes, ranks, images)
    assert nodes[:2].tolist() == [1, 40]
    strength = web.out_strength()
    inverse = np.divide(1, strength, where=strength > 0, out=strength)
    transition = 0.85 * web.to_scipy().T.multiply(inverse)
    found, image, start = np.zeros((3, n))
    found[nodes[:count]], image[nodes[:count]] = ranks[:count], images[:count]
    start[seeds] = base
    np.testing.assert_allclose(image, transition @ found + start, rtol=1e-13)
    solution = spsolve(sp.eye_array(n, format="csc") - transition.tocsc(), start)
    assert (found <= solution + ROUNDING).all()
    rests = (image - found).sum()
    assert 0.85 * rests <= 1e-5 * (0.15 * found.sum() + rests) + ROUNDING


def test_variants_find_the_same(variant: Kernels, web: fm.Graph) -> None:
    with _backend.use_kernels(variant):
        ours = fm.local_pagerank(web, [1, 5], tol=1e-6)
    with fm.use_backend("numba"):
        theirs = fm.local_pagerank(web, [1, 5], tol=1e-6)
    assert ours.nodes.tolist() == theirs.nodes.tolist()
    assert ours.links == theirs.links
    np.testing.assert_allclose(ours.scores, theirs.scores, rtol=1e-12)


def test_the_bits_do_not_depend_on_threads(variant: Kernels, web: fm.Graph) -> None:
    """Neither on the number of threads, nor on calls at the same time."""
    with _backend.use_kernels(variant):
        expected = fm.local_pagerank(web, 1, tol=1e-8).scores.tobytes()
        found = []

        def rank(num_threads: int) -> None:
            with _backend.use_kernels(variant), fm.threads(num_threads):
                g = pickle.loads(pickle.dumps(web))  # without the links by source
                found.extend([fm.local_pagerank(h, 1, tol=1e-8) for h in (web, g)])

        workers = [threading.Thread(target=rank, args=(count,)) for count in (1, 2, 3)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    assert [result.scores.tobytes() for result in found] == [expected] * 6


def test_agrees_with_networkx(variant: Kernels) -> None:
    graph = nx.gnp_random_graph(80, 0.05, seed=1, directed=True)
    theirs = nx.pagerank(graph, personalization={3: 2.0, 9: 1.0}, tol=1e-12, max_iter=1000)
    with _backend.use_kernels(variant):
        ours = fm.local_pagerank(graph, {3: 2.0, 9: 1.0}, tol=1e-9)
    assert dict(ours.top(80)) == pytest.approx(
        {node: score for node, score in theirs.items() if score > 0}, abs=1e-9
    )


def test_stays_near_the_seed(variant: Kernels) -> None:
    """What lies beyond the tolerance is not looked at, however large the graph."""
    n = 1 << 20
    ring = fm.Graph(np.arange(n), (np.arange(n) + 1) % n)
    with _backend.use_kernels(variant):
        result = fm.local_pagerank(ring, 5, damping=0.5, tol=1e-6)
    assert result.links < 100
    expected = 0.5 ** np.arange(1, len(result.nodes) + 1)
    assert result.nodes.tolist() == list(range(5, 5 + len(expected)))
    np.testing.assert_allclose(result.scores, expected, rtol=1e-12)


def test_single_node_loops_and_dangling_seeds(variant: Kernels) -> None:
    with _backend.use_kernels(variant):
        alone = fm.local_pagerank(fm.Graph([], [], num_nodes=1), 0)
        loop = fm.local_pagerank(fm.Graph([0, 0], [0, 0]), 0, tol=1e-9)
        dangling = fm.local_pagerank(fm.Graph([0], [1]), 1)
        weightless = fm.local_pagerank(fm.Graph([0, 1], [1, 0], [0.0, 1.0]), 0)
    for result in (alone, loop, dangling, weightless):
        assert len(result.nodes) == 1
        assert result.scores[0] == pytest.approx(1, abs=1e-9)
    assert (alone.links, dangling.links, weightless.links) == (0, 0, 0)


def test_no_damping_gives_the_seeds(variant: Kernels) -> None:
    with _backend.use_kernels(variant):
        result = fm.local_pagerank(fm.Graph([0, 1], [1, 2]), {2: 1, 0: 3, 1: 0}, damping=0)
    assert result.top() == [(0, 0.75), (2, 0.25)]
    assert result.links == 0


def test_one_link_is_not_enough_for_two(variant: Kernels) -> None:
    g = fm.Graph([0, 0], [1, 2])
    with _backend.use_kernels(variant):
        short, enough = (fm.local_pagerank(g, 0, max_links=k) for k in (3, 4))
    assert (short.links, short.converged) == (0, False)
    assert short.error_bound == pytest.approx(0.85)
    assert (enough.links, enough.converged) == (4, True)
    assert dict(enough.top()) == pytest.approx({0: 1 / 1.85, 1: 0.425 / 1.85, 2: 0.425 / 1.85})


def test_seeds_in_every_form() -> None:
    g = fm.Graph([0, 1, 2], [1, 2, 0], labels=["a", "b", ("c", 1)])
    one = fm.local_pagerank(g, "a").top()
    for seeds in (["a"], {"a"}, {"a": 7}, {"a": 1e308, "b": 0}, np.array("a"), np.array(["a"])):
        assert fm.local_pagerank(g, seeds).top() == one
    assert one[0][0] == "a"
    assert fm.local_pagerank(g, ("c", 1)).top()[0][0] == ("c", 1)
    both = fm.local_pagerank(g, {"a": 1e308, "b": 1e308}).top()
    assert both == fm.local_pagerank(g, ["b", "a"]).top()  # to the last bit


def test_top_and_repr() -> None:
    result = fm.local_pagerank(fm.Graph([0, 0, 0], [3, 2, 1]), 0)
    assert [node for node, _ in result.top(2)] == [0, 1]
    assert len(result.top(99)) == 4
    with pytest.raises(ValueError, match="k: expected at least 1"):
        result.top(0)
    assert "_graph" not in repr(result)


def test_links_by_source_are_kept_but_not_pickled() -> None:
    g = fm.Graph([0, 1, 1], [1, 2, 2], [1.0, 2.0, 0.0])
    result = fm.local_pagerank(g, 0)
    assert result.info["out_link_bytes"] == 4 * 8 + 3 * 4 + 3 * 8 + 3 * 8
    assert set(result.info["seconds"]) == {"out_links", "push"}
    kept = g._out_links
    assert kept is not None
    fm.local_pagerank(g, 1)
    assert g._out_links is kept
    assert pickle.loads(pickle.dumps(g))._out_links is None


def test_rounding_errors_are_made_room_for(variant: Kernels, web: fm.Graph) -> None:
    """They take a third of this tolerance, more than the first search leaves to them."""
    with _backend.use_kernels(variant):
        result = fm.local_pagerank(web, 1, tol=1e-12)
    assert result.converged
    assert result.error_bound <= 1e-12


def test_a_tolerance_beyond_float64_is_not_claimed(variant: Kernels) -> None:
    g = fm.Graph([0, 1, 2, 0], [1, 2, 0, 2])
    with (
        _backend.use_kernels(variant),
        pytest.raises(fm.ConvergenceError, match="local_pagerank: the error bound is") as caught,
    ):
        fm.local_pagerank(g, 0, tol=1e-300)
    result = caught.value.result
    assert isinstance(result, fm.LocalPageRankResult)
    assert result.error_bound < 1e-12
    assert_within_bound(result, g, {0: 1.0}, 0.85)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"damping": 1}, ValueError, "damping: expected 0 <= damping < 1"),
        ({"damping": "x"}, TypeError, "damping"),
        ({"tol": 0}, ValueError, "tol: expected a positive number"),
        ({"tol": math.nan}, ValueError, "tol"),
        ({"max_links": 0}, ValueError, "max_links: expected at least 1"),
        ({"max_links": 2.5}, TypeError, "max_links"),
        ({"seeds": 3}, KeyError, "3"),
        ({"seeds": -1}, KeyError, "-1"),
        ({"seeds": "a"}, KeyError, "a"),
        ({"seeds": [0, 0]}, ValueError, "seeds: expected distinct labels"),
        ({"seeds": []}, ValueError, "seeds: expected a positive sum of weights, got 0"),
        ({"seeds": {}}, ValueError, "seeds: expected a positive sum"),
        ({"seeds": {0: 0}}, ValueError, "seeds: expected a positive sum"),
        ({"seeds": {0: -1}}, ValueError, "seeds: expected finite values of at least 0"),
        ({"seeds": {0: math.inf}}, ValueError, "seeds: expected finite"),
        ({"seeds": {0: "x"}}, TypeError, "seeds: expected real numbers"),
        ({"seeds": {0: [1, 2]}}, ValueError, "seeds: expected one number"),
        ({"graph": [1, 2]}, TypeError, "graph: expected"),
        ({"graph": fm.Graph([], [])}, KeyError, "0"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        fm.local_pagerank(**{"graph": fm.Graph([0, 1], [1, 2]), "seeds": 0} | arguments)
