"""The graph: immutable, validated, compressed rows of in-links."""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmml import _check
from fastmml._backend import get_num_threads, kernels
from fastmml._kernels import F64, I64, U32
from fastmml.graph.build import Rows, build_rows, chunks_from_arrays
from fastmml.graph.labels import Labels, as_labels
from fastmml.graph.spill import budget

if TYPE_CHECKING:
    import networkx
    import scipy.sparse

    from fastmml.graph.out_links import OutLinks
    from fastmml.graph.plan import Prepared


class Graph:
    """A directed graph with optional non-negative weights and optional labels.

    Nodes are numbered from 0. Parallel edges are kept and each of them counts, as in
    `networkx.MultiDiGraph`: two links of weight 1 weigh as much as one of weight 2. A self-loop is
    one link. The graph is immutable: its arrays are read-only.

    Parameters
    ----------
    src, dst : array_like of int, shape (num_edges,)
        Link e goes from node ``src[e]`` to node ``dst[e]``.
    weights : array_like of float, shape (num_edges,), optional
        Finite and at least 0. A weight of 0 keeps the link but gives it no share.
    num_nodes : int, optional
        By default one more than the largest id.
    labels : sequence, shape (num_nodes,), optional
        Distinct names of the nodes.

    Raises
    ------
    TypeError, ValueError
        An argument is not of its kind; ids of 2**32 or more are refused.

    Notes
    -----
    Links are stored by their target: ``indices[indptr[i]:indptr[i + 1]]`` are the sources of the
    links into node i, ascending, since that is the form in which ranking reads them. Memory: 4
    bytes a link (12 with weights) and 8 bytes a node. Building costs O(links).

    Examples
    --------
    >>> import fastmml as fm
    >>> g = fm.Graph([0, 0, 1], [1, 2, 2], labels=["a", "b", "c"])
    >>> g
    Graph(num_nodes=3, num_edges=3, labels=str)
    """

    __slots__ = ("_indices", "_indptr", "_labels", "_out_links", "_prepared", "_weights")

    _indptr: I64
    _indices: U32
    _weights: F64 | None
    _labels: Labels
    _out_links: OutLinks | None
    _prepared: Prepared | None

    def __init__(
        self,
        src: ArrayLike,
        dst: ArrayLike,
        weights: ArrayLike | None = None,
        num_nodes: int | None = None,
        labels: Sequence[Hashable] | NDArray[Any] | None = None,
    ) -> None:
        count = None if num_nodes is None else _check.node_count("num_nodes", num_nodes)
        names = None if labels is None else as_labels(labels)
        if names is not None and count is None:
            count = len(names)
        sources = _check.node_ids("src", src, count)
        targets = _check.node_ids("dst", dst, count)
        _check.same_length("dst", targets, "src", len(sources))
        values = None if weights is None else _check.nonnegative("weights", weights)
        if values is not None:
            _check.same_length("weights", values, "src", len(sources))
        if count is None:
            count = int(max(sources.max(), targets.max())) + 1 if len(sources) else 0
        if names is not None:
            _check.same_length("labels", names, "nodes", count)
        chunks = chunks_from_arrays(sources, targets, values)
        self._set(build_rows(count, chunks, get_num_threads()), names)

    def _set(self, rows: Rows, labels: NDArray[Any] | Labels | None) -> None:
        for array in rows:
            if array is not None:
                array.flags.writeable = False
        self._indptr, self._indices, self._weights = rows
        if not isinstance(labels, Labels):
            labels = Labels(labels, len(rows.indptr) - 1)
        self._labels = labels
        self._out_links = None
        self._prepared = None

    @classmethod
    def from_rows(cls, rows: Rows, labels: NDArray[Any] | Labels | None = None) -> Graph:
        """Wrap arrays that are already valid; they become read-only."""
        graph = cls.__new__(cls)
        graph._set(rows, labels)
        return graph

    @classmethod
    def from_chunks(
        cls,
        chunks: Iterable[Sequence[ArrayLike]],
        num_nodes: int | None = None,
        *,
        max_memory: int | None = None,
    ) -> Graph:
        """Make a graph of links that come in pieces: any iterable of (src, dst[, weights]).

        The pieces are what the constructor takes at once, and are copied. Beyond ``max_memory``
        bytes (by default half of what is free) they go to temporary files, as in `read_graph`.

        Examples
        --------
        >>> import fastmml as fm
        >>> fm.Graph.from_chunks(([i, i], [i + 1, 0]) for i in range(3))
        Graph(num_nodes=4, num_edges=6)
        """
        from fastmml.graph import convert

        count = None if num_nodes is None else _check.node_count("num_nodes", num_nodes)
        return cls.from_rows(convert.rows_from_chunks(chunks, count, budget(max_memory)))

    @classmethod
    def from_scipy(cls, matrix: scipy.sparse.sparray | scipy.sparse.spmatrix) -> Graph:
        """Make a graph of a square sparse matrix: ``A[i, j] != 0`` is a link from i to j.

        The values are the weights (all equal to 1: no weights are stored). Indices are checked;
        SciPy itself accepts some that are out of range.
        """
        from fastmml.graph import convert

        edges = convert.edges_from_scipy(matrix)
        return cls(edges.src, edges.dst, edges.weights, num_nodes=edges.num_nodes)

    @classmethod
    def from_networkx(cls, graph: networkx.Graph, weight: str | None = "weight") -> Graph:
        """Make a graph of a NetworkX one; an undirected edge becomes a link each way.

        ``weight`` names the edge attribute that holds weights (1 where it is missing); None, or
        an attribute that no edge has, gives a graph without weights.
        """
        from fastmml.graph import convert

        edges = convert.edges_from_networkx(graph, weight)
        return cls(
            edges.src, edges.dst, edges.weights, num_nodes=edges.num_nodes, labels=edges.labels
        )

    @classmethod
    def from_arrow(
        cls,
        table: Any,
        src: str,
        dst: str,
        weights: str | None = None,
        *,
        max_memory: int | None = None,
    ) -> Graph:
        """Make a graph of two or three columns of a table (pandas, polars, pyarrow, duckdb, ...).

        Any object with ``__arrow_c_stream__`` will do, and so will a data set of pyarrow; a reader
        of batches or a data set is never in memory as a whole. Columns of integers are node labels
        as in `read_graph`, which also explains ``max_memory``; columns of text are labels in the
        order of first appearance.
        Needs pyarrow (``pip install "fastmml[arrow]"``).
        """
        from fastmml.graph import convert

        most = budget(max_memory)
        return cls.from_rows(*convert.rows_from_arrow(table, src, dst, weights, None, most))

    @property
    def num_nodes(self) -> int:
        """How many nodes the graph has."""
        return len(self._indptr) - 1

    @property
    def num_edges(self) -> int:
        """How many links the graph has, parallel ones counted each."""
        return len(self._indices)

    @property
    def indptr(self) -> I64:
        """Where each node's row of in-links starts, shape (num_nodes + 1,)."""
        return self._indptr

    @property
    def indices(self) -> U32:
        """Sources of the links, grouped by target and ascending, shape (num_edges,)."""
        return self._indices

    @property
    def weights(self) -> F64 | None:
        """Weights of the links in the order of `indices`, or None."""
        return self._weights

    @property
    def labels(self) -> NDArray[Any] | None:
        """Names of the nodes, shape (num_nodes,), or None where the ids are the names."""
        return self._labels.values

    @property
    def nbytes(self) -> int:
        """Bytes that the arrays take."""
        arrays = (self._indptr, self._indices, self._weights, self.labels)
        return sum(array.nbytes for array in arrays if array is not None)

    def ids(self, labels: Iterable[Hashable]) -> NDArray[np.int64]:
        """Ids of the nodes with these labels.

        Raises
        ------
        KeyError
            A label is not one of the graph's.
        """
        return self._labels.ids(labels)

    def out_strength(self) -> F64:
        """Sum of the weights of the links out of each node; their number without weights."""
        strength = kernels().empty(self.num_nodes, np.float64)
        kernels().out_strength(self._indices, self._weights, strength, get_num_threads())
        return strength

    def prepare(self) -> Graph:
        """Keep what `pagerank` prepares, so that later calls skip it; returns the graph.

        Takes about as much memory again as the graph. What is kept is not saved or pickled.
        """
        from fastmml.graph.plan import prepare

        if self._prepared is None and self.num_nodes:
            self._prepared = prepare(self)
        return self

    def to_scipy(self) -> scipy.sparse.csr_array:
        """Return the graph as a sparse matrix: ``A[i, j]`` is the weight of the links i to j."""
        from fastmml.graph import convert

        return convert.scipy_from_rows(Rows(self._indptr, self._indices, self._weights))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the graph in fastmml's own form: checksummed, mapped into memory by `read_graph`.

        The file appears under its name only when it is complete.
        """
        from fastmml.graph.formats import saved

        saved.write(self, path)

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickle, (self._indptr, self._indices, self._weights, self.labels)

    def __repr__(self) -> str:
        parts = [f"num_nodes={self.num_nodes}", f"num_edges={self.num_edges}"]
        if self._weights is not None:
            parts.append("weights=float64")
        if self.labels is not None:
            parts.append(f"labels={self._labels.kind}")
        return f"Graph({', '.join(parts)})"


def _unpickle(indptr: I64, indices: U32, weights: F64 | None, labels: Any) -> Graph:
    return Graph.from_rows(Rows(indptr, indices, weights), labels)


def as_graph(graph: Any) -> Graph:
    """Return a Graph for any object that can be made into one without further questions."""
    if isinstance(graph, Graph):
        return graph
    from fastmml.graph import convert

    if convert.is_scipy_sparse(graph):
        return Graph.from_scipy(graph)
    if convert.is_networkx(graph):
        return Graph.from_networkx(graph)
    raise TypeError(
        "graph: expected a fastmml.Graph, a SciPy sparse matrix or a NetworkX graph, got "
        f"{type(graph).__name__}"
    )
