"""Fast linear algebra and graph ranking with proved error bounds."""

from fastmml._backend import (
    backend,
    get_num_threads,
    set_num_threads,
    threads,
    use_backend,
    warn_without_native,
)
from fastmml.contraction import einsum
from fastmml.errors import ConvergenceError, GraphFormatError
from fastmml.graph import (
    EigenvectorResult,
    Graph,
    HitsResult,
    KatzResult,
    LocalPageRankResult,
    PageRankResult,
    eigenvector_centrality,
    hits,
    katz_centrality,
    local_pagerank,
    pagerank,
    read_graph,
    rmat,
    write_graph,
)
from fastmml.least_squares import lstsq
from fastmml.linalg import gram, matmul
from fastmml.orthogonal import gram_schmidt, orthogonality, project, qr

__all__ = [
    "ConvergenceError",
    "EigenvectorResult",
    "Graph",
    "GraphFormatError",
    "HitsResult",
    "KatzResult",
    "LocalPageRankResult",
    "PageRankResult",
    "backend",
    "eigenvector_centrality",
    "einsum",
    "get_num_threads",
    "gram",
    "gram_schmidt",
    "hits",
    "katz_centrality",
    "local_pagerank",
    "lstsq",
    "matmul",
    "orthogonality",
    "pagerank",
    "project",
    "qr",
    "read_graph",
    "rmat",
    "set_num_threads",
    "threads",
    "use_backend",
    "write_graph",
]

__version__ = "0.1.0"

warn_without_native()
del warn_without_native
