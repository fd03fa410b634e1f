"""Rankings that are eigenvectors: HITS and eigenvector centrality, by ARPACK on our kernel.

Memory: the graph, for HITS its transpose too, and some twenty vectors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastmml import _check
from fastmml._backend import get_num_threads, kernels
from fastmml._kernels import CYCLIC, F64
from fastmml.errors import ConvergenceError
from fastmml.graph.graph import Graph, as_graph
from fastmml.graph.ranking import HasTop

#: Below this many nodes a dense matrix is quicker than ARPACK, and certain where eigenvalues tie.
_DENSE_NODES = 64
#: ARPACK needs more nodes than it keeps vectors, 20; with fewer its restarts cannot run out.
_ARPACK_NODES = 21
#: 2**60 steps: eigenvalues apart by a rounding error are told apart.
_SQUARINGS = 60


@dataclass(frozen=True, eq=False)
class EigenvectorResult(HasTop):
    """What `eigenvector_centrality` computed.

    Attributes
    ----------
    scores : ndarray of float64, shape (n,)
        The eigenvector, of Euclidean norm 1.
    eigenvalue : float
        The largest eigenvalue.
    residual : float
        Norm of ``A.T @ scores - eigenvalue * scores``, divided by the eigenvalue.
    """

    scores: F64
    eigenvalue: float
    residual: float
    _graph: Graph = field(repr=False)


@dataclass(frozen=True, eq=False)
class HitsResult(HasTop):
    """What `hits` computed.

    Attributes
    ----------
    hubs, authorities : ndarray of float64, shape (n,)
        Scores, each of sum 1; ``scores`` is another name of the authorities.
    residual : float
        Norm of ``A.T @ A @ a - s * a``, divided by the eigenvalue s, for authorities a of norm 1.
    singular_value : float
        The largest singular value of A, the root of s; 0 without links.
    """

    hubs: F64
    authorities: F64
    residual: float
    singular_value: float
    _graph: Graph = field(repr=False)

    @property
    def scores(self) -> F64:
        """The authorities, which `top` ranks."""
        return self.authorities


def eigenvector_centrality(
    graph: Any, tol: float = 1e-8, max_iter: int | None = None
) -> EigenvectorResult:
    """Rank the nodes of a graph by the eigenvector of its largest eigenvalue.

    Solves ``A.T @ x = eigenvalue * x``, A the weighted matrix of links: a node counts what the
    nodes that link to it count.

    Parameters
    ----------
    graph : Graph, SciPy sparse matrix or NetworkX graph
        Weights of links, where the graph has them, are used.
    tol : float
        Tolerance on ``residual``.
    max_iter : int, optional
        Most restarts of ARPACK; by default ten times the number of nodes.

    Returns
    -------
    EigenvectorResult
        ``scores``, ``eigenvalue``, ``residual`` and ``top(k)``.

    Raises
    ------
    ConvergenceError
        ``max_iter`` restarts did not reach ``tol``.
    TypeError, ValueError
        An argument is not of its kind or out of its range; or the graph has no cycle, and so no
        eigenvalue but 0.

    Notes
    -----
    Implicitly restarted Arnoldi [1]_, begun with equal scores; O(links) a pass. Where several
    components share the largest eigenvalue, their weights are those that this start gives them.

    References
    ----------
    .. [1] R. Lehoucq, D. Sorensen, C. Yang, "ARPACK users' guide", SIAM, 1998.

    Examples
    --------
    >>> import fastmml as fm
    >>> r = fm.eigenvector_centrality(fm.Graph([0, 1, 2, 1], [1, 2, 0, 0]))
    >>> [node for node, _ in r.top(3)]
    [0, 1, 2]
    """
    g = as_graph(graph)
    tolerance, limit = _check.positive("tol", tol), _restarts(max_iter, g)
    if g.num_nodes == 0:
        return EigenvectorResult(np.empty(0), 0.0, 0.0, g)
    if not _has_cycle(g):
        raise ValueError("graph: expected a cycle; without one there is no eigenvector centrality")
    start, dense = np.ones(g.num_nodes), g.num_nodes < _DENSE_NODES
    value, vector = _dominant(start, pull(g), tolerance, limit, dense=dense, symmetric=False)
    residual = float(np.linalg.norm(pull(g)(vector) - value * vector)) / value
    return EigenvectorResult(vector, value, residual, g)


def hits(
    graph: Any, tol: float = 1e-8, max_iter: int | None = None, x0: ArrayLike | None = None
) -> HitsResult:
    """Rank the nodes of a graph as hubs and as authorities.

    Good hubs link to good authorities: authorities are the dominant eigenvector of ``A.T @ A``,
    hubs ``A`` times that, A the weighted matrix of links [1]_.

    Parameters
    ----------
    graph : Graph, SciPy sparse matrix or NetworkX graph
        Weights of links, where the graph has them, are used.
    tol : float
        Tolerance on ``residual``.
    max_iter : int, optional
        Most restarts of ARPACK; by default ten times the number of nodes, and no ARPACK below 64
        nodes.
    x0 : array_like, shape (n,), optional
        Positive authorities to start with; by default equal ones.

    Returns
    -------
    HitsResult
        ``hubs``, ``authorities``, ``residual`` and ``top(k)`` of the authorities. Without links all
        scores are equal.

    Raises
    ------
    ConvergenceError
        ``max_iter`` restarts did not reach ``tol``.
    TypeError, ValueError
        An argument is not of its kind or out of its range.

    Notes
    -----
    Implicitly restarted Lanczos; O(links) a pass. Agrees with `networkx.hits`.

    References
    ----------
    .. [1] J. Kleinberg, "Authoritative sources in a hyperlinked environment", Journal of the ACM
       46 (1999).

    Examples
    --------
    >>> import fastmml as fm
    >>> r = fm.hits(fm.Graph([0, 1, 2], [3, 3, 3], labels=["a", "b", "c", "page"]))
    >>> r.top(1)
    [('page', 1.0)]
    """
    g = as_graph(graph)
    tolerance, limit = _check.positive("tol", tol), _restarts(max_iter, g)
    start = np.ones(g.num_nodes) if x0 is None else _positive_start(x0, g)
    if g.num_nodes == 0:
        return HitsResult(np.empty(0), np.empty(0), 0.0, 0.0, g)
    if not g.out_strength().any():
        equal = np.full(g.num_nodes, 1 / g.num_nodes)
        return HitsResult(equal, equal.copy(), 0.0, 0.0, g)
    targets = np.repeat(np.arange(g.num_nodes, dtype=np.uint32), np.diff(g.indptr))
    forward, backward = pull(g), pull(Graph(targets, g.indices, g.weights, g.num_nodes))

    def both(x: F64) -> F64:
        return forward(backward(x))

    dense = g.num_nodes < (_DENSE_NODES if max_iter is None else _ARPACK_NODES)
    value, vector = _dominant(start, both, tolerance, limit, dense=dense, symmetric=True)
    residual = float(np.linalg.norm(both(vector) - value * vector)) / value
    hubs = backward(vector)
    return HitsResult(
        hubs / hubs.sum(), vector / vector.sum(), residual, float(np.linalg.norm(hubs)), g
    )


def _positive_start(x0: ArrayLike, g: Graph) -> F64:
    start = _check.nonnegative("x0", x0)
    if start.shape != (g.num_nodes,):
        raise ValueError(f"x0: expected shape ({g.num_nodes},), got {start.shape}")
    if not start.all():
        raise ValueError("x0: expected positive numbers, got 0")
    return start


def _has_cycle(g: Graph) -> bool:
    """Whether a walk along links of positive weight can come back."""
    rows = np.repeat(np.arange(g.num_nodes, dtype=np.uint32), np.diff(g.indptr))
    if g.weights is not None and not g.weights.all():
        kept = g.weights > 0
        g = Graph(g.indices[kept], rows[kept], num_nodes=g.num_nodes)
        rows = rows[kept]
    order = np.empty(g.num_nodes, np.uint32)
    _, kinds, _ = kernels().component_order(
        g.indptr, g.indices, np.zeros(g.num_nodes, np.uint8), order
    )
    return bool((kinds == CYCLIC).any() or (g.indices == rows).any())


def _restarts(max_iter: int | None, g: Graph) -> int:
    return 10 * g.num_nodes if max_iter is None else _check.positive_int("max_iter", max_iter)


def pull(g: Graph) -> Callable[[F64], F64]:
    """Return the product of the transposed matrix of links with a vector."""
    ones, nothing, threads = np.ones(g.num_nodes), np.zeros(1), get_num_threads()

    def product(x: F64) -> F64:
        y, spare, source = np.empty(len(x)), np.empty(len(x)), np.ascontiguousarray(x, np.float64)
        kernels().rank_pull(
            g.indptr, g.indices, g.weights, ones, nothing, nothing, 1.0, 0.0, 0.0, source, source,
            y, spare, threads,
        )  # fmt: skip
        return y

    return product


def _dominant(
    start: F64,
    product: Callable[[F64], F64],
    tol: float,
    max_iter: int,
    *,
    dense: bool,
    symmetric: bool,
) -> tuple[float, F64]:
    """Return the largest eigenvalue of a non-negative operator and its non-negative eigenvector."""
    if dense:
        value, vector = _dominant_dense(start, product)
    else:
        value, vector = _dominant_sparse(start, product, tol, max_iter, symmetric)
    vector *= np.sign(vector.sum()) or 1.0
    vector = np.maximum(vector, 0)  # what is below is rounding, by Perron and Frobenius
    return value, vector / np.linalg.norm(vector)


def _dominant_dense(start: F64, product: Callable[[F64], F64]) -> tuple[float, F64]:
    """Go from the start to the limit of iteration, by squaring the matrix."""
    n = len(start)
    matrix = np.stack([product(column) for column in np.eye(n)], axis=1)
    value = float(np.linalg.eigvals(matrix).real.max())
    if value <= 0:
        return 0.0, start.copy()
    step = np.eye(n) + matrix / value  # with a half of it kept, periods do not matter
    for _ in range(_SQUARINGS):
        step = step @ step
        step /= step.max()
    return value, step @ (start / start.max())


def _dominant_sparse(
    start: F64, product: Callable[[F64], F64], tol: float, max_iter: int, symmetric: bool
) -> tuple[float, F64]:
    from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigs, eigsh

    operator = LinearOperator((len(start), len(start)), matvec=product, dtype=np.float64)
    options = {"k": 1, "v0": start, "tol": tol, "maxiter": max_iter}
    try:
        if symmetric:
            values, vectors = eigsh(operator, which="LA", **options)
        else:
            values, vectors = eigs(operator, which="LR", **options)
    except ArpackNoConvergence as error:
        message = f"ARPACK did not reach tol = {tol:g} in {max_iter} restarts"
        raise ConvergenceError(message, None) from error
    return float(values[0].real), np.real(vectors[:, 0]).copy()
