"""Personalised PageRank around a few seeds, by local push, with a proved error bound."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Set
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastmml import _check, _memory
from fastmml._backend import kernels
from fastmml._kernels import F64, I64, U32
from fastmml.errors import ConvergenceError
from fastmml.graph.graph import Graph, as_graph
from fastmml.graph.out_links import OutLinks, collect_out_links
from fastmml.graph.plan import MAX_NODES
from fastmml.graph.ranking import largest
from fastmml.graph.solution import Info

_UNIT_ROUNDOFF = 2.0**-53
#: Roundings of a score beside those of its sum over links: its terms, the scale, sums of all.
_ROUNDINGS = 128
#: The kernel aims this much below tol, since the proof adds rounding errors ...
_AIM = 0.99
#: ... and, where they added more, as low as this: smaller rests are nothing beside them.
_LOWEST = 1e-17
_NO_LIMIT = 2**62


@dataclass(frozen=True, eq=False)
class LocalPageRankResult:
    """What `local_pagerank` computed, and how right it is.

    Attributes
    ----------
    nodes : ndarray of uint32, shape (m,)
        Ids of the nodes with a score, in the order in which they were found, seeds first.
    scores : ndarray of float64, shape (m,)
        Their PageRanks, up to rounding errors from below. All other nodes have score 0.
    error_bound : float
        Proved bound on the 1-norm of ``scores - exact`` over all nodes of the graph, rounding
        errors included. But for these it is what the scores lack to sum 1.
    links : int
        How many links were read, some of them several times.
    converged : bool
        Whether the bound is at most ``tol``, which ``max_links`` may have prevented.
    info : dict
        ``out_link_bytes``, which the graph keeps for later calls, and the ``seconds`` that each
        stage took.
    """

    nodes: U32
    scores: F64
    error_bound: float
    links: int
    converged: bool
    info: dict[str, Any] = field(repr=False)
    _graph: Graph = field(repr=False)

    def top(self, k: int = 10) -> list[tuple[Any, float]]:
        """Return the k best nodes as (label, score), best first; equal scores as found."""
        best = largest(self.scores, min(_check.positive_int("k", k), len(self.scores)))
        labels = self._graph._labels.at(self.nodes[best])
        return list(zip(labels, self.scores[best].tolist(), strict=True))


def local_pagerank(
    graph: Any,
    seeds: Any,
    damping: float = 0.85,
    tol: float = 1e-4,
    max_links: int | None = None,
) -> LocalPageRankResult:
    """Rank the nodes around a few seeds by personalised PageRank, with a proved error bound.

    Approximates ``pagerank(graph, damping, personalization=seeds)``, in which walks start anew at
    the seeds, from dangling nodes too. Reads the links of nodes near the seeds alone, as far as
    ``tol`` asks for.

    Parameters
    ----------
    graph : Graph, SciPy sparse matrix or NetworkX graph
        Weights of links, where the graph has them, are used.
    seeds : label, list, set or array of labels, or dict
        Where walks start: one node, several with equal weights, or a dict from labels to
        non-negative weights. Labels are ids where the graph has none.
    damping : float
        Probability of following a link, at least 0 and below 1.
    tol : float
        Tolerance on the 1-norm of the error, as proved by ``error_bound``.
    max_links : int, optional
        Most links to read. The result is then what could be found, with its ``error_bound``.

    Returns
    -------
    LocalPageRankResult
        ``nodes``, ``scores``, ``error_bound``, ``links``, ``converged`` and ``top(k)``.

    Raises
    ------
    ConvergenceError
        ``tol`` is below what float64 can prove (about 1e-13); carries the result.
    KeyError
        The graph does not have such a label.
    TypeError, ValueError
        An argument is not of its kind or out of its range.

    Notes
    -----
    A walk follows links onwards, while a `Graph` keeps the links into each node: the first call
    on a `Graph` sorts its links by source, in O(links), and has it keep them (as much memory again
    as the graph takes; neither saved nor pickled). Hand in a `Graph` to profit from that: others
    are converted at every call. Later calls cost what they read: about
    O(links of nodes found * log(1 / tol)). Where that is most of the graph, as on random graphs,
    whose walks reach all nodes within a few steps, `pagerank` takes less time.

    Local push [1]_ [2]_, in sweeps over the nodes found (csrc/graph/push.c). For any ranks p and
    their image y under the map without jumps from dangling nodes,
    ``y = damping * P.T @ p + (1 - damping) * v``, the exact ranks are within
    ``damping / (1 - damping) * |y - p| / c`` of ``y / c``, where
    ``c = 1 - damping / (1 - damping) * (p on dangling nodes)``: jumps change the scale alone [3]_.
    y is computed in one pass at the end, whose rounding errors are added. The result does not
    depend on the number of threads, which is one.

    References
    ----------
    .. [1] G. Jeh, J. Widom, "Scaling personalized web search", WWW 2003.
    .. [2] R. Andersen, F. Chung, K. Lang, "Local graph partitioning using PageRank vectors",
       FOCS 2006.
    .. [3] G. Del Corso, A. Gulli, F. Romani, "Fast PageRank computation via a sparse linear
       system", Internet Mathematics 2 (2005).

    Examples
    --------
    >>> import fastmml as fm
    >>> g = fm.Graph([0, 1, 2, 3], [1, 0, 0, 3], labels=["hub", "mate", "leaf", "far"])
    >>> r = fm.local_pagerank(g, "leaf")
    >>> [(label, round(score, 3)) for label, score in r.top(3)]
    [('hub', 0.459), ('mate', 0.39), ('leaf', 0.15)]
    """
    g = as_graph(graph)
    if g.num_nodes > MAX_NODES:
        raise ValueError(f"graph: expected at most 2**31 nodes, got {g.num_nodes}")
    factor, tolerance = _check.damping(damping), _check.positive("tol", tol)
    limit = _NO_LIMIT if max_links is None else _check.positive_int("max_links", max_links)
    nodes, base = _base(g, seeds, factor)
    info = Info({})
    with info.timing("out_links"):
        links = g._out_links = g._out_links or collect_out_links(g)
    info.choices["out_link_bytes"] = links.nbytes
    read = 0
    for aim in (max(tolerance * _AIM, _LOWEST), _LOWEST):
        with info.timing("push"):
            found = _push(links, nodes, base, factor, aim, limit)
        read += found.links
        result = _prove(g, links, found, factor, tolerance, read, info)
        if result.converged or max_links is not None:
            return result
    raise ConvergenceError(
        f"local_pagerank: the error bound is {result.error_bound:.2g}, above tol = {tolerance:g}, "
        "which float64 cannot prove",
        result,
    )


def _base(g: Graph, seeds: Any, damping: float) -> tuple[U32, F64]:
    """Ids of the seeds with weight, ascending, and ``(1 - damping) * v`` on them."""
    given, weights = _seeds(g, seeds)
    ids, places = np.unique(given, return_index=True)
    if len(ids) < len(given):
        raise ValueError("seeds: expected distinct labels, got repeated ones")
    largest_weight = weights.max(initial=0)
    if largest_weight == 0:
        raise ValueError("seeds: expected a positive sum of weights, got 0")
    scaled = weights[places] / largest_weight  # so that the sum stays finite
    chosen = scaled > 0
    return ids[chosen].astype(np.uint32), (1 - damping) * scaled[chosen] / scaled.sum()


def _seeds(g: Graph, seeds: Any) -> tuple[I64, F64]:
    """Ids and weights of the seeds in any of the forms that users may give them."""
    if isinstance(seeds, Mapping):
        weights = _check.nonnegative("seeds", list(seeds.values()))
        if weights.ndim != 1:
            raise ValueError("seeds: expected one number for each label")
        return g.ids(seeds), weights
    labels: list[Hashable] = [seeds]
    if isinstance(seeds, np.ndarray):
        labels = np.atleast_1d(seeds).tolist()
    elif isinstance(seeds, (list, Set)):
        labels = list(seeds)
    return g.ids(labels), np.ones(len(labels))


@dataclass(frozen=True)
class _Found:
    """What the kernel found."""

    nodes: U32
    ranks: F64
    images: F64
    links: int


def _push(
    links: OutLinks, seeds: U32, base: F64, damping: float, tolerance: float, max_links: int
) -> _Found:
    n = len(links.indptr) - 1
    nodes = _memory.empty(n, np.uint32)  # only what is found takes memory
    ranks, images = _memory.empty(n, np.float64), _memory.empty(n, np.float64)
    count, read = kernels().rank_push(
        *links, seeds, base, damping, tolerance, max_links, nodes, ranks, images
    )
    return _Found(nodes[:count], ranks[:count], images[:count], read)


def _prove(
    g: Graph, links: OutLinks, found: _Found, damping: float, tol: float, read: int, info: Info
) -> LocalPageRankResult:
    """Scale the image of the ranks to sum 1, and bound what it lacks."""
    nodes, image = found.nodes, found.images
    odds = damping / (1 - damping)
    scale = 1 - odds * float(found.ranks[links.is_dangling(nodes)].sum())
    truncation = odds * float(np.abs(image - found.ranks).sum())
    terms = g.indptr[1:][nodes] - g.indptr[nodes]
    rounding = _UNIT_ROUNDOFF * 1.01 * float(((terms + _ROUNDINGS) * image).sum())
    bound = (truncation + rounding / (1 - damping)) / scale
    kept = image > 0  # links of weight 0 lead to others
    return LocalPageRankResult(
        nodes[kept], image[kept] / scale, bound, read, bound <= tol, info.as_dict(), g
    )
