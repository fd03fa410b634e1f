"""Fast linear algebra and graph ranking with proved error bounds."""

from importlib.metadata import version as _version

from fastmml._backend import (
    backend,
    check_environment,
    get_num_threads,
    set_num_threads,
    threads,
    use_backend,
)
from fastmml.errors import ConvergenceError, GraphFormatError
from fastmml.graph import Graph, PageRankResult, pagerank, read_graph, rmat, write_graph

__all__ = [
    "ConvergenceError",
    "Graph",
    "GraphFormatError",
    "PageRankResult",
    "backend",
    "get_num_threads",
    "pagerank",
    "read_graph",
    "rmat",
    "set_num_threads",
    "threads",
    "use_backend",
    "write_graph",
]

__version__ = _version("fastmml")

check_environment()
del check_environment
