"""Katz centrality: right to its own bound, against a dense solve and NetworkX."""

import math

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_kernels_order import graphs

import fastmml as fm
from fastmml import _backend


def dense_katz(g, alpha, beta):
    matrix = g.to_scipy().toarray()
    return np.linalg.solve(
        np.eye(g.num_nodes) - alpha * matrix.T, np.broadcast_to(beta, len(matrix))
    )


def largest_eigenvalue(g):
    return np.abs(np.linalg.eigvals(g.to_scipy().toarray())).max(initial=0)


@settings(max_examples=150, deadline=None)
@given(g=graphs(), part=st.floats(0, 0.98), uniform=st.booleans(), normalized=st.booleans())
def test_agrees_with_dense_solve(g, part, uniform, normalized):
    largest = largest_eigenvalue(g)
    alpha = part / largest if largest > 1e-3 else part
    beta = 2.0 if uniform else 1.0 + np.arange(g.num_nodes)
    result = fm.katz_centrality(g, alpha, beta, tol=1e-9, normalized=normalized)
    exact = dense_katz(g, alpha, beta)
    if normalized:
        exact /= np.linalg.norm(exact)
    assert result.converged
    assert result.error_bound <= 1e-9
    assert (np.abs(result.scores - exact) <= (result.error_bound + 1e-11) * exact).all()


def test_agrees_with_networkx(variant):
    graph = nx.gnp_random_graph(60, 0.1, seed=4, directed=True)
    theirs = nx.katz_centrality(graph, alpha=0.05, tol=1e-12)
    with _backend.use_kernels(variant):
        ours = fm.katz_centrality(graph, alpha=0.05, tol=1e-10)
    assert np.allclose(ours.scores, list(theirs.values()), rtol=1e-9)
    best = sorted(theirs, key=theirs.get, reverse=True)
    assert [node for node, _ in ours.top(3)] == best[:3]


@pytest.mark.parametrize("alpha", [0.5, 0.51, 3.0, 1e300])
def test_alpha_beyond_the_largest_eigenvalue_is_not_claimed(alpha):
    g = fm.Graph([0, 0, 1, 1], [0, 1, 0, 1])  # largest eigenvalue: 2
    with pytest.raises(fm.ConvergenceError, match="alpha = .* may be too large"):
        fm.katz_centrality(g, alpha, max_iter=50)


def test_not_converged_carries_the_result():
    g = fm.Graph(np.arange(50), (np.arange(50) + 1) % 50)
    with pytest.raises(fm.ConvergenceError) as caught:
        fm.katz_centrality(g, 0.99, max_iter=2, normalized=False)
    partial = caught.value.result
    assert partial.iterations == 2
    exact = dense_katz(g, 0.99, 1.0)
    assert (np.abs(partial.scores - exact) <= partial.error_bound * exact).all()


def test_acyclic_graphs_take_any_alpha():
    g = fm.Graph([0, 1], [1, 2])
    result = fm.katz_centrality(g, 5.0, normalized=False)
    assert np.allclose(result.scores, [1, 6, 31], rtol=1e-9)


def test_empty_and_single():
    assert fm.katz_centrality(fm.Graph([], [])).scores.shape == (0,)
    assert fm.katz_centrality(fm.Graph([], [], num_nodes=1)).top() == [(0, 1.0)]


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"alpha": -0.1}, ValueError, "alpha: expected a finite number of at least 0"),
        ({"alpha": math.inf}, ValueError, "alpha"),
        ({"alpha": "x"}, TypeError, "alpha"),
        ({"beta": 0}, ValueError, "beta: expected positive"),
        ({"beta": [1, 2]}, ValueError, r"beta: expected a number or shape \(3,\), got \(2,\)"),
        ({"beta": np.ones((3, 1))}, ValueError, "beta: expected a number or shape"),
        ({"beta": [1, np.nan, 1]}, ValueError, "beta: expected finite"),
        ({"tol": 0}, ValueError, "tol"),
        ({"max_iter": 0}, ValueError, "max_iter"),
    ],
)
def test_bad_arguments(arguments, error, words):
    with pytest.raises(error, match=words):
        fm.katz_centrality(fm.Graph([0, 1], [1, 2]), **arguments)
