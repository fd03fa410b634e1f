"""Graphs and what is computed on them."""

from fastmml.graph.formats import read_graph, write_graph
from fastmml.graph.graph import Graph
from fastmml.graph.katz import KatzResult, katz_centrality
from fastmml.graph.local_pagerank import LocalPageRankResult, local_pagerank
from fastmml.graph.pagerank import PageRankResult, pagerank
from fastmml.graph.rmat import rmat
from fastmml.graph.spectral import (
    EigenvectorResult,
    HitsResult,
    eigenvector_centrality,
    hits,
)

__all__ = [
    "EigenvectorResult",
    "Graph",
    "HitsResult",
    "KatzResult",
    "LocalPageRankResult",
    "PageRankResult",
    "eigenvector_centrality",
    "hits",
    "katz_centrality",
    "local_pagerank",
    "pagerank",
    "read_graph",
    "rmat",
    "write_graph",
]
