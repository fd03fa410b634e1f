"""Katz centrality with a proved error bound."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastmml import _check
from fastmml._backend import get_num_threads, kernels
from fastmml._kernels import F64
from fastmml.errors import ConvergenceError
from fastmml.graph.graph import Graph, as_graph
from fastmml.graph.plan import arrange, prepare, scatter
from fastmml.graph.ranking import HasTop

_UNIT_ROUNDOFF = 2.0**-53
#: Roundings of a component of the map beside those of its sum over links.
_ROUNDINGS = 8
#: Factor on the tolerance of the sweeps when the bound they led to was missed.
_LOWER_BY = 1e-2


@dataclass(frozen=True, eq=False)
class KatzResult(HasTop):
    """What `katz_centrality` computed, and how right it is.

    Attributes
    ----------
    scores : ndarray of float64, shape (n,)
        Katz centrality of every node.
    error_bound : float
        Proved bound on the relative error of every score, rounding errors included.
    iterations : int
        Passes over the links.
    converged : bool
        Whether the bound is at most ``tol``.
    """

    scores: F64
    error_bound: float
    iterations: int
    converged: bool
    _graph: Graph = field(repr=False)


def katz_centrality(
    graph: Any,
    alpha: float = 0.1,
    beta: ArrayLike = 1.0,
    tol: float = 1e-8,
    max_iter: int = 1000,
    normalized: bool = True,
) -> KatzResult:
    """Rank the nodes of a graph by Katz centrality, with a proved error bound.

    Solves ``x = alpha * A.T @ x + beta``, A the weighted matrix of links: a node counts what it has
    by itself and a part of what the nodes that link to it count.

    Parameters
    ----------
    graph : Graph, SciPy sparse matrix or NetworkX graph
        Weights of links, where the graph has them, are used.
    alpha : float
        Part of a node's score that each of its links carries on, at least 0; below
        ``1 / largest eigenvalue of A``.
    beta : float or array_like, shape (n,)
        What each node has by itself; positive.
    tol : float
        Tolerance on the relative error of every score, as proved by ``error_bound``.
    max_iter : int
        Most passes over the links.
    normalized : bool
        Whether scores are divided by their Euclidean norm.

    Returns
    -------
    KatzResult
        ``scores``, ``error_bound``, ``iterations``, ``converged`` and ``top(k)``.

    Raises
    ------
    ConvergenceError
        ``max_iter`` passes did not reach ``tol``, as when alpha is too large for the graph; carries
        the result so far.
    TypeError, ValueError
        An argument is not of its kind or out of its range.

    Notes
    -----
    Gauss-Seidel over strong components, as in `pagerank`. The proof needs no eigenvalue: a pass
    gives ``z = alpha * A.T @ y + beta``, and if ``theta = max((z - beta) / y)`` is below 1, the map
    contracts by theta in the largest relative deviation from y (Collatz's bound [2]_), so that the
    error of z is at most ``max(abs(z - y) / y) / (1 - theta)`` of y in every node.
    O(links) a pass.

    References
    ----------
    .. [1] L. Katz, "A new status index derived from sociometric analysis", Psychometrika 18 (1953).
    .. [2] R. Varga, "Matrix Iterative Analysis", 2nd edition, Springer, 2000, section 2.1.

    Examples
    --------
    >>> import fastmml as fm
    >>> r = fm.katz_centrality(fm.Graph([0, 1, 2], [1, 0, 0], labels=["hub", "mate", "leaf"]))
    >>> [label for label, _ in r.top(3)]
    ['hub', 'mate', 'leaf']
    """
    g = as_graph(graph)
    factor = _check.real("alpha", alpha)
    if not 0 <= factor < math.inf:
        raise ValueError(f"alpha: expected a finite number of at least 0, got {alpha!r}")
    tolerance, limit = _check.positive("tol", tol), _check.positive_int("max_iter", max_iter)
    own = _own_scores(beta, g.num_nodes)
    if g.num_nodes == 0:
        return KatzResult(np.empty(0), 0.0, 0, True, g)
    # A norm may be off by as much as the scores are: their quotient by 2 b / (1 - b).
    wanted = tolerance / (2 + tolerance) if normalized else tolerance
    scores, bound, iterations = _System(g, factor, own).solve(wanted, limit)
    converged = bound <= wanted
    if normalized:
        with np.errstate(all="ignore"):  # scores may have run off to infinity
            scores = scores / np.linalg.norm(scores)
        bound = 2 * bound / (1 - bound) if bound < 1 else math.inf
    result = KatzResult(scores, bound, iterations, converged, g)
    if not converged:
        raise ConvergenceError(
            f"katz_centrality: the error bound is {bound:.2g} after {iterations} iterations, above "
            f"tol = {tolerance:g}; alpha = {factor:g} may be too large for this graph",
            result,
        )
    return result


def _own_scores(beta: ArrayLike, num_nodes: int) -> F64:
    own = np.atleast_1d(_check.nonnegative("beta", beta))
    if own.ndim != 1 or (np.ndim(beta) == 1 and len(own) != num_nodes):
        raise ValueError(f"beta: expected a number or shape ({num_nodes},), got {np.shape(beta)}")
    if not own.all():
        raise ValueError("beta: expected positive numbers, got 0")
    return own


class _System:
    """``y = alpha * A.T @ y + own`` on a prepared graph."""

    def __init__(self, g: Graph, alpha: float, own: F64) -> None:
        self._prepared = g._prepared or prepare(g)
        self._alpha = alpha
        self._own = arrange(own, self._prepared.order)
        self._ones = np.ones(g.num_nodes)
        self._threads = get_num_threads()
        self._gamma = _UNIT_ROUNDOFF * 1.01 * (np.diff(self._prepared.plan.indptr) + _ROUNDINGS)

    def solve(self, tol: float, max_iter: int) -> tuple[F64, float, int]:
        """Return scores in the graph's order, the bound on their relative errors, and passes."""
        n, links = len(self._ones), max(len(self._prepared.rows[1]), 1)
        y = self._own * self._ones
        tolerance, iterations = tol * float(y.sum()), 0
        scratch = np.empty(2 * n)
        while True:
            sweeps = max_iter - iterations - 1
            if sweeps > 0:
                *_, visits = kernels().rank_solve(
                    self._prepared.plan, self._ones, self._own, self._alpha, tolerance, sweeps, y,
                    scratch, self._threads,
                )  # fmt: skip
                iterations += math.ceil(visits / links)
            y, bound = self._prove(y)
            iterations += 1
            if bound <= tol or iterations >= max_iter or not np.isfinite(y).all():
                return scatter(y, self._prepared.order), bound, iterations
            tolerance *= _LOWER_BY

    def _prove(self, y: F64) -> tuple[F64, float]:
        """Image of y, and the bound on the relative errors of the image."""
        nothing, image = np.zeros(1), np.empty_like(y)
        y = np.maximum(y, self._own)  # no score is below; a combination of iterates may be
        kernels().rank_pull(
            *self._prepared.rows, self._ones, nothing, nothing, self._alpha, 0.0, 0.0, y,
            np.tile(y, 2), image, np.empty_like(y), self._threads,
        )  # fmt: skip
        with np.errstate(all="ignore"):  # with alpha too large scores run off to infinity
            theta = float((image * (1 + self._gamma) / y).max())
            image += self._own
            deviation = float(((np.abs(image - y) + self._gamma * image) / y).max())
        if not (theta < 1 and deviation < 1):  # NaN among them
            return image, math.inf
        return image, deviation / ((1 - theta) * (1 - deviation))
