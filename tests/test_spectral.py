"""HITS and eigenvector centrality, against dense eigenvectors and NetworkX."""

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from test_kernels_order import graphs

import fastmml as fm
from fastmml import _backend


def random_graph(nodes, seed):
    return nx.gnp_random_graph(nodes, 6 / nodes, seed=seed, directed=True)


@pytest.mark.parametrize("nodes", [20, 300])
def test_hits_agrees_with_networkx(variant, nodes):
    graph = random_graph(nodes, 5)
    hubs, authorities = nx.hits(graph, tol=1e-12)
    with _backend.use_kernels(variant):
        ours = fm.hits(graph, tol=1e-12)
    assert np.allclose(ours.hubs, list(hubs.values()), atol=1e-9)
    assert np.allclose(ours.authorities, list(authorities.values()), atol=1e-9)
    assert ours.residual <= 1e-11
    assert ours.top(1)[0][0] == max(authorities, key=authorities.get)


@pytest.mark.parametrize("nodes", [20, 300])
def test_eigenvector_centrality_agrees_with_networkx(variant, nodes):
    graph = random_graph(nodes, 6)
    theirs = nx.eigenvector_centrality(graph, max_iter=5000, tol=1e-13)
    with _backend.use_kernels(variant):
        ours = fm.eigenvector_centrality(graph, tol=1e-12)
    assert np.allclose(ours.scores, list(theirs.values()), atol=1e-8)
    assert ours.residual <= 1e-10


@settings(max_examples=100, deadline=None)
@given(g=graphs())
def test_hits_of_small_graphs(g):
    result = fm.hits(g)
    a = g.to_scipy().toarray()
    assert result.hubs.sum() == pytest.approx(1)
    assert result.authorities.sum() == pytest.approx(1)
    assert (result.authorities >= 0).all()
    assert (result.hubs >= 0).all()
    if a.any():
        largest = np.linalg.eigvalsh(a.T @ a)[-1]
        image = a.T @ (a @ result.authorities)
        assert np.allclose(image, largest * result.authorities, atol=1e-7 * largest)
        image = a @ result.authorities
        assert np.allclose(image / image.sum(), result.hubs, atol=1e-9)


@settings(max_examples=100, deadline=None)
@given(g=graphs())
def test_eigenvector_centrality_of_small_graphs(g):
    a = g.to_scipy().toarray()
    reachable = np.linalg.matrix_power((a > 0).astype(float) @ np.eye(len(a)), len(a))
    if not reachable.any():  # no walk is as long as there are nodes
        with pytest.raises(ValueError, match="expected a cycle"):
            fm.eigenvector_centrality(g)
        return
    result = fm.eigenvector_centrality(g)
    assert (result.scores >= 0).all()
    assert np.linalg.norm(result.scores) == pytest.approx(1)
    assert result.eigenvalue == pytest.approx(np.linalg.eigvals(a).real.max(), rel=1e-3)


def test_equal_components_share_alike():
    result = fm.eigenvector_centrality(fm.Graph([0, 1, 2, 3], [1, 0, 3, 2]))
    assert np.allclose(result.scores, 0.5)
    assert np.allclose(fm.hits(fm.Graph([0, 1], [0, 1])).authorities, 0.5)


def test_weights_count_and_parallel_links_add():
    twice, heavy = fm.Graph([0, 0, 1, 1], [1, 1, 0, 1]), fm.Graph([0, 1, 1], [1, 0, 1], [2, 1, 1])
    for rank in (fm.hits, fm.eigenvector_centrality):
        assert np.allclose(rank(twice).scores, rank(heavy).scores)


def test_empty_and_without_links():
    assert fm.hits(fm.Graph([], [])).hubs.shape == (0,)
    assert fm.eigenvector_centrality(fm.Graph([], [])).scores.shape == (0,)
    assert fm.hits(fm.Graph([], [], num_nodes=4)).hubs.tolist() == [0.25] * 4
    with pytest.raises(ValueError, match="expected a cycle"):
        fm.eigenvector_centrality(fm.Graph(np.arange(99), np.arange(1, 100)))


def test_too_few_restarts():
    graph = nx.cycle_graph(500)
    with pytest.raises(fm.ConvergenceError, match="in 1 restarts"):
        fm.eigenvector_centrality(nx.path_graph(500), tol=1e-14, max_iter=1)
    assert fm.hits(graph).residual < 1e-8


@pytest.mark.parametrize("rank", [fm.hits, fm.eigenvector_centrality])
@pytest.mark.parametrize("arguments", [{"tol": 0}, {"max_iter": 0}])
def test_bad_arguments(rank, arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        rank(fm.Graph([0], [1]), **arguments)


@pytest.mark.parametrize("nodes", [10, 30])
def test_hits_shares_ties_as_its_start_does(nodes):
    sources = np.arange(0, nodes, 2)
    graph = fm.Graph(sources, sources + 1)  # pairs that know nothing of each other
    result = fm.hits(graph, x0=np.arange(1, nodes + 1))
    expected = np.zeros(nodes)
    expected[sources + 1] = sources + 2
    assert np.allclose(result.authorities, expected / expected.sum())
    assert np.allclose(result.hubs[sources], result.authorities[sources + 1])


@pytest.mark.parametrize("nodes", [10, 30])
def test_hits_tells_the_largest_singular_value(nodes):
    graph = fm.Graph.from_networkx(random_graph(nodes, 7))
    largest = np.linalg.svd(graph.to_scipy().toarray(), compute_uv=False)[0]
    assert fm.hits(graph).singular_value == pytest.approx(largest)


@pytest.mark.parametrize(
    ("x0", "message"), [([1, 1], "shape"), ([1, 0, 1], "positive"), ([1, -1, 1], "at least 0")]
)
def test_hits_refuses_a_wrong_start(x0, message):
    with pytest.raises(ValueError, match=f"x0: .*{message}"):
        fm.hits(fm.Graph([0, 1], [1, 2]), x0=x0)
