"""PageRank in fastmml and in its peers, each on its own graph object.

A peer is a small class: ``prepare(links)`` builds the library's own graph, which no benchmark
times; ``rank(graph, tol)`` is what is timed; ``fresh(graph)`` drops what a call may have cached, so
that every timed call is a first call. A tolerance means another thing in each library (a number of
passes, in one): `find_tolerance` finds the loosest whose true error is at most `TARGET`.
"""

from __future__ import annotations

import copy
import importlib
from abc import ABC, abstractmethod
from bisect import bisect_left
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

import fastmml as fm
from benchmarks.graphs import DAMPING, Links, Unavailable, l1_error, power_iteration

Scores = NDArray[np.float64]

#: The accuracy that all are timed at: L1 distance to the exact ranking.
TARGET = 1e-9
#: Tolerances that are tried, loosest first, four a decade: a step is at most 4 power iterations.
TOLERANCES = tuple(float(tol) for tol in 10 ** -np.arange(8, 14.1, 0.25))
MANY_PASSES = 1000


class Peer(ABC):
    """What a benchmark needs from a library."""

    name: ClassVar[str]
    #: The module to import.
    module: ClassVar[str]
    #: Whether it can use several threads.
    parallel: ClassVar[bool] = False
    #: What to try, loosest first; one that proves its error is given `TARGET`, as a user would.
    tolerances: ClassVar[tuple[float, ...]] = TOLERANCES
    #: More links than this, and the peer is skipped for `why_limited`.
    max_links: ClassVar[int | None] = None
    why_limited: ClassVar[str] = ""

    def __init__(self) -> None:
        try:
            self.library = importlib.import_module(self.module)
        except ImportError as error:
            raise Unavailable(f"{self.name}: not installed ({error})") from error

    def check_size(self, links: Links) -> None:
        """Raise `Unavailable` when the graph is too large for this peer."""
        if self.max_links is not None and links.num_links > self.max_links:
            raise Unavailable(f"{self.name} on {links.name}: {self.why_limited}")

    def set_threads(self, threads: int) -> None:
        """Use this many threads from now on: libraries may share one OpenMP runtime, so set all."""
        ThreadpoolController().limit(limits=threads, user_api="openmp")

    @abstractmethod
    def prepare(self, links: Links) -> Any:
        """Build the library's own graph."""

    def fresh(self, graph: Any) -> Any:
        """Make the same graph as if `rank` had never been called; the default caches nothing."""
        return graph

    @abstractmethod
    def rank(self, graph: Any, tol: float) -> Any:
        """Rank, in the library's own form of result."""

    def scores(self, result: Any) -> Scores:
        """Turn what `rank` gave into an array; not timed."""
        return np.asarray(result, dtype=np.float64)


class Fastmml(Peer):
    """Ourselves: ``tol`` is a bound that the result proves."""

    name = "fastmml"
    module = "fastmml"
    parallel = True
    tolerances = (TARGET,)

    def set_threads(self, threads: int) -> None:
        super().set_threads(threads)
        fm.set_num_threads(threads)

    def prepare(self, links: Links) -> fm.Graph:
        return fm.Graph(links.src, links.dst, num_nodes=links.num_nodes)

    def fresh(self, graph: fm.Graph) -> fm.Graph:
        return copy.copy(graph)  # the same arrays, without what a call may have kept

    def rank(self, graph: fm.Graph, tol: float) -> fm.PageRankResult:
        return fm.pagerank(graph, damping=DAMPING, tol=tol)

    def scores(self, result: fm.PageRankResult) -> Scores:
        return result.scores


class FastmmlNumba(Fastmml):
    """Ourselves without compiled C; a first call, made to find the tolerance, has compiled."""

    name = "fastmml on numba"

    def rank(self, graph: fm.Graph, tol: float) -> fm.PageRankResult:
        with fm.use_backend("numba"):
            return super().rank(graph, tol)


class Scipy(Peer):
    """Power iteration on a CSR matrix of the links into each node, stopped on the proved bound."""

    name = "scipy"
    module = "scipy"
    tolerances = (TARGET,)

    def prepare(self, links: Links) -> Any:
        return links.matrix(transposed=True)

    def rank(self, graph: Any, tol: float) -> Scores:
        return power_iteration(graph, tol)


class NetworkX(Peer):
    """``networkx.pagerank``; it stops when the change is below nodes * tol."""

    name = "networkx"
    module = "networkx"
    max_links = 500_000
    why_limited = "its graph takes about 0.5 kB a link"

    def prepare(self, links: Links) -> Any:
        graph = self.library.MultiDiGraph()
        graph.add_nodes_from(range(links.num_nodes))
        graph.add_edges_from(zip(links.src.tolist(), links.dst.tolist(), strict=True))
        return graph

    def rank(self, graph: Any, tol: float) -> Any:
        return self.library.pagerank(
            graph, alpha=DAMPING, tol=tol / len(graph), max_iter=MANY_PASSES, weight=None
        )

    def scores(self, result: Any) -> Scores:
        return np.fromiter(result.values(), np.float64, len(result))


class NetworkXBackend(NetworkX):
    """``networkx.pagerank`` on our backend: the conversion of the graph is timed with it."""

    name = "networkx on fastmml"
    parallel = True
    tolerances = (TARGET,)

    def set_threads(self, threads: int) -> None:
        super().set_threads(threads)
        fm.set_num_threads(threads)

    def fresh(self, graph: Any) -> Any:
        graph.__networkx_cache__.clear()
        return graph

    def rank(self, graph: Any, tol: float) -> Any:
        return self.library.pagerank(
            graph, DAMPING, tol=tol, max_iter=MANY_PASSES, weight=None, backend="fastmml"
        )


class Igraph(Peer):
    """``Graph.pagerank`` by PRPACK (Gauss-Seidel), whose tolerance igraph fixes.

    Its documentation does not say so, but its wheels run PRPACK on OpenMP's threads.
    """

    name = "igraph"
    module = "igraph"
    parallel = True
    tolerances = (1e-10,)

    def prepare(self, links: Links) -> Any:
        edges = np.stack([links.src, links.dst], axis=1).astype(np.int64)
        return self.library.Graph(n=links.num_nodes, edges=edges, directed=True)

    def rank(self, graph: Any, tol: float) -> Any:
        return graph.pagerank(damping=DAMPING, implementation="prpack")


class Networkit(Peer):
    """``networkit.centrality.PageRank`` with sinks distributed, stopped on the L1 change."""

    name = "networkit"
    module = "networkit"
    parallel = True

    def set_threads(self, threads: int) -> None:
        super().set_threads(threads)
        self.library.setNumberOfThreads(threads)

    def prepare(self, links: Links) -> Any:
        return self.library.GraphFromCoo(
            (links.src.astype(np.uint64), links.dst.astype(np.uint64)),
            n=links.num_nodes,
            directed=True,
        )

    def rank(self, graph: Any, tol: float) -> Any:
        centrality = self.library.centrality
        sinks = centrality.SinkHandling.DistributeSinks
        ranking = centrality.PageRank(graph, damp=DAMPING, tol=tol, distributeSinks=sinks)
        ranking.norm = centrality.Norm.L1_NORM
        return ranking.run()

    def scores(self, result: Any) -> Scores:
        return np.asarray(result.scores(), dtype=np.float64)


class ScikitNetwork(Peer):
    """``sknetwork.ranking.PageRank`` by its solver RH, a power series; the setting is its length.

    Only that solver gives this ranking to 1e-9: its power iteration and Lanczos treat dangling
    nodes in another way, D-iteration and push compute in float32, and BiCGSTAB stops at 1e-5.
    """

    name = "scikit-network"
    module = "sknetwork.ranking"
    tolerances = tuple(map(float, range(10, 200)))

    def prepare(self, links: Links) -> Any:
        return importlib.import_module("scipy.sparse").csr_matrix(links.matrix())

    def rank(self, graph: Any, tol: float) -> Any:
        return self.library.PageRank(DAMPING, solver="RH", n_iter=int(tol)).fit_predict(graph)


class Rustworkx(Peer):
    """``rustworkx.pagerank``; as in NetworkX, it stops when the change is below nodes * tol."""

    name = "rustworkx"
    module = "rustworkx"
    max_links = 8_000_000
    why_limited = "its graph is built from a list of Python tuples"

    def prepare(self, links: Links) -> Any:
        graph = self.library.PyDiGraph()
        graph.add_nodes_from(range(links.num_nodes))
        pairs = zip(links.src.tolist(), links.dst.tolist(), strict=True)
        graph.add_edges_from_no_data(list(pairs))
        return graph

    def rank(self, graph: Any, tol: float) -> Any:
        return self.library.pagerank(
            graph, alpha=DAMPING, tol=tol / graph.num_nodes(), max_iter=MANY_PASSES
        )

    def scores(self, result: Any) -> Scores:
        return np.fromiter(result.values(), np.float64, len(result))


#: Ourselves first.
PEERS: tuple[type[Peer], ...] = (
    Fastmml,
    FastmmlNumba,
    Scipy,
    NetworkX,
    NetworkXBackend,
    Igraph,
    Networkit,
    ScikitNetwork,
    Rustworkx,
)


@dataclass(frozen=True, eq=False)
class Contest:
    """A peer ready to rank a graph at the accuracy of `TARGET`."""

    peer: Peer
    links: Links
    #: The library's own form of the links.
    graph: Any
    tolerance: float
    #: The true L1 error that this tolerance reaches.
    error: float

    @property
    def reached(self) -> bool:
        """Whether the error is at most `TARGET`."""
        return self.error <= TARGET


def enter(peer_type: type[Peer], links: Links) -> Contest:
    """Build the peer's graph and find its tolerance; raises `Unavailable` with the reason."""
    peer = peer_type()
    peer.check_size(links)
    graph = peer.prepare(links)
    tolerance, error = find_tolerance(peer, graph, links)
    return Contest(peer, links, graph, tolerance, error)


def find_tolerance(peer: Peer, graph: Any, links: Links) -> tuple[float, float]:
    """Find the peer's loosest tolerance whose error is at most `TARGET`; return it and the error.

    When all of them miss `TARGET`, the tightest one is returned with the error that it reaches.
    """

    @cache
    def error_at(tolerance: float) -> float:
        return l1_error(links, peer.scores(peer.rank(peer.fresh(graph), tolerance)))

    first = bisect_left(
        peer.tolerances[:-1], True, key=lambda tolerance: error_at(tolerance) <= TARGET
    )
    return peer.tolerances[first], error_at(peer.tolerances[first])
