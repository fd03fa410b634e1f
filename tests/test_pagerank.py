"""PageRank: right to its own bound, on any graph, against independent references."""

import math
import pickle

import hypothesis.extra.numpy as hnp
import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import fastmml as fm
from fastmml import _backend, _memory
from fastmml.graph import extrapolate


def dense_pagerank(g, damping=0.85, v=None, w=None):
    """Solve the linear system of PageRank in float64, by LU of a dense matrix."""
    n = g.num_nodes
    links = g.to_scipy().toarray()
    strength = links.sum(axis=1)
    dangling = strength == 0
    v = np.full(n, 1 / n) if v is None else v / v.sum()
    w = v if w is None else w / w.sum()
    p = np.where(dangling[:, None], w[None, :], links / np.where(dangling, 1, strength)[:, None])
    x = np.linalg.solve(np.eye(n) - damping * p.T, (1 - damping) * v)
    return x / x.sum()


@st.composite
def graphs(draw, max_nodes=30, max_edges=90):
    """Multigraphs with dangling and isolated nodes, self-loops, parallel edges, weights."""
    n = draw(st.integers(1, max_nodes))
    m = draw(st.integers(0, max_edges))
    ids = hnp.arrays(np.int64, m, elements=st.integers(0, n - 1))
    weight = st.floats(0, 1e3, allow_subnormal=False) | st.just(0.0)
    weights = draw(st.none() | hnp.arrays(np.float64, m, elements=weight))
    return fm.Graph(draw(ids), draw(ids), weights, num_nodes=n)


def assert_within_bound(result, exact, reference_error=1e-12):
    assert np.abs(result.scores - exact).sum() <= result.error_bound + reference_error
    assert result.scores.sum() == pytest.approx(1, abs=1e-12)
    assert (result.scores >= 0).all()


METHODS = ["gauss-seidel", "power"]


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=200)
@given(g=graphs(), damping=st.floats(0, 0.99), tol=st.sampled_from([1e-3, 1e-8, 1e-11]))
def test_agrees_with_dense_solve(method, g, damping, tol):
    result = fm.pagerank(g, damping=damping, tol=tol, method=method)
    assert result.converged
    assert result.info["method"] == method
    assert result.error_bound <= tol
    assert_within_bound(result, dense_pagerank(g, damping))


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=100)
@given(g=graphs(), data=st.data())
def test_distributions(method, g, data):
    n = g.num_nodes
    one = hnp.arrays(np.float64, n, elements=st.floats(0, 10)).filter(lambda a: a.sum() > 1e-3)
    v, w, x0 = data.draw(one), data.draw(one), data.draw(one)
    result = fm.pagerank(g, personalization=v, dangling=w, x0=x0, method=method)
    assert_within_bound(result, dense_pagerank(g, v=v, w=w))


@settings(max_examples=100)
@given(g=graphs())
def test_agrees_with_networkx(g):
    graph = nx.MultiDiGraph()
    graph.add_nodes_from(range(g.num_nodes))
    links = g.to_scipy().tocoo()
    graph.add_weighted_edges_from(zip(links.row, links.col, links.data, strict=True))
    theirs = nx.pagerank(graph, tol=1e-13, max_iter=1000)
    ours = fm.pagerank(g, tol=1e-10)
    # NetworkX stops when the last step moved less than tol per node.
    reference_error = 1e-13 * g.num_nodes / (1 - 0.85)
    assert_within_bound(ours, np.array([theirs[i] for i in range(g.num_nodes)]), reference_error)


@pytest.mark.parametrize("make", [nx.DiGraph, nx.MultiDiGraph, nx.Graph, nx.MultiGraph])
def test_networkx_graphs_mean_the_same(make):
    rng = np.random.default_rng(7)
    graph = make()
    graph.add_nodes_from("abcdefghij")
    for u, v in rng.choice(list("abcdefghi"), (40, 2)):
        graph.add_edge(str(u), str(v), weight=float(rng.integers(1, 5)))
    theirs = nx.pagerank(graph, tol=1e-13, max_iter=1000)
    ours = fm.pagerank(graph, tol=1e-11)
    assert_within_bound(ours, np.array(list(theirs.values())))
    assert [label for label, _ in ours.top(10)][:3] == sorted(theirs, key=theirs.get)[::-1][:3]


@pytest.fixture(scope="session")
def reference(shared_graph):
    return reference_pagerank(shared_graph)


def test_every_backend_and_level(variant, shared_graph, reference):
    with _backend.use_kernels(variant):
        result = fm.pagerank(shared_graph, tol=1e-9)
    assert np.abs(result.scores - reference).sum() <= result.error_bound <= 1e-9


def reference_pagerank(g, damping=0.85):
    """Plain power iteration until the last step is far below any tolerance here."""
    n = g.num_nodes
    links = g.to_scipy()
    strength = np.asarray(links.sum(axis=1))
    links = links.T.tocsr()
    x = np.full(n, 1 / n)
    for _ in range(math.ceil(math.log(1e-14) / math.log(damping))):
        share = np.divide(x, strength, out=np.zeros(n), where=strength > 0)
        x = damping * (links @ share + math.fsum(x[strength == 0]) / n) + (1 - damping) / n
    return x


@pytest.fixture
def threads_whatever_the_size(monkeypatch):
    monkeypatch.setattr("fastmml.graph.pagerank._SMALL_LINKS", 0)


@pytest.mark.usefixtures("threads_whatever_the_size")
@pytest.mark.parametrize("method", METHODS)
def test_threads_give_the_same_bits(variant, method):
    g = fm.rmat(14, seed=3)
    with _backend.use_kernels(variant):
        results = []
        for count in (1, 2, 3, 8):
            with fm.threads(count):
                results.append(fm.pagerank(g, tol=1e-10, method=method))
    for other in results[1:]:
        assert np.array_equal(results[0].scores, other.scores)
        assert results[0].error_bound == other.error_bound


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("columns", [1, 2, 5, 8, 11, 18])
@pytest.mark.parametrize("dangling", [None, np.arange(256.0)])
def test_columns_are_ranked_as_if_alone(method, columns, dangling):
    g = fm.rmat(8, seed=1)
    v = np.random.default_rng(0).random((256, columns))
    v[:250, 0] = 0
    v[:, -1] *= 1e300
    together = fm.pagerank(g, personalization=v, dangling=dangling, method=method)
    assert together.scores.shape == (256, columns)
    assert together.error_bound.shape == (columns,)
    np.testing.assert_allclose(together.scores.sum(axis=0), 1)
    for i in range(columns):
        alone = fm.pagerank(g, personalization=v[:, i], dangling=dangling, method=method)
        apart = np.abs(together.scores[:, i] - alone.scores).sum()
        assert apart <= together.error_bound[i] + alone.error_bound
        assert [node for node, _ in together.top(5, i)] == [node for node, _ in alone.top(5)]


@pytest.mark.usefixtures("threads_whatever_the_size")
@pytest.mark.parametrize("columns", [1, 20])
def test_columns_have_the_same_bits_for_all_threads(columns):
    g = fm.rmat(10, seed=3)
    v = np.random.default_rng(1).random((1024, columns))
    results = []
    for threads in (1, 2, 3):
        with fm.threads(threads):
            results.append(fm.pagerank(g, personalization=v))
    for other in results[1:]:
        assert np.array_equal(results[0].scores, other.scores)
        assert np.array_equal(results[0].error_bound, other.error_bound)


@pytest.mark.parametrize("columns", [1, 5, 20])
def test_columns_are_ranked_one_by_one_without_room_for_more(columns, monkeypatch):
    g = fm.rmat(9, seed=2).prepare()
    v = np.random.default_rng(2).random((512, columns))
    roomy = fm.pagerank(g, personalization=v)
    monkeypatch.setattr(_memory, "available", lambda: 0)
    tight = fm.pagerank(g, personalization=v)
    apart = np.abs(tight.scores - roomy.scores).sum(axis=0)
    assert (apart <= tight.error_bound + roomy.error_bound).all()


@pytest.mark.parametrize("rows", [1, 6, 7])
@pytest.mark.parametrize("damping", [0.85, 0.99])
def test_power_iteration_keeps_as_many_iterates_as_there_is_room_for(rows, damping, monkeypatch):
    monkeypatch.setattr(extrapolate, "_BYTES", rows * 512 * 8)
    g = fm.rmat(9, seed=2)
    assert_within_bound(
        fm.pagerank(g, damping, tol=1e-11, method="power"), dense_pagerank(g, damping)
    )


def test_too_few_passes_for_columns_carry_all_of_them():
    g = fm.rmat(8, seed=1)
    v = np.random.default_rng(0).random((256, 32))
    with fm.threads(2), pytest.raises(fm.ConvergenceError) as caught:
        fm.pagerank(g, personalization=v, tol=1e-12, max_iter=3)
    assert caught.value.result.scores.shape == (256, 32)
    assert not caught.value.result.converged


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=100)
@given(g=graphs(), k=st.integers(1, 40), damping=st.sampled_from([0.5, 0.85, 0.99]))
def test_top_stops_with_the_right_order(method, g, k, damping):
    result = fm.pagerank(g, damping, tol=1e-10, top=k, method=method)
    exact = dense_pagerank(g, damping)
    assert_within_bound(result, exact)
    if result.error_bound > 1e-10:
        best = [node for node, _ in result.top(k)]
        assert best == np.argsort(-exact, kind="stable")[:k].tolist()


@pytest.mark.parametrize("method", METHODS)
def test_top_of_two_equal_nodes(method):
    """All of the error may be between them: its bound is no proof that one of them is better."""
    g = fm.Graph([0, 1, 1, 1], [0, 1, 1, 1], num_nodes=18)
    result = fm.pagerank(g, 0.5, tol=1e-10, top=1, method=method)
    assert result.error_bound <= 1e-10


@pytest.mark.parametrize("method", METHODS)
def test_top_stops_early(method):
    g = fm.rmat(10, seed=5)
    early, late = (fm.pagerank(g, tol=1e-12, top=k, method=method) for k in (3, None))
    assert early.converged
    assert early.error_bound > 1e-12 >= late.error_bound
    assert early.iterations < late.iterations
    assert [node for node, _ in early.top(3)] == [node for node, _ in late.top(3)]


def test_one_column_keeps_its_dimension():
    g = fm.rmat(6)
    assert fm.pagerank(g, personalization=np.ones((64, 1))).scores.shape == (64, 1)


def test_dicts_by_label():
    g = fm.Graph([0, 1, 2], [1, 2, 0], labels=["a", "b", "c"])
    by_dict = fm.pagerank(g, personalization={"b": 2}, dangling={"a": 1, "c": 3}, x0={"c": 1})
    by_array = fm.pagerank(g, personalization=[0, 1, 0], dangling=[0.25, 0, 0.75], x0=[0, 0, 5])
    assert np.array_equal(by_dict.scores, by_array.scores)
    with pytest.raises(KeyError, match="z"):
        fm.pagerank(g, personalization={"z": 1})


def test_empty_graph():
    result = fm.pagerank(fm.Graph([], []))
    assert result.scores.shape == (0,)
    assert result.converged
    assert result.error_bound == 0
    assert result.top(3) == []


def test_one_node():
    for g in (fm.Graph([], [], num_nodes=1), fm.Graph([0], [0])):
        assert fm.pagerank(g).top() == [(0, pytest.approx(1, abs=1e-15))]


@pytest.mark.parametrize("method", METHODS)
def test_restart_from_a_result_is_immediate(method):
    g = fm.rmat(10)
    first = fm.pagerank(g, tol=1e-9)
    assert fm.pagerank(g, tol=1e-8, x0=first, method=method).iterations == 1


def test_a_prepared_graph_gives_the_same_bits():
    g = fm.rmat(10, seed=2)
    again = pickle.loads(pickle.dumps(g.prepare()))
    assert np.array_equal(fm.pagerank(g).scores, fm.pagerank(again).scores)
    assert fm.Graph([], []).prepare().num_nodes == 0


def test_many_components_at_high_damping():
    rng = np.random.default_rng(11)
    group = rng.integers(0, 60, 1500) * 8
    src, dst = group + rng.integers(0, 8, 1500), group + rng.integers(0, 9, 1500)
    g = fm.Graph(src, dst, rng.random(1500), num_nodes=500)
    for damping in (0.5, 0.99, 0.9999):
        result = fm.pagerank(g, damping=damping, tol=1e-9)
        assert_within_bound(result, dense_pagerank(g, damping), 1e-10)


def test_little_memory_asks_for_power_iteration(monkeypatch):
    monkeypatch.setattr(_memory, "available", lambda: 0)
    g = fm.rmat(6)
    assert fm.pagerank(g).info["method"] == "power"
    assert fm.pagerank(g.prepare()).info["method"] == "gauss-seidel"


def test_callback_sees_every_pass_of_power_iteration():
    seen = []
    result = fm.pagerank(fm.rmat(8), callback=lambda *args: seen.append(args), method="power")
    assert [i for i, _ in seen] == list(range(1, result.iterations + 1))
    assert seen[-1][1] == result.error_bound
    assert all(bound > 1e-8 for _, bound in seen[:-1])


def test_callback_sees_every_proof_of_gauss_seidel():
    seen = []
    watch = lambda *args: seen.append(args)  # noqa: E731
    result = fm.pagerank(fm.rmat(8), tol=1e-12, callback=watch, method="gauss-seidel")
    assert seen[-1] == (result.iterations, result.error_bound)
    assert all(bound > 1e-12 for _, bound in seen[:-1])


@pytest.mark.parametrize("method", METHODS)
def test_not_converged_carries_the_result(method):
    g = fm.rmat(10)
    with pytest.raises(fm.ConvergenceError, match="after 3 iterations") as caught:
        fm.pagerank(g, max_iter=3, tol=1e-12, method=method)
    partial = caught.value.result
    assert not partial.converged
    assert partial.iterations == 3
    assert_within_bound(partial, dense_pagerank(g))
    again = pickle.loads(pickle.dumps(caught.value))
    assert np.array_equal(again.result.scores, partial.scores)


def test_tolerance_below_rounding_is_not_claimed():
    with pytest.raises(fm.ConvergenceError):
        fm.pagerank(fm.rmat(6), tol=1e-18)


def test_high_damping_needs_fewer_passes_than_power_iteration():
    g = fm.Graph(np.arange(400), (np.arange(400) + 1) % 400)
    chain = fm.Graph(np.arange(399), np.arange(1, 400))
    for graph in (g, chain, fm.rmat(9)):
        result = fm.pagerank(graph, damping=0.999, tol=1e-10)
        assert_within_bound(result, dense_pagerank(graph, 0.999))


def test_ties_come_by_id():
    g = fm.Graph([0, 1, 2, 3], [1, 2, 3, 0])
    assert [label for label, _ in fm.pagerank(g).top(3)] == [0, 1, 2]


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"damping": 1.0}, ValueError, "damping: expected 0 <= damping < 1, got 1.0"),
        ({"damping": -0.1}, ValueError, "damping"),
        ({"damping": "x"}, TypeError, "damping: expected a number, got str"),
        ({"damping": math.nan}, ValueError, "damping: expected a number, got NaN"),
        ({"tol": 0}, ValueError, "tol: expected a positive number"),
        ({"tol": math.nan}, ValueError, "tol"),
        ({"max_iter": 0}, ValueError, "max_iter: expected at least 1"),
        ({"max_iter": 2.5}, TypeError, "max_iter"),
        ({"personalization": [1, 2]}, ValueError, "expected 3 values, one per node, got 2"),
        ({"personalization": [0, 0, 0]}, ValueError, "personalization: expected a positive sum"),
        ({"personalization": [1, -1, 1]}, ValueError, "personalization: expected finite"),
        ({"personalization": [1, np.nan, 1]}, ValueError, "personalization: expected finite"),
        ({"personalization": [1, np.inf, 1]}, ValueError, "personalization: expected finite"),
        ({"personalization": np.ones((3, 0))}, ValueError, "at least one column"),
        ({"personalization": np.ones((3, 2, 2))}, ValueError, "expected shape"),
        ({"personalization": ["a", "b", "c"]}, TypeError, "personalization: expected real"),
        ({"dangling": np.ones((3, 2))}, ValueError, "dangling"),
        ({"x0": [1, 1]}, ValueError, "x0: expected 3 values"),
        ({"top": 0}, ValueError, "top: expected at least 1"),
        ({"top": 1.5}, TypeError, "top"),
        ({"method": "jacobi"}, ValueError, "method: expected one of"),
    ],
)
def test_bad_arguments(arguments, error, words):
    with pytest.raises(error, match=words.replace("(", r"\(")):
        fm.pagerank(fm.Graph([0, 1], [1, 2]), **arguments)


def test_other_objects_are_refused():
    with pytest.raises(TypeError, match="graph: expected a fastmml.Graph"):
        fm.pagerank([[0, 1]])


def test_scipy_matrices_are_taken():
    matrix = sp.csr_array([[0, 2], [1, 0]])
    assert np.allclose(fm.pagerank(matrix).scores, 0.5)


def test_extreme_distributions_keep_their_sum():
    g = fm.Graph([0, 1], [1, 2])
    for scale in (1e-320, 4e307):
        v = np.array([1, 3, 4]) * scale
        assert np.allclose(
            fm.pagerank(g, personalization=v).scores,
            fm.pagerank(g, personalization=[1, 3, 4]).scores,
            rtol=1e-2,
        )
