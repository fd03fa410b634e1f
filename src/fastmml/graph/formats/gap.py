"""Serialized graphs of the GAP benchmark suite: ``.sg``, and ``.wsg`` with 32-bit weights.

S. Beamer, K. Asanović, D. Patterson, The GAP benchmark suite, 2015. One byte says whether the graph
is directed; two 64-bit integers give the numbers of links and of nodes; then follow the row starts
and the targets of the links out of each node and, for directed graphs, those of the links into it.
A link of ``.wsg`` is a target and an integer weight. Numbers are little-endian.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from fastmml import _check
from fastmml._files import atomic_write
from fastmml._kernels import I64
from fastmml.errors import GraphFormatError
from fastmml.graph import convert
from fastmml.graph.graph import Graph

_HEADER = np.dtype([("directed", "u1"), ("links", "<i8"), ("nodes", "<i8")])
_OFFSET = np.dtype("<i8")
_LINK = np.dtype([("node", "<i4")])
_WEIGHTED_LINK = np.dtype([("node", "<i4"), ("weight", "<i4")])
_MAX_ID = 2**31 - 1


def read(path: str | os.PathLike[str]) -> Graph:
    """Read the links out of each node; an undirected graph holds each of its links twice."""
    try:
        return _read(Path(path))
    except ValueError as error:
        raise GraphFormatError(f"{os.fspath(path)}: {error}") from error


def _read(path: Path) -> Graph:
    kind = _link_type(path)
    size = path.stat().st_size
    if size < _HEADER.itemsize:
        raise ValueError(f"expected a header of {_HEADER.itemsize} bytes, got {size}")
    header = np.fromfile(path, _HEADER, 1)[0]
    directed, links, nodes = (int(header[name]) for name in ("directed", "links", "nodes"))
    if directed > 1 or links < 0 or not 0 <= nodes <= _MAX_ID + 1:
        raise ValueError(f"expected counts in a header, got {(directed, links, nodes)}")
    once = (nodes + 1) * _OFFSET.itemsize + links * kind.itemsize
    expected = _HEADER.itemsize + (1 + directed) * once
    if size != expected:
        raise ValueError(f"expected {expected} bytes for what the header says, got {size}")
    offsets = np.memmap(path, _OFFSET, "r", _HEADER.itemsize, (nodes + 1,))
    rows = _HEADER.itemsize + offsets.nbytes
    ends = np.memmap(path, kind, "r", rows, (links,)) if links else np.empty(0, kind)
    sources = convert.expand_indptr(offsets, links, nodes)
    _check.same_length("links", ends, "row starts say", len(sources))
    return Graph(sources, ends["node"], _weights(ends), num_nodes=nodes)


def _link_type(path: Path) -> np.dtype[np.void]:
    return _WEIGHTED_LINK if path.suffix.lower() == ".wsg" else _LINK


def _weights(ends: NDArray[np.void]) -> NDArray[np.float64] | None:
    if "weight" not in (ends.dtype.names or ()):
        return None
    return np.asarray(ends["weight"], np.float64)


def write(graph: Graph, path: str | os.PathLike[str]) -> None:
    """Write a directed graph: the links out of each node, then those into it.

    Raises
    ------
    ValueError
        More than 2**31 nodes; or weights in a ``.sg``, which has none; or weights in a ``.wsg``
        that are no integers below 2**31.
    """
    kind = _link_type(Path(path))
    if graph.num_nodes > _MAX_ID + 1:
        raise ValueError(f"path: GAP's form holds 2**31 nodes, got {graph.num_nodes}")
    weights = _integer_weights(graph, kind)
    targets = np.repeat(np.arange(graph.num_nodes, dtype=np.int32), np.diff(graph.indptr))
    by_source = np.argsort(graph.indices, kind="stable")
    starts = np.zeros(graph.num_nodes + 1, _OFFSET)
    np.cumsum(np.bincount(graph.indices, minlength=graph.num_nodes), out=starts[1:])
    with atomic_write(path) as file:
        np.array([(1, graph.num_edges, graph.num_nodes)], _HEADER).tofile(file)
        _write_rows(file, starts, targets[by_source], weights[by_source], kind)
        _write_rows(file, graph.indptr, graph.indices, weights, kind)


def _integer_weights(graph: Graph, kind: np.dtype[np.void]) -> NDArray[np.float64]:
    if graph.weights is None:
        return np.ones(graph.num_edges)
    if kind == _LINK:
        raise ValueError("path: .sg holds no weights; use .wsg")
    if (graph.weights != np.floor(graph.weights)).any() or graph.weights.max(initial=0) > _MAX_ID:
        raise ValueError("weights: .wsg holds integers below 2**31 only")
    return graph.weights


def _write_rows(
    file: BinaryIO,
    starts: I64,
    ends: NDArray[np.integer],
    weights: NDArray[np.float64],
    kind: np.dtype[np.void],
) -> None:
    rows = np.empty(len(ends), kind)
    rows["node"] = ends
    if "weight" in (kind.names or ()):
        rows["weight"] = weights
    starts.astype(_OFFSET).tofile(file)
    rows.tofile(file)
