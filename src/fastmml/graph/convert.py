"""Edges out of other libraries' objects: SciPy, NetworkX, Arrow tables."""

from __future__ import annotations

import sys
from collections.abc import Hashable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmml import _check
from fastmml._kernels import F64, I64, U8
from fastmml.errors import GraphFormatError
from fastmml.graph.build import EdgeChunk, Rows
from fastmml.graph.collect import IntegerIds, TextIds
from fastmml.graph.labels import Labels
from fastmml.graph.spill import Chunks

if TYPE_CHECKING:
    import networkx
    import scipy.sparse

#: Rows of a table that are taken at once.
_BATCH_ROWS = 1 << 20
#: A place in a text, and a length, take 31 bits.
_MOST_TEXT = 2**31 - 1


class Edges(NamedTuple):
    """Parallel arrays of edges, how many nodes there are, and their names."""

    src: NDArray[Any]
    dst: NDArray[Any]
    weights: F64 | None
    num_nodes: int
    labels: list[Hashable] | None = None


# ---- chunks ----------------------------------------------------------------------------------


def rows_from_chunks(
    chunks: Iterable[Sequence[ArrayLike]], num_nodes: int | None, max_memory: int
) -> Rows:
    """Rows of a graph whose edges come as (src, dst) or (src, dst, weights), again and again."""
    kept, largest, columns = Chunks(max_memory), -1, 0
    for arrays in chunks:
        if len(arrays) not in (2, 3) or columns not in (0, len(arrays)):
            raise ValueError(f"chunks: expected 2 arrays each, or 3 each, got {len(arrays)}")
        columns = len(arrays)
        chunk = _checked_copy(*arrays, num_nodes=num_nodes)
        if len(chunk.src):
            kept.add(chunk)
            largest = max(largest, int(chunk.src.max()), int(chunk.dst.max()))
    return kept.rows(largest + 1 if num_nodes is None else num_nodes)


def _checked_copy(
    src: ArrayLike, dst: ArrayLike, weights: ArrayLike | None = None, *, num_nodes: int | None
) -> EdgeChunk:
    sources = _check.node_ids("src", src, num_nodes).astype(np.uint32)
    targets = _check.node_ids("dst", dst, num_nodes).astype(np.uint32)
    _check.same_length("dst", targets, "src", len(sources))
    if weights is None:
        return EdgeChunk(sources, targets)
    values = _check.nonnegative("weights", weights).copy()
    _check.same_length("weights", values, "src", len(sources))
    return EdgeChunk(sources, targets, values)


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
    if matrix.dtype.kind not in "biuf":
        raise TypeError(f"matrix: expected real numbers, got dtype {matrix.dtype}")
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
    table: Any,
    src: str,
    dst: str,
    weights: str | None,
    num_nodes: int | None,
    max_memory: int,
) -> tuple[Rows, NDArray[Any] | Labels | None]:
    """Rows and labels of a graph whose edges are rows of a table, taken batch by batch."""
    pa = import_pyarrow("reading Arrow tables")
    names = [name for name in (src, dst, weights) if name is not None]
    reader = _open_stream(pa, table, names)
    integers = all(pa.types.is_integer(reader.schema.field(name).type) for name in (src, dst))
    numbers, texts = IntegerIds(num_nodes, max_memory), TextIds(max_memory)
    for batch in reader:
        for start in range(0, len(batch), _BATCH_ROWS):
            columns = [_column(batch, name).slice(start, _BATCH_ROWS) for name in names]
            values = None if weights is None else _weights(weights, columns[2])
            if integers:
                numbers.add(_signed(columns[0]), _signed(columns[1]), values)
            else:
                texts.add(*_spans(pa, columns[0], columns[1]), values)
    return numbers.finish() if integers else texts.finish(num_nodes)


def _open_stream(pa: Any, table: Any, names: list[str]) -> Any:
    """Batches of a table, a reader of batches or a data set, whose columns are checked."""
    if hasattr(table, "scanner"):  # a data set, of which only these columns are read
        _check_columns(pa, table.schema, names)
        table = table.scanner(columns=names).to_reader()
    if not hasattr(table, "__arrow_c_stream__"):
        raise TypeError(f"table: expected __arrow_c_stream__, got {type(table).__name__}")
    reader = pa.RecordBatchReader.from_stream(table)
    _check_columns(pa, reader.schema, names)
    return reader


def _check_columns(pa: Any, schema: Any, names: list[str]) -> None:
    for name in names:
        if schema.names.count(name) != 1:
            raise ValueError(f"table: expected one column {name!r}, got {schema.names}")
    kinds = [_value_type(pa, schema.field(name).type) for name in names[:2]]
    if all(pa.types.is_integer(kind) for kind in kinds):
        return
    for kind in kinds:
        is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
        if not (is_text or kind == pa.string_view()):
            raise GraphFormatError(f"table: expected columns of integers or of text, got {kind}")


def _value_type(pa: Any, kind: Any) -> Any:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _column(batch: Any, name: str) -> Any:
    column = batch.column(name)
    if column.null_count:
        raise GraphFormatError(f"table: column {name!r} has {column.null_count} nulls")
    return column


def _weights(name: str, column: Any) -> F64:
    return _check.nonnegative(f"column {name!r}", column.to_numpy(zero_copy_only=False))


def _signed(column: Any) -> NDArray[np.int64]:
    values = column.to_numpy(zero_copy_only=False)
    if values.dtype == np.uint64 and len(values) and values.max() > np.iinfo(np.int64).max:
        raise GraphFormatError(f"table: id {values.max()} is beyond signed 64-bit integers")
    return np.asarray(values, np.int64)


def _spans(pa: Any, src: Any, dst: Any) -> tuple[U8, I64, I64]:
    """Text of two columns, and where in it each value stands: offset << 32 | length."""
    texts, spans, start = [], [], 0
    for column in (src, dst):
        strings = column.cast(pa.large_string())
        _, offset_bytes, letters = strings.buffers()
        offsets = np.frombuffer(offset_bytes, np.int64, len(strings) + 1, 8 * strings.offset)
        text = np.frombuffer(letters or b"", np.uint8)[offsets[0] : offsets[-1]]
        spans.append((offsets[:-1] - offsets[0] + start) << 32 | np.diff(offsets))
        texts.append(text)
        start += len(text)
    if start > _MOST_TEXT:
        raise GraphFormatError(f"table: expected labels of less than {_MOST_TEXT} bytes together")
    return np.concatenate(texts), spans[0], spans[1]


def import_pyarrow(purpose: str) -> Any:
    """Import pyarrow, or say which extra brings it."""
    try:
        import pyarrow
    except ImportError as error:
        raise ImportError(f'{purpose} needs pyarrow: pip install "fastmml[arrow]"') from error
    return pyarrow
