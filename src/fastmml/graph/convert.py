"""Edges out of other libraries' objects: SciPy, NetworkX, Arrow tables."""

from __future__ import annotations

import sys
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastmml import _check
from fastmml._kernels import F64
from fastmml.errors import GraphFormatError
from fastmml.graph.build import EdgeChunk, Rows, chunks_from_arrays
from fastmml.graph.collect import IntegerIds, rows_from_numbers
from fastmml.graph.labels import STRING

if TYPE_CHECKING:
    import networkx
    import scipy.sparse


class Edges(NamedTuple):
    """Parallel arrays of edges, how many nodes there are, and their names."""

    src: NDArray[Any]
    dst: NDArray[Any]
    weights: F64 | None
    num_nodes: int
    labels: list[Hashable] | None = None


# ---- SciPy -----------------------------------------------------------------------------------


def is_scipy_sparse(value: Any) -> bool:
    """Whether a value is one of SciPy's sparse arrays or matrices, without importing SciPy."""
    sparse = sys.modules.get("scipy.sparse")
    return sparse is not None and bool(sparse.issparse(value))


def edges_from_scipy(matrix: Any) -> Edges:
    """Links i to j for every nonzero ``matrix[i, j]``."""
    if not is_scipy_sparse(matrix):
        raise TypeError(f"matrix: expected a SciPy sparse matrix, got {type(matrix).__name__}")
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"matrix: expected a square matrix, got shape {matrix.shape}")
    num_nodes = _check.node_count("matrix rows", matrix.shape[0])
    row, column, data = _coordinates(matrix)
    _check.node_ids("matrix row indices", row, num_nodes)
    _check.node_ids("matrix column indices", column, num_nodes)
    links = data != 0
    if not links.all():
        row, column, data = row[links], column[links], data[links]
    weights = None if (data == 1).all() else _check.nonnegative("matrix values", data)
    return Edges(row, column, weights, num_nodes)


def _coordinates(matrix: Any) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Row, column and value of every stored entry; trusts no index."""
    if matrix.format not in ("csr", "csc"):
        coo = matrix.tocoo()
        return coo.row, coo.col, coo.data
    major = expand_indptr(matrix.indptr, len(matrix.indices), matrix.shape[0])
    minor, data = matrix.indices[: len(major)], matrix.data[: len(major)]
    return (major, minor, data) if matrix.format == "csr" else (minor, major, data)


def expand_indptr(indptr: NDArray[Any], stored: int, rows: int) -> NDArray[Any]:
    """Row of every entry of a compressed matrix, from row starts that may be wrong."""
    _check.same_length("matrix indptr", indptr, "rows + 1", rows + 1)
    lengths = np.diff(indptr)
    if indptr[0] != 0 or indptr[-1] > stored or (lengths < 0).any():
        raise ValueError("matrix indptr: expected ascending row starts from 0 to at most nnz")
    return np.repeat(np.arange(rows, dtype=np.uint32), lengths)


def scipy_from_rows(rows: Rows) -> scipy.sparse.csr_array:
    """Sparse matrix of in-link rows, transposed to rows of out-links."""
    import scipy.sparse

    count = len(rows.indptr) - 1
    data = np.ones(len(rows.indices)) if rows.weights is None else rows.weights
    index_type = np.int32 if max(count, len(rows.indices)) < 2**31 else np.int64
    parts = (data, rows.indices.astype(index_type), rows.indptr.astype(index_type))
    return scipy.sparse.csc_array(parts, shape=(count, count)).tocsr()


# ---- NetworkX --------------------------------------------------------------------------------

#: Stands for an attribute that an edge does not have; None is a value, and a wrong one.
_MISSING = object()


def is_networkx(value: Any) -> bool:
    """Whether a value is a NetworkX graph, without importing NetworkX."""
    nx = sys.modules.get("networkx")
    return nx is not None and isinstance(value, nx.Graph)


def edges_from_networkx(graph: networkx.Graph, weight: str | None) -> Edges:
    """Links of a NetworkX graph; an undirected edge gives one each way, a loop only one."""
    if not is_networkx(graph):
        raise TypeError(f"graph: expected a NetworkX graph, got {type(graph).__name__}")
    nodes = list(graph)
    number = {node: i for i, node in enumerate(nodes)}
    triples = list(graph.edges(data="" if weight is None else weight, default=_MISSING))
    src = np.fromiter((number[u] for u, _, _ in triples), np.int64, len(triples))
    dst = np.fromiter((number[v] for _, v, _ in triples), np.int64, len(triples))
    weights = None
    if weight is not None and any(w is not _MISSING for _, _, w in triples):
        weights = np.array([1.0 if w is _MISSING else w for _, _, w in triples])
    if not graph.is_directed():
        back = src != dst
        src, dst = np.concatenate([src, dst[back]]), np.concatenate([dst, src[back]])
        weights = None if weights is None else np.concatenate([weights, weights[back]])
    if weights is not None:
        weights = _check.nonnegative(f"edge attribute {weight!r}", weights)
    ids_are_labels = nodes == list(range(len(nodes))) and all(type(v) is int for v in nodes)
    return Edges(src, dst, weights, len(nodes), None if ids_are_labels else nodes)


# ---- Arrow -----------------------------------------------------------------------------------


def rows_from_arrow(
    table: Any, src: str, dst: str, weights: str | None
) -> tuple[Rows, NDArray[Any] | None]:
    """Rows and labels of a graph whose edges are rows of a table."""
    pa = import_pyarrow("reading Arrow tables")
    if not hasattr(table, "__arrow_c_stream__"):
        raise TypeError(f"table: expected __arrow_c_stream__, got {type(table).__name__}")
    names = [name for name in (src, dst, weights) if name is not None]
    data = pa.table(table)
    for name in names:
        if data.column_names.count(name) != 1:
            raise ValueError(f"table: expected one column {name!r}, got {data.column_names}")
        if data[name].null_count:
            raise GraphFormatError(f"table: column {name!r} has {data[name].null_count} nulls")
    values = None
    if weights is not None:
        values = _check.nonnegative(f"column {weights!r}", data[weights].to_numpy())
    return _rows_from_columns(pa, data[src], data[dst], values)


def _rows_from_columns(
    pa: Any, src: Any, dst: Any, weights: F64 | None
) -> tuple[Rows, NDArray[Any] | None]:
    if pa.types.is_integer(src.type) and pa.types.is_integer(dst.type):
        ids = IntegerIds(None)
        for chunk in chunks_from_arrays(_signed(src), _signed(dst), weights, np.int64):
            ids.add(*chunk)
        return ids.finish()
    text = pa.chunked_array([*_text_chunks(pa, src), *_text_chunks(pa, dst)], pa.large_string())
    encoded = text.combine_chunks().dictionary_encode()
    numbers = encoded.indices.to_numpy()
    order, table = _first_appearance(numbers, len(src), len(encoded.dictionary))
    chunk = EdgeChunk(table[numbers[: len(src)]], table[numbers[len(src) :]], weights)
    names = np.array(encoded.dictionary.take(pa.array(order)).to_pylist(), STRING)
    return rows_from_numbers([chunk], len(names)), names


def _signed(column: Any) -> NDArray[np.int64]:
    values = column.to_numpy()
    if values.dtype == np.uint64 and len(values) and values.max() > np.iinfo(np.int64).max:
        raise GraphFormatError(f"table: id {values.max()} is beyond signed 64-bit integers")
    return np.asarray(values, np.int64)


def _text_chunks(pa: Any, column: Any) -> list[Any]:
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    if not (is_text or kind == pa.string_view()):
        raise GraphFormatError(f"table: expected columns of integers or of text, got {kind}")
    chunks: list[Any] = column.cast(pa.large_string()).chunks
    return chunks


def _first_appearance(
    numbers: NDArray[Any], edges: int, distinct: int
) -> tuple[NDArray[np.int64], NDArray[np.uint32]]:
    """Order distinct values by their place in src[0], dst[0], src[1], ..., as NetworkX does."""
    places = np.full(distinct, len(numbers), np.int64)
    at = np.concatenate([2 * np.arange(edges), 2 * np.arange(edges) + 1])
    np.minimum.at(places, numbers, at)
    order = np.argsort(places)
    table = np.empty(distinct, np.uint32)
    table[order] = np.arange(distinct, dtype=np.uint32)
    return order, table


def import_pyarrow(purpose: str) -> Any:
    """Import pyarrow, or say which extra brings it."""
    try:
        import pyarrow
    except ImportError as error:
        raise ImportError(f'{purpose} needs pyarrow: pip install "fastmml[arrow]"') from error
    return pyarrow
