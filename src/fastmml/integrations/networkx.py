"""NetworkX's backend ``fastmml``: ``nx.pagerank(G, backend="fastmml")`` and its kin.

Functions bear the names, arguments, exceptions and results of NetworkX's, where they are described.
An iteration that NetworkX ends by a rule of its own, in ``max_iter`` steps or with an exception, is
made step by step on our kernel; what does not depend on the steps comes from our own solvers.
NotImplementedError hands a call that fastmml cannot take back to NetworkX.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property, wraps
from typing import Any, ClassVar, ParamSpec, TypeVar

import networkx as nx
import numpy as np

import fastmml as fm
from fastmml._kernels import F64
from fastmml.graph import convert
from fastmml.graph.build import Rows
from fastmml.graph.spectral import pull

_P = ParamSpec("_P")
_R = TypeVar("_R")
_Scores = dict[Hashable, float]

#: On the relative error of scores that NetworkX solves for directly.
_KATZ_TOL = 1e-10
#: What ARPACK takes a tolerance of 0 for.
_UNSET_TOL = float(np.finfo(np.float64).eps)


# ---- Graphs ----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class BackendGraph:
    """A NetworkX graph as fastmml holds it, with at most one of the edges' attributes."""

    __networkx_backend__: ClassVar[str] = "fastmml"

    nodes: list[Hashable]
    links: fm.Graph
    attribute: Hashable
    directed: bool
    multigraph: bool

    def __len__(self) -> int:
        return len(self.nodes)

    def is_directed(self) -> bool:
        """Whether edges have a direction."""
        return self.directed

    def is_multigraph(self) -> bool:
        """Whether edges may be parallel."""
        return self.multigraph

    def weighted_by(self, weight: Hashable) -> fm.Graph:
        """Return the links with this attribute as weights; unweighted for None."""
        if weight is None:
            return self._unweighted
        if weight != self.attribute:
            raise ValueError(f"weight: expected {self.attribute!r} or None, got {weight!r}")
        return self.links

    @cached_property
    def _unweighted(self) -> fm.Graph:
        if self.links.weights is None:
            return self.links
        return fm.Graph.from_rows(Rows(self.links.indptr, self.links.indices, None))

    def scores(self, values: F64) -> _Scores:
        """Key values, one per node, by their nodes."""
        return dict(zip(self.nodes, values.tolist(), strict=True))

    def vector(self, values: Mapping[Any, Any]) -> F64:
        """Values of the nodes in a mapping that may lack some (0) and have others."""
        return np.array([values.get(node, 0) for node in self.nodes], dtype=float)


def convert_from_nx(
    graph: nx.Graph,
    *,
    edge_attrs: dict[Any, Any] | None = None,
    node_attrs: dict[Any, Any] | None = None,
    preserve_edge_attrs: bool = False,
    preserve_node_attrs: bool = False,
    preserve_graph_attrs: bool = False,
    name: str | None = None,
    graph_name: str | None = None,
) -> BackendGraph:
    """Take nodes, links and one attribute of the links; NetworkX caches the result."""
    attributes = dict(edge_attrs or {})
    weight, default = attributes.popitem() if attributes else (None, 1)
    if preserve_edge_attrs or attributes or default != 1:
        raise NotImplementedError("fastmml keeps one edge attribute, of default 1")
    try:
        edges = convert.edges_from_networkx(graph, weight)
    except (TypeError, ValueError) as error:
        raise NotImplementedError(f"fastmml cannot hold this graph: {error}") from error
    links = fm.Graph(edges.src, edges.dst, edges.weights, num_nodes=edges.num_nodes)
    return BackendGraph(list(graph), links, weight, graph.is_directed(), graph.is_multigraph())


def convert_to_nx(obj: Any, *, name: str | None = None) -> Any:
    """Make a NetworkX graph of one of ours; anything else is one of NetworkX's already."""
    if not isinstance(obj, BackendGraph):
        return obj
    kinds = {
        (False, False): nx.Graph,
        (False, True): nx.MultiGraph,
        (True, False): nx.DiGraph,
        (True, True): nx.MultiDiGraph,
    }
    graph = kinds[obj.directed, obj.multigraph]()
    graph.add_nodes_from(obj.nodes)
    links = obj.links
    targets = np.repeat(np.arange(len(obj)), np.diff(links.indptr))
    kept = slice(None) if obj.directed else links.indices <= targets  # each edge once
    ends = (map(obj.nodes.__getitem__, ids[kept].tolist()) for ids in (links.indices, targets))
    if links.weights is None:
        graph.add_edges_from(zip(*ends, strict=True))
    else:
        triples = zip(*ends, links.weights[kept].tolist(), strict=True)
        graph.add_weighted_edges_from(triples, weight=obj.attribute)
    return graph


# ---- Settings --------------------------------------------------------------------------------


def _configured_threads() -> AbstractContextManager[None]:
    """As many threads as ``nx.config.backends.fastmml.threads`` says; None leaves their number."""
    number = nx.config.backends.fastmml.threads
    return nullcontext() if number is None else fm.threads(number)


def _for_networkx(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Run on the configured threads; like NetworkX's own loops, without NumPy's warnings."""

    @wraps(function)
    def run(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        with _configured_threads(), np.errstate(all="ignore"):
            return function(*args, **kwargs)

    return run


def _iterate(step: Callable[[F64], F64], x: F64, tol: float, max_iter: int) -> F64:
    """Take steps until the 1-norm of one is below tol, which is NetworkX's rule."""
    for _ in range(max_iter):
        last, x = x, step(x)
        if np.abs(x - last).sum() < tol:
            return x
    raise nx.PowerIterationFailedConvergence(max_iter)


# ---- PageRank --------------------------------------------------------------------------------


@_for_networkx
def pagerank(
    G: BackendGraph,
    alpha: float = 0.85,
    personalization: Mapping[Any, float] | None = None,
    max_iter: int = 100,
    tol: float = 1.0e-6,
    nstart: Mapping[Any, float] | None = None,
    weight: Hashable = "weight",
    dangling: Mapping[Any, float] | None = None,
) -> _Scores:
    """PageRank, as `networkx.pagerank`, with an error of at most ``tol`` wherever that is proved.

    NetworkX's step k is at most ``2 alpha**(k - 1)`` times the norm of its start, so it is known
    beforehand when ``max_iter`` steps suffice. Then no result depends on the steps, and
    `fastmml.pagerank` computes ranks at least as exact.
    """
    n = len(G)
    if n == 0:
        return {}
    graph = G.weighted_by(weight)
    p, x = np.full(n, 1 / n), np.full(n, 1 / n)
    if nstart is not None:
        x = G.vector(nstart)
        x /= x.sum()
    if personalization is not None:
        p = G.vector(personalization)
        if p.sum() == 0:
            raise ZeroDivisionError
        p /= p.sum()
    w = p if dangling is None else G.vector(dangling)
    w = w / w.sum()
    if _surely_converges(alpha, p, w, x, n * tol, max_iter):
        exact = min(tol, alpha * n * tol / (1 - alpha)) if alpha else tol
        try:
            return G.scores(
                fm.pagerank(
                    graph.prepare(), alpha, p, None if dangling is None else w, exact,
                    x0=None if nstart is None else np.maximum(x, 0),
                ).scores
            )  # fmt: skip
        except fm.ConvergenceError:  # NetworkX's rule proves nothing, and so may hold nevertheless
            pass
    return G.scores(_iterate(_pagerank_step(graph, alpha, p, w), x, n * tol, max_iter))


def _surely_converges(alpha: float, p: F64, w: F64, x: F64, tol: float, max_iter: int) -> bool:
    """Whether NetworkX's steps are below tol after max_iter of them, whatever the graph."""
    if not (0 <= alpha < 1 and max_iter >= 1 and (p >= 0).all() and (w >= 0).all()):
        return False
    return bool(2 * np.abs(x).sum() * alpha ** (max_iter - 1) < tol)


def _pagerank_step(graph: fm.Graph, alpha: float, p: F64, w: F64) -> Callable[[F64], F64]:
    product, strength = pull(graph), graph.out_strength()
    dangling = strength == 0
    inverse = np.where(dangling, 0, 1 / strength)

    def step(x: F64) -> F64:
        y: F64 = alpha * (product(x * inverse) + x[dangling].sum() * w) + (1 - alpha) * p
        return y

    return step


# ---- HITS ------------------------------------------------------------------------------------


@_for_networkx
def hits(
    G: BackendGraph,
    max_iter: int = 100,
    tol: float = 1.0e-8,
    nstart: Mapping[Any, float] | None = None,
    normalized: bool = True,
) -> tuple[_Scores, _Scores]:
    """Hubs and authorities, as `networkx.hits`: ``max_iter`` counts restarts of ARPACK.

    The tolerance is SciPy's, squared on the way from singular values to eigenvalues.
    """
    if len(G) == 0:
        return {}, {}
    start = None
    if nstart is not None:
        if len(nstart) != len(G):
            raise ValueError(f"nstart: expected {len(G)} values, one per node, got {len(nstart)}")
        start = G.vector(nstart)
        if not (start.min() > 0 and start.max() < math.inf):
            start = None  # ARPACK may never leave it
    if max_iter <= 0:
        raise nx.PowerIterationFailedConvergence(max_iter)
    try:
        result = fm.hits(G.weighted_by("weight"), tol**2 or _UNSET_TOL, max_iter, start)
    except fm.ConvergenceError as error:
        raise nx.PowerIterationFailedConvergence(max_iter) from error
    hubs, authorities = result.hubs, result.authorities
    if not normalized:
        authorities = authorities / np.linalg.norm(authorities)
        hubs = hubs * (result.singular_value / np.linalg.norm(hubs))
    return G.scores(hubs), G.scores(authorities)


# ---- Eigenvector centrality ------------------------------------------------------------------


@_for_networkx
def eigenvector_centrality(
    G: BackendGraph,
    max_iter: int = 100,
    tol: float = 1.0e-6,
    nstart: Mapping[Any, float] | None = None,
    weight: Hashable = None,
) -> _Scores:
    """Eigenvector centrality, as `networkx.eigenvector_centrality`, step by step.

    Where the graph has no single dominant eigenvector the result is that of the last step.
    """
    _refuse_null(G)
    x = np.ones(len(G)) if nstart is None else _start(G, nstart)
    if not x.any():
        raise nx.NetworkXError("initial vector cannot have all zero values")
    product = pull(G.weighted_by(weight))

    def step(x: F64) -> F64:
        y = x + product(x)
        return y / (np.linalg.norm(y) or 1.0)

    total = x.sum()
    if total == 0:
        raise ZeroDivisionError("nstart: expected a sum other than 0")
    return G.scores(_iterate(step, x / total, len(G) * tol, max_iter))


@_for_networkx
def eigenvector_centrality_numpy(
    G: BackendGraph, weight: Hashable = None, max_iter: int = 50, tol: float = 0
) -> _Scores:
    """Eigenvector centrality, as `networkx.eigenvector_centrality_numpy`; one node counts 1."""
    from scipy.sparse.csgraph import connected_components

    _refuse_null(G)
    links = G.weighted_by(None).to_scipy()
    if connected_components(links, connection="strong", return_labels=False) > 1:
        raise nx.AmbiguousSolution(
            "`eigenvector_centrality_numpy` does not give consistent results for disconnected "
            "graphs"
        )
    if len(G) == 1:
        return G.scores(np.ones(1))
    try:
        tolerance = tol if tol > 0 else _UNSET_TOL
        result = fm.eigenvector_centrality(G.weighted_by(weight), tolerance, max_iter)
    except fm.ConvergenceError as error:
        raise (error.__cause__ or error) from None  # ARPACK's own, as NetworkX has it
    return G.scores(result.scores)


def _refuse_null(G: BackendGraph) -> None:
    if len(G) == 0:
        raise nx.NetworkXPointlessConcept("cannot compute centrality for the null graph")


def _start(G: BackendGraph, nstart: Mapping[Any, float]) -> F64:
    """Values of all nodes; KeyError for one that the mapping lacks."""
    return np.array([nstart[node] for node in G.nodes], dtype=float)


# ---- Katz centrality -------------------------------------------------------------------------


@_for_networkx
def katz_centrality(
    G: BackendGraph,
    alpha: float = 0.1,
    beta: float | Mapping[Any, float] = 1.0,
    max_iter: int = 1000,
    tol: float = 1.0e-6,
    nstart: Mapping[Any, float] | None = None,
    normalized: bool = True,
    weight: Hashable = None,
) -> _Scores:
    """Katz centrality, as `networkx.katz_centrality`, step by step."""
    if len(G) == 0:
        return {}
    x = np.zeros(len(G)) if nstart is None else _start(G, nstart)
    own = _own_scores(G, beta)
    product = pull(G.weighted_by(weight))
    x = _iterate(lambda x: alpha * product(x) + own, x, len(G) * tol, max_iter)
    return G.scores(x / (np.linalg.norm(x) or 1.0) if normalized else x)


@_for_networkx
def katz_centrality_numpy(
    G: BackendGraph,
    alpha: float = 0.1,
    beta: float | Mapping[Any, float] = 1.0,
    normalized: bool = True,
    weight: Hashable = None,
) -> _Scores:
    """Katz centrality, as `networkx.katz_centrality_numpy`, where the series converges."""
    if len(G) == 0:
        return {}
    own, graph = _own_scores(G, beta), G.weighted_by(weight).prepare()
    try:
        result = fm.katz_centrality(graph, alpha, own, _KATZ_TOL, normalized=normalized)
    except (TypeError, ValueError, fm.ConvergenceError) as error:
        raise NotImplementedError(f"fastmml solves convergent series only: {error}") from error
    return G.scores(result.scores)


def _own_scores(G: BackendGraph, beta: Any) -> F64:
    """What each node counts by itself, of a number or of a mapping with all nodes."""
    try:
        return np.full(len(G), float(beta))
    except (TypeError, ValueError, AttributeError) as error:
        if not isinstance(beta, Mapping) or set(beta) != set(G.nodes):
            raise nx.NetworkXError("beta dictionary must have a value for every node") from error
    return G.vector(beta)
