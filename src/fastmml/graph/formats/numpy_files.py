"""NumPy and SciPy files: sparse matrices, row starts and indices, arrays of edges."""

from __future__ import annotations

import os
import zipfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmml import _check
from fastmml._files import atomic_write
from fastmml.errors import GraphFormatError
from fastmml.graph import convert
from fastmml.graph.graph import Graph


def read_npz(path: str | os.PathLike[str]) -> Graph:
    """Read SciPy's sparse matrices, or arrays ``indptr``, ``indices`` and perhaps ``data``.

    Plain arrays hold rows of out-links: ``indices[indptr[i]:indptr[i + 1]]`` are the targets of
    the links out of node i.
    """
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            if "format" not in arrays:
                return _from_rows(dict(arrays))
        import scipy.sparse

        return Graph.from_scipy(scipy.sparse.load_npz(path))
    except (ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
        raise GraphFormatError(f"{os.fspath(path)}: {error}") from error


def _from_rows(arrays: dict[str, NDArray[Any]]) -> Graph:
    if not {"indptr", "indices"} <= arrays.keys():
        raise ValueError(f"expected arrays indptr and indices, got {sorted(arrays)}")
    indptr, indices = arrays["indptr"], arrays["indices"]
    if indptr.ndim != 1 or indptr.dtype.kind not in "iu" or len(indptr) == 0:
        raise ValueError("indptr: expected a 1-d array of at least one integer")
    nodes = _check.node_count("indptr", len(indptr) - 1)
    sources = convert.expand_indptr(indptr.astype(np.int64), len(indices), nodes)
    _check.same_length("indices", indices, "indptr says", len(sources))
    return Graph(sources, indices, arrays.get("data"), num_nodes=nodes)


def read_npy(path: str | os.PathLike[str]) -> Graph:
    """Read an array of shape (edges, 2) of source and target, ids from 0."""
    try:
        edges = np.load(path, mmap_mode="r", allow_pickle=False)
        if edges.ndim != 2 or edges.shape[1] != 2:
            raise ValueError(f"expected an array of shape (edges, 2), got {edges.shape}")
        return Graph(edges[:, 0], edges[:, 1])
    except (ValueError, TypeError) as error:
        raise GraphFormatError(f"{os.fspath(path)}: {error}") from error


def write_npz(graph: Graph, path: str | os.PathLike[str]) -> None:
    """Write the matrix of links as SciPy does."""
    import scipy.sparse

    with atomic_write(path) as file:
        scipy.sparse.save_npz(file, graph.to_scipy(), compressed=False)
