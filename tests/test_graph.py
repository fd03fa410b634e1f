"""Graph: what it holds, what it refuses, what it is made of."""

import pickle

import networkx as nx
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import fastmml as fm
from fastmml import _backend


def triples(g):
    """Every link as (source, target, weight), sorted."""
    targets = np.repeat(np.arange(g.num_nodes), np.diff(g.indptr))
    weights = np.ones(g.num_edges) if g.weights is None else g.weights
    return sorted(zip(g.indices.tolist(), targets.tolist(), weights.tolist(), strict=True))


edge_lists = st.integers(1, 200).flatmap(
    lambda n: st.tuples(
        st.just(n),
        st.lists(
            st.tuples(st.integers(0, n - 1), st.integers(0, n - 1), st.integers(1, 9)),
            max_size=300,
        ),
    )
)


@settings(max_examples=150)
@given(edges=edge_lists, weighted=st.booleans())
def test_holds_the_edges_it_was_given(edges, weighted):
    n, links = edges
    src, dst, weights = (
        (np.array(column, np.int64) for column in zip(*links, strict=True))
        if (links)
        else (np.empty(0, np.int64),) * 3
    )
    g = fm.Graph(src, dst, weights if weighted else None, num_nodes=n)
    expected = [(u, v, float(w) if weighted else 1.0) for u, v, w in links]
    assert triples(g) == sorted(expected)
    for i in range(n):
        row = g.indices[g.indptr[i] : g.indptr[i + 1]]
        assert (np.diff(row.astype(np.int64)) >= 0).all()


def test_large_graph_on_every_variant(variant):
    rng = np.random.default_rng(0)
    src, dst = rng.integers(0, 200_000, (2, 1_000_000))
    dst[: 1 << 18] = 17  # a hub, larger than a tile
    weights = rng.random(1_000_000)
    with _backend.use_kernels(variant):
        g = fm.Graph(src, dst, weights, num_nodes=200_000)
    expected = sp.coo_array((weights, (dst, src)), shape=(200_000,) * 2).tocsr()
    found = sp.csr_array(
        (g.weights.copy(), g.indices.astype(np.int64), g.indptr.copy()), expected.shape
    )
    assert found.nnz == len(src)
    found.sum_duplicates()
    expected.sum_duplicates()
    assert np.array_equal(found.indices, expected.indices)
    assert np.allclose(found.data, expected.data, rtol=1e-13)


def test_parallel_edges_keep_the_order_of_their_weights():
    g = fm.Graph([1, 1, 0, 1], [0, 0, 0, 0], [3.0, 1.0, 5.0, 2.0])
    assert g.indices.tolist() == [0, 1, 1, 1]
    assert g.weights.tolist() == [5.0, 3.0, 1.0, 2.0]


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint32, np.int64, np.uint64])
def test_integer_dtypes_and_layouts(dtype):
    pairs = np.array([[0, 1], [2, 1], [1, 0]], dtype)
    frozen = pairs.copy()
    frozen.flags.writeable = False
    for array in (pairs, np.asfortranarray(pairs), frozen, np.repeat(pairs, 2, axis=0)[::2]):
        g = fm.Graph(array[:, 0], array[:, 1])
        assert triples(g) == [(0, 1, 1), (1, 0, 1), (2, 1, 1)]
    assert np.array_equal(pairs, frozen)


def test_arrays_are_read_only():
    g = fm.Graph([0, 1], [1, 0], [1.0, 2.0], labels=["a", "b"])
    for array in (g.indptr, g.indices, g.weights, g.labels):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = array[1]


def test_sizes_and_repr():
    g = fm.Graph([0, 5], [5, 5], [1.0, 2.0])
    assert (g.num_nodes, g.num_edges) == (6, 2)
    assert repr(g) == "Graph(num_nodes=6, num_edges=2, weights=float64)"
    assert g.nbytes == 7 * 8 + 2 * 4 + 2 * 8
    assert g.out_strength().tolist() == [1, 0, 0, 0, 0, 2]
    assert repr(fm.Graph([], [])) == "Graph(num_nodes=0, num_edges=0)"


def test_labels():
    g = fm.Graph([0, 1], [1, 2], labels=["a", "ü", ""])
    assert g.labels.tolist() == ["a", "ü", ""]
    assert g.ids(["", "a"]).tolist() == [2, 0]
    with pytest.raises(KeyError, match="b"):
        g.ids(["b"])
    assert fm.Graph([0], [1]).ids([1, np.int64(0)]).tolist() == [1, 0]
    with pytest.raises(KeyError):
        fm.Graph([0], [1]).ids([2])
    assert fm.Graph([0], [1], labels=[7, 3]).ids([3]).tolist() == [1]
    held = type("Held", (), {"__array__": lambda *_, **__: np.array(["a", "b"])})()
    assert fm.Graph([0], [1], labels=held).ids(["b"]).tolist() == [1]
    assert fm.Graph([0], [1], labels=[(1, 2), "x"]).ids([(1, 2)]).tolist() == [0]


@pytest.mark.parametrize("form", ["array", "Series", "Index"])
def test_labels_of_pandas_are_what_its_lists_hold(form):
    pandas = pytest.importorskip("pandas")
    days = pandas.date_range("2020-01-01", periods=2)
    nullable = pandas.Series([2**53 + 1, None], dtype="Int64")
    whole = pandas.Series([5, 3])
    for held in (days.to_series(), nullable, whole):
        labels = held.array if form == "array" else getattr(pandas, form)(held)
        assert fm.Graph([0], [1], labels=labels).labels.tolist() == held.to_list()
    assert fm.Graph([0], [1], labels=whole.array).labels.dtype == np.int64
    with pytest.raises(ValueError, match="labels: expected a 1-d array, got 2"):
        fm.Graph([0], [1], labels=whole.to_frame())


def test_pickle():
    g = fm.Graph([0, 1], [1, 2], [1.0, 2.0], labels=["a", "b", "c"])
    again = pickle.loads(pickle.dumps(g))
    assert triples(again) == triples(g)
    assert again.labels.tolist() == ["a", "b", "c"]
    with pytest.raises(ValueError, match="read-only"):
        again.indices[0] = 1


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (([0, -1], [0, 0]), ValueError, "src: expected ids from 0 to below 2"),
        (([0], [2**32]), ValueError, "dst: expected ids from 0 to below 2\\*\\*32 .*32-bit"),
        (([0], [3], None, 3), ValueError, "dst: expected ids from 0 to below num_nodes = 3, got 3"),
        (([0.5], [1]), TypeError, "src: expected integer node ids, got dtype float64"),
        (([True], [1]), TypeError, "src: expected integer"),
        ((["a"], [1]), TypeError, "src: expected integer"),
        (([0, 1], [1]), ValueError, "dst: expected 2 values, as many as src, got 1"),
        (([[0]], [1]), ValueError, "src: expected a 1-d array, got 2"),
        (([0], [1], [-1.0]), ValueError, "weights: expected finite values of at least 0"),
        (([0], [1], [np.nan]), ValueError, "weights: expected finite"),
        (([0], [1], [np.inf]), ValueError, "weights: expected finite"),
        (([0], [1], [1.0, 2.0]), ValueError, "weights: expected 1 values"),
        (([0], [1], [1j]), TypeError, "weights: expected real numbers"),
        (([0], [1], None, 2**33), ValueError, "num_nodes: expected 0 to 2"),
        (([0], [1], None, 1.5), TypeError, "num_nodes: expected an int"),
        (([0], [1], None, None, ["a"]), ValueError, "dst: expected ids"),
        (([0], [1], None, 3, ["a", "b"]), ValueError, "labels: expected 3 values"),
        (([0], [1], None, None, ["a", "a"]), ValueError, "labels: expected distinct"),
        (([0], [1], [[1.0]]), ValueError, "weights: expected a 1-d array, got 2 dimensions"),
        (([0], [1], None, None, "ab"), TypeError, "labels: expected a sequence of labels, got str"),
        (([0], [1], None, None, 2), TypeError, "labels: expected a sequence of labels, got int"),
        (([0], [1], None, None, [["a"], ["b"]]), TypeError, "labels: expected hashable labels"),
        (([0], [1], None, None, np.eye(2)), ValueError, "labels: expected a 1-d array, got 2"),
        (
            ([0], [1], None, None, np.ma.masked_array([3, 4], [1, 0])),
            ValueError,
            "labels: expected no masked",
        ),
    ],
)
def test_refuses(arguments, error, words):
    with pytest.raises(error, match=words):
        fm.Graph(*arguments)


# ---- SciPy ----


@pytest.mark.parametrize("format", ["csr", "csc", "coo", "lil", "dok", "bsr", "dia"])
@pytest.mark.parametrize("kind", [sp.csr_array, sp.csr_matrix])
def test_scipy_round_trip(format, kind):
    dense = np.array([[0, 2.0, 0, 1], [0, 0, 0, 0], [1, 0, 3, 0], [0, 0, 0, 4]])
    g = fm.Graph.from_scipy(kind(dense).asformat(format))
    assert np.array_equal(g.to_scipy().toarray(), dense)


def test_scipy_without_weights():
    g = fm.Graph.from_scipy(sp.csr_array(np.eye(3, dtype=bool)))
    assert g.weights is None
    assert fm.Graph.from_scipy(sp.csr_array((0, 0))).num_nodes == 0


def test_scipy_explicit_zeros_are_no_links():
    matrix = sp.csr_array((np.array([0.0, 1.0]), np.array([0, 1]), np.array([0, 2, 2])))
    assert triples(fm.Graph.from_scipy(matrix)) == [(0, 1, 1)]


def broken(field, value):
    matrix = sp.csr_array(np.array([[0, 1.0, 1], [1, 0, 0], [0, 1, 0]]))
    setattr(matrix, field, np.array(value, getattr(matrix, field).dtype))
    return matrix


@pytest.mark.parametrize(
    "matrix",
    [
        broken("indices", [1, 2, 0, 3]),
        broken("indices", [1, -2, 0, 1]),
        broken("indptr", [0, 2, 1, 4]),
        broken("indptr", [0, 2, 3, 9]),
        broken("indptr", [1, 2, 3, 4]),
        broken("data", [1, -2, 3, 4]),
        broken("data", [1, np.nan, 3, 4]),
        sp.csr_array((2, 3)),
    ],
)
def test_scipy_refuses(matrix):
    with pytest.raises(ValueError, match="matrix"):
        fm.Graph.from_scipy(matrix)
    with pytest.raises(TypeError, match="SciPy sparse"):
        fm.Graph.from_scipy(np.eye(2))


# ---- NetworkX ----


def test_networkx_labels_and_weights():
    graph = nx.DiGraph([("x", "y", {"weight": 2}), ("y", "x", {})])
    g = fm.Graph.from_networkx(graph)
    assert g.labels.tolist() == ["x", "y"]
    assert triples(g) == [(0, 1, 2), (1, 0, 1)]
    assert fm.Graph.from_networkx(graph, weight=None).weights is None
    assert fm.Graph.from_networkx(nx.path_graph(3, create_using=nx.DiGraph)).labels is None
    shuffled = nx.DiGraph()
    shuffled.add_nodes_from([2, 0, 1])
    assert fm.Graph.from_networkx(shuffled).labels.tolist() == [2, 0, 1]
    graph["y"]["x"]["weight"] = None
    with pytest.raises(TypeError, match="edge attribute 'weight': expected real numbers"):
        fm.Graph.from_networkx(graph)
    with pytest.raises(TypeError, match="NetworkX graph"):
        fm.Graph.from_networkx({0: [1]})


def test_networkx_undirected():
    graph = nx.MultiGraph([(0, 1), (0, 1), (1, 1)])
    assert triples(fm.Graph.from_networkx(graph)) == [(0, 1, 1)] * 2 + [(1, 0, 1)] * 2 + [(1, 1, 1)]


# ---- tables ----

COLUMNS = {"from": ["b", "a", "b"], "to": ["a", "c", "b"], "w": [1.0, 2.0, 0.5]}


@pytest.mark.parametrize("make", [pa.table, pd.DataFrame, pl.DataFrame])
def test_tables_of_text(make):
    g = fm.Graph.from_arrow(make(COLUMNS), "from", "to", "w")
    assert g.labels.tolist() == ["b", "a", "c"]  # as NetworkX would number them
    assert triples(g) == [(0, 0, 0.5), (0, 1, 1), (1, 2, 2)]


def test_duckdb_relations():
    duckdb = pytest.importorskip("duckdb")
    relation = duckdb.sql("select * from (values (5, 9), (9, 1000000000000)) t(a, b)")
    g = fm.Graph.from_arrow(relation, "a", "b")
    assert g.labels.tolist() == [5, 9, 10**12]
    assert triples(g) == [(0, 1, 1), (1, 2, 1)]


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64", "uint64"])
def test_tables_of_integers(dtype):
    frame = pd.DataFrame({"a": [0, 2, 1], "b": [1, 1, 0]}).astype(dtype)
    g = fm.Graph.from_arrow(frame, "a", "b")
    assert g.labels is None
    assert triples(g) == [(0, 1, 1), (1, 0, 1), (2, 1, 1)]


def test_dictionary_columns():
    frame = pd.DataFrame({"a": pd.Categorical(["x", "y"]), "b": pd.Categorical(["z", "x"])})
    assert fm.Graph.from_arrow(frame, "a", "b").labels.tolist() == ["x", "z", "y"]


@pytest.mark.parametrize(
    ("table", "error", "words"),
    [
        (pa.table({"from": [1]}), ValueError, "expected one column 'to'"),
        (pa.table({"from": [1, None], "to": [1, 2]}), fm.GraphFormatError, "1 nulls"),
        (pa.table({"from": [1.5], "to": [1]}), fm.GraphFormatError, "integers or of text"),
        (
            pl.DataFrame(
                {"from": [2**64 - 1], "to": [1]}, schema={"from": pl.UInt64, "to": pl.UInt64}
            ),
            fm.GraphFormatError,
            "beyond signed 64",
        ),
        ({"from": [1], "to": [2]}, TypeError, "__arrow_c_stream__"),
    ],
)
def test_tables_refused(table, error, words):
    with pytest.raises(error, match=words):
        fm.Graph.from_arrow(table, "from", "to")


# ---- R-MAT ----


def test_rmat_is_the_same_everywhere(variant):
    with _backend.use_kernels(variant):
        g = fm.rmat(10, edge_factor=4, seed=5)
    assert (g.num_nodes, g.num_edges) == (1024, 4096)
    # Fixed when the generator was written: files made from a seed must stay valid.
    assert int(g.indices.astype(np.uint64) @ np.arange(4096, dtype=np.uint64)) == RMAT_CHECK


RMAT_CHECK = 4381259557


def test_rmat_is_skewed_and_seeded():
    g = fm.rmat(12, seed=1)
    degrees = np.diff(g.indptr)
    assert degrees.max() > 20 * degrees.mean()
    assert not np.array_equal(g.indices, fm.rmat(12, seed=2).indices)


def test_rmat_quadrants():
    # With one level there are four possible links, with probabilities A, B, C, D; ids may swap.
    g = fm.rmat(1, edge_factor=1 << 16, seed=0)
    counts = np.array([g.to_scipy()[i, j] for i in (0, 1) for j in (0, 1)]) / (1 << 17)
    expected = np.array([0.57, 0.19, 0.19, 0.05])
    assert np.allclose(counts, expected, atol=0.01) or np.allclose(
        counts, expected[::-1], atol=0.01
    )


def test_rmat_bounds():
    assert fm.rmat(0, edge_factor=3).num_edges == 3
    for arguments in [(-1,), (33,), (4, 0), (4, 1, -1), (4, 1, 2**64)]:
        with pytest.raises(ValueError, match="expected"):
            fm.rmat(*arguments)
