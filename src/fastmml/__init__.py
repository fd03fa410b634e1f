"""Fast linear algebra and graph ranking with proved error bounds."""

from importlib import import_module

__version__ = "0.1.0"

#: The public names, and the module of each, which is imported when one of its names is first used.
#: Type checkers read the same names in ``__init__.pyi``.
_MODULES = {
    "ConvergenceError": "errors",
    "EigenvectorResult": "graph.spectral",
    "EighResult": "systems",
    "Graph": "graph.graph",
    "GraphFormatError": "errors",
    "HitsResult": "graph.spectral",
    "InnerProduct": "geometry",
    "KatzResult": "graph.katz",
    "LinearRegression": "regression",
    "LocalPageRankResult": "graph.local_pagerank",
    "LstsqResult": "least_squares",
    "MeanCovariance": "moments",
    "Moments": "moments",
    "Neighbors": "distances",
    "NotFittedError": "errors",
    "PCA": "decomposition.pca",
    "PageRankResult": "graph.pagerank",
    "Projection": "orthogonal",
    "QR": "updating",
    "QRResult": "orthogonal",
    "StreamingQR": "streaming",
    "backend": "_backend",
    "change_of_basis": "systems",
    "correlation": "moments",
    "covariance": "moments",
    "det": "systems",
    "eigenvector_centrality": "graph.spectral",
    "eigh": "systems",
    "einsum": "contraction",
    "get_memory_pool": "_backend",
    "get_num_threads": "_backend",
    "gram": "linalg",
    "gram_schmidt": "orthogonal",
    "hits": "graph.spectral",
    "inv": "systems",
    "katz_centrality": "graph.katz",
    "kneighbors": "distances",
    "local_pagerank": "graph.local_pagerank",
    "lstsq": "least_squares",
    "matmul": "linalg",
    "mean_covariance": "moments",
    "orthogonality": "orthogonal",
    "pagerank": "graph.pagerank",
    "pairwise_distances": "distances",
    "project": "orthogonal",
    "qr": "orthogonal",
    "read_graph": "graph.formats",
    "rmat": "graph.rmat",
    "set_memory_pool": "_backend",
    "set_num_threads": "_backend",
    "solve": "systems",
    "threads": "_backend",
    "use_backend": "_backend",
    "write_graph": "graph.formats",
}
__all__ = list(_MODULES)


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
