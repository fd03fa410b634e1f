"""NetworkX's backend ``fastmml`` beside NetworkX itself: the same results and exceptions."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
from importlib.metadata import entry_points

import networkx as nx
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import fastmml as fm
from fastmml import _backend
from fastmml.integrations import networkx as backend

FUNCTIONS = [
    nx.pagerank,
    nx.hits,
    nx.eigenvector_centrality,
    nx.eigenvector_centrality_numpy,
    nx.katz_centrality,
    nx.katz_centrality_numpy,
]
#: NetworkX says at each use of its cache that it is used.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Note. conversions to backend graphs are saved:UserWarning",
    "ignore::RuntimeWarning:networkx",
)


def outcome(function, graph, name, **arguments):
    """Scores, or the type of the exception."""
    try:
        return function(graph, backend=name, **arguments)
    except (nx.NetworkXException, ArithmeticError, LookupError, ValueError) as error:
        return type(error)


def assert_same(function, graph, atol, **arguments):
    """Both raise the same, or all scores agree, with the same keys in the same order."""
    ours = outcome(function, graph, "fastmml", **arguments)
    theirs = outcome(function, graph, "networkx", **arguments)
    if isinstance(theirs, type):
        assert ours is theirs
        return
    pairs = [(ours, theirs)] if isinstance(theirs, dict) else list(zip(ours, theirs, strict=True))
    for mine, expected in pairs:
        assert list(mine) == list(expected)
        assert all(type(score) is float for score in mine.values())
        assert np.allclose(list(mine.values()), list(expected.values()), rtol=0, atol=atol)


@st.composite
def nx_graphs(draw, multi=True):
    """Small graphs of every kind, nodes in any order, some edges without the attribute."""
    kinds = [nx.Graph, nx.DiGraph, nx.MultiGraph, nx.MultiDiGraph]
    graph = draw(st.sampled_from(kinds if multi else kinds[:2]))()
    names = ["b", 7, "a", (1, 2), None, 0, 2.5]
    graph.add_nodes_from(name for name in names[: draw(st.integers(0, 7))] if name is not None)
    nodes = list(graph)
    if nodes:
        node, weight = st.sampled_from(nodes), st.sampled_from([None, 0, 0.5, 1, 3])
        for u, v, w in draw(st.lists(st.tuples(node, node, weight), max_size=15)):
            graph.add_edge(u, v, **({} if w is None else {"weight": w}))
    return graph


def values(draw, graph, numbers=(0, 0.5, 1, 3), whole=False):
    """Sometimes None, else a dict from (some) nodes to numbers."""
    if draw(st.booleans()):
        return None
    nodes = [v for v in graph if whole or draw(st.booleans())]
    return {v: draw(st.sampled_from(numbers)) for v in nodes}


def most_steps(alpha, error):
    """Steps of PageRank whose rounding errors, times alpha at each later one, stay below ``error``.

    Beyond them it is rounding that says where an iteration with alpha above 1 ends. Some 16
    roundings of a step count, of ranks whose 1-norm may grow likewise.
    """
    if alpha <= 1:
        return math.inf
    grown = (16 * sys.float_info.epsilon * step * alpha**step for step in itertools.count(1))
    return sum(1 for _ in itertools.takewhile(lambda grows: grows <= error, grown))


@settings(max_examples=300, deadline=None)
@given(data=st.data(), graph=nx_graphs())
def test_pagerank_is_that_of_networkx(data, graph):
    alpha = data.draw(st.sampled_from([0, 0.3, 0.85, 0.95, 1, 1.1]))
    tol = data.draw(st.sampled_from([1e-3, 1e-6, 1e-10]))
    distance = len(graph) * tol * alpha / (1 - alpha) + tol if alpha < 1 else 1e-9
    max_iter = data.draw(st.sampled_from([0, 1, 3, 30, 100, 700]))
    arguments = {
        "max_iter": min(max_iter, most_steps(alpha, distance)),
        "personalization": values(data.draw, graph),
        "dangling": values(data.draw, graph),
        "nstart": values(data.draw, graph, (-0.5, 0, 1, 3)),
        "weight": data.draw(st.sampled_from(["weight", None, "absent"])),
    }
    assert_same(nx.pagerank, graph, distance + 1e-12, alpha=alpha, tol=tol, **arguments)


@settings(max_examples=200, deadline=None)
@given(data=st.data(), graph=nx_graphs(multi=False))
def test_eigenvector_centrality_is_that_of_networkx(data, graph):
    arguments = {
        "max_iter": data.draw(st.sampled_from([0, 1, 10, 100, 1000])),
        "tol": data.draw(st.sampled_from([1e-3, 1e-6])),
        "nstart": values(data.draw, graph, whole=True),
        "weight": data.draw(st.sampled_from(["weight", None])),
    }
    assert_same(nx.eigenvector_centrality, graph, 1e-9, **arguments)


@settings(max_examples=200, deadline=None)
@given(data=st.data(), graph=nx_graphs(multi=False))
def test_katz_centrality_is_that_of_networkx(data, graph):
    arguments = {
        "alpha": data.draw(st.sampled_from([-0.1, 0, 0.1, 0.3, 0.9])),
        "beta": values(data.draw, graph, (-1, 0, 1, 2.5), whole=True) or 1.5,
        "max_iter": data.draw(st.sampled_from([0, 1, 10, 1000])),
        "nstart": values(data.draw, graph, whole=True),
        "normalized": data.draw(st.booleans()),
        "weight": data.draw(st.sampled_from(["weight", None])),
    }
    assert_same(nx.katz_centrality, graph, 1e-9, **arguments)


@settings(max_examples=100, deadline=None)
@given(data=st.data(), graph=nx_graphs())
def test_hits_is_that_of_networkx(data, graph):
    start = data.draw(st.booleans())
    nstart = {v: 1.0 + i for i, v in enumerate(graph)} if start else None
    if len(graph) > 0:
        assume(len(graph) > 1)  # SciPy refuses one node
        sizes = np.linalg.svd(nx.to_numpy_array(graph), compute_uv=False)
        assume(sizes[1] < 0.99 * sizes[0])  # else any combination of vectors will do
    assert_same(nx.hits, graph, 1e-6, nstart=nstart)
    assert_same(nx.hits, graph, 0, max_iter=0)
    hubs, authorities = nx.hits(graph, normalized=False, backend="fastmml")
    assert np.allclose(
        [np.abs(list(s.values())) for s in nx.hits(graph, normalized=False, backend="networkx")],
        [list(hubs.values()), list(authorities.values())],
        atol=1e-6,
    )


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_variant_agrees_on_a_larger_graph(variant, function):
    graph = nx.gnp_random_graph(80, 0.1, seed=3, directed=True)
    for i, (_, _, attributes) in enumerate(graph.edges(data=True)):
        attributes["weight"] = 1 + i % 3
    arguments = {"alpha": 0.01} if "katz" in function.name else {}
    with _backend.use_kernels(variant):
        assert_same(function, graph, 1e-5, **arguments)


@pytest.mark.parametrize(
    ("function", "graph", "arguments"),
    [
        (nx.pagerank, nx.path_graph(3), {"personalization": {0: 0}}),
        (nx.pagerank, nx.path_graph(3), {"personalization": {0: -1, 1: 3}}),
        (nx.pagerank, nx.path_graph(3), {"nstart": {0: 0}}),
        (nx.pagerank, nx.path_graph(3), {"tol": 0.0}),
        (nx.hits, nx.path_graph(50), {"max_iter": 1}),
        (nx.hits, nx.path_graph(50), {"nstart": {0: 1}}),
        (nx.eigenvector_centrality, nx.Graph(), {}),
        (nx.eigenvector_centrality, nx.MultiGraph([(0, 1)]), {}),
        (nx.eigenvector_centrality, nx.path_graph(3), {"nstart": {0: 0, 1: 0, 2: 0}}),
        (nx.eigenvector_centrality, nx.path_graph(3), {"nstart": {0: -1, 1: 1, 2: 0}}),
        (nx.eigenvector_centrality, nx.path_graph(3), {"nstart": {0: 1}}),
        (nx.eigenvector_centrality, nx.DiGraph([(0, 1), (1, 2)]), {"tol": 1e-12}),
        (nx.eigenvector_centrality_numpy, nx.Graph(), {}),
        (nx.eigenvector_centrality_numpy, nx.empty_graph(3), {}),
        (nx.eigenvector_centrality_numpy, nx.DiGraph([(0, 1), (1, 2)]), {}),
        (nx.katz_centrality, nx.path_graph(3), {"beta": {0: 1}}),
        (nx.katz_centrality, nx.path_graph(3), {"beta": "text"}),
        (nx.katz_centrality, nx.path_graph(3), {"nstart": {0: 1}}),
        (nx.katz_centrality, nx.MultiDiGraph([(0, 1)]), {}),
        (nx.katz_centrality_numpy, nx.path_graph(3), {"beta": {0: 1}}),
        (nx.katz_centrality_numpy, nx.path_graph(3), {"beta": "text"}),
    ],
)
def test_unusual_arguments_do_what_they_do_in_networkx(function, graph, arguments):
    assert_same(function, graph, 1e-9, **arguments)


def test_where_ranks_are_solved_for_they_are_nearer_than_networkx():
    graph = nx.gnp_random_graph(200, 0.02, seed=1, directed=True)
    exact = fm.pagerank(fm.Graph.from_networkx(graph), tol=1e-13).scores
    ours = np.array(list(nx.pagerank(graph, backend="fastmml").values()))
    theirs = np.array(list(nx.pagerank(graph, backend="networkx").values()))
    assert np.abs(ours - exact).sum() <= 1e-6 < np.abs(theirs - exact).sum()


def test_a_graph_is_converted_once(monkeypatch):
    converted = []
    convert = backend.convert_from_nx

    def count(graph, **options):
        converted.append(options["edge_attrs"])
        return convert(graph, **options)

    monkeypatch.setattr(backend, "convert_from_nx", count)
    graph = nx.path_graph(4, nx.DiGraph)
    graph.add_edge(0, 2, weight=5)
    unweighted = nx.katz_centrality(graph, backend="networkx")
    weighted = nx.katz_centrality(graph, weight="weight", backend="networkx")
    for _ in range(2):
        nx.pagerank(graph, backend="fastmml")
        nx.hits(graph, backend="fastmml")
        assert nx.katz_centrality(graph, backend="fastmml") == pytest.approx(unweighted)
        assert nx.katz_centrality(graph, weight="weight", backend="fastmml") == pytest.approx(
            weighted
        )
    assert converted == [{"weight": 1}]
    graph.add_edge(3, 0)  # clears NetworkX's cache
    assert nx.pagerank(graph, backend="fastmml")[0] > 0.1
    assert len(converted) == 2


@given(graph=nx_graphs())
@settings(max_examples=100, deadline=None)
def test_conversion_goes_both_ways(graph):
    graph.add_edges_from(graph.edges, weight=2) if not graph.is_multigraph() else None
    back = backend.convert_to_nx(backend.convert_from_nx(graph, edge_attrs={"weight": 1}))
    assert type(back) is type(graph)
    assert list(back) == list(graph)
    assert (nx.to_numpy_array(back) == nx.to_numpy_array(graph)).all()
    assert back.number_of_edges() == graph.number_of_edges()


@pytest.mark.parametrize("weight", [-1, float("nan"), None, "heavy"])
def test_what_fastmml_cannot_hold_is_left_to_networkx(weight):
    graph = nx.Graph([(0, 1), (1, 2)])
    graph.add_edge(0, 2, size=weight)
    with pytest.raises(NotImplementedError, match="fastmml"):
        nx.pagerank(graph, weight="size", backend="fastmml")
    graph[0][2]["size"] = -0.5
    graph.__networkx_cache__.clear()
    expected = nx.katz_centrality(graph, weight="size", backend="networkx")
    with nx.config.backend_priority(algos=["fastmml"]):
        assert nx.katz_centrality(graph, weight="size") == expected


def test_divergent_katz_is_left_to_the_direct_solver():
    graph = nx.complete_graph(4)
    with pytest.raises(NotImplementedError):
        nx.katz_centrality_numpy(graph, 0.9, backend="fastmml")
    expected = nx.katz_centrality_numpy(graph, 0.9, backend="networkx")
    with nx.config.backend_priority(algos=["fastmml"]):
        assert nx.katz_centrality_numpy(graph, 0.9) == expected


def test_small_graphs_that_scipy_refuses_have_scores():
    assert nx.hits(nx.empty_graph(1), backend="fastmml") == ({0: 1.0}, {0: 1.0})
    assert nx.eigenvector_centrality_numpy(nx.empty_graph(1), backend="fastmml") == {0: 1.0}
    scores = nx.eigenvector_centrality_numpy(nx.path_graph(2), backend="fastmml")
    assert scores == pytest.approx({0: 0.5**0.5, 1: 0.5**0.5})


def test_threads_come_from_the_configuration(monkeypatch):
    seen = []
    pagerank = fm.pagerank

    def watch(*args, **kwargs):
        seen.append(fm.get_num_threads())
        return pagerank(*args, **kwargs)

    monkeypatch.setattr(fm, "pagerank", watch)
    graph, before = nx.path_graph(5), fm.get_num_threads()
    nx.pagerank(graph, backend="fastmml")
    with nx.config.backends.fastmml(threads=before + 1):
        nx.pagerank(graph, backend="fastmml")
    with fm.threads(before + 1):
        more = fm.get_num_threads()  # not more without OpenMP
    assert seen == [before, more]
    assert fm.get_num_threads() == before
    with (
        nx.config.backends.fastmml(threads=0),
        pytest.raises(ValueError, match="expected a positive integer"),
    ):
        nx.pagerank(graph, backend="fastmml")


def test_networkx_finds_the_backend_and_documents_it():
    (info,) = entry_points(group="networkx.backend_info", name="fastmml")
    (found,) = entry_points(group="networkx.backends", name="fastmml")
    assert found.load() is backend
    functions = info.load()()["functions"]
    assert sorted(functions) == sorted(function.name for function in FUNCTIONS)
    for function in FUNCTIONS:
        assert callable(getattr(backend, function.name))
        assert "fastmml" in function.__doc__


def test_networkx_loads_nothing_of_ours_before_it_needs_to():
    script = "import networkx, sys; assert 'fastmml' in networkx.utils.backends.backend_info; "
    script += "print([m for m in ('fastmml', 'numpy', 'scipy') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
