"""Matrix Market files, through SciPy."""

from __future__ import annotations

import os

from fastmml._files import atomic_write
from fastmml.errors import GraphFormatError
from fastmml.graph.graph import Graph


def read(path: str | os.PathLike[str]) -> Graph:
    """Read a square sparse matrix: a nonzero entry (i, j) is a link from i to j."""
    import scipy.io
    import scipy.sparse

    with open(path, "rb"):
        pass  # a missing file is an OSError, whatever SciPy makes of it
    try:
        matrix = scipy.io.mmread(path, spmatrix=False)
        return Graph.from_scipy(scipy.sparse.coo_array(matrix))
    except (ValueError, TypeError, OverflowError) as error:
        raise GraphFormatError(f"{os.fspath(path)}: {error}") from error


def write(graph: Graph, path: str | os.PathLike[str]) -> None:
    """Write the matrix of links in coordinate form."""
    import scipy.io

    with atomic_write(path) as file:
        scipy.io.mmwrite(file, graph.to_scipy())
