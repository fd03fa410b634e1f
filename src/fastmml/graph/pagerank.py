"""PageRank with a proved error bound."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastmml import _check, _memory
from fastmml._backend import get_num_threads, kernels, one_thread
from fastmml._kernels import F64
from fastmml._threads import run_blocks
from fastmml.errors import ConvergenceError
from fastmml.graph.distribution import Distribution, weights_of
from fastmml.graph.gauss_seidel import GaussSeidel
from fastmml.graph.graph import Graph, as_graph
from fastmml.graph.plan import MAX_NODES
from fastmml.graph.ranking import HasTop
from fastmml.graph.solution import Info, Task

if TYPE_CHECKING:
    from fastmml.graph.power_iteration import PowerIteration

_METHODS = ("auto", "gauss-seidel", "power")
#: What Gauss-Seidel takes beside its copy of the links: the order, the iterate, 15 short vectors.
_BYTES_PER_NODE = 160
#: Up to so many links of all columns are ranked on one thread: 303,239 take 5.3 ms, 4.4 on two when
#: the machine is idle, but 7 for 8 to 10 beside one busy process and 11 for 14 to 20 at a start.
_SMALL_LINKS = 1 << 19


@dataclass(frozen=True, eq=False)
class PageRankResult(HasTop):
    """What `pagerank` computed, and how right it is.

    Attributes
    ----------
    scores : ndarray of float64, shape (n,) or (n, k)
        PageRank of every node; each column sums to 1.
    error_bound : float or ndarray of float64, shape (k,)
        Proved bound on the 1-norm of ``scores - exact``, rounding errors included.
    iterations : int
        Passes over the links, of the slowest column.
    converged : bool
        Whether every bound is at most ``tol``, or proves the order that was asked for.
    info : dict
        What was chosen (``method``, ``order``, ...) and the ``seconds`` that each stage took.
    """

    scores: NDArray[np.float64]
    error_bound: Any
    iterations: int
    converged: bool
    info: dict[str, Any] = field(repr=False)
    _graph: Graph = field(repr=False)


def pagerank(
    graph: Any,
    damping: float = 0.85,
    personalization: Distribution = None,
    dangling: Distribution = None,
    tol: float = 1e-8,
    max_iter: int | None = None,
    x0: Distribution | PageRankResult = None,
    callback: Callable[[int, float], object] | None = None,
    method: str = "auto",
    top: int | None = None,
) -> PageRankResult:
    """Rank the nodes of a graph by PageRank, with a proved error bound.

    Solves ``x = damping * (P.T @ x + (d @ x) * w) + (1 - damping) * v``: P is the matrix of links,
    each row divided by its sum; d marks dangling nodes (no links out, or none with weight); w is
    where a walk goes from those, v where it starts anew.

    Parameters
    ----------
    graph : Graph, SciPy sparse matrix or NetworkX graph
        Weights of links, where the graph has them, are used.
    damping : float
        Probability of following a link, at least 0 and below 1.
    personalization : array_like, shape (n,) or (n, k), or dict, optional
        The distribution v: non-negative weights of the nodes, or a dict from labels to weights
        (others are 0); scaled to sum 1. By default uniform. With k columns, k rankings are made.
    dangling : array_like, shape (n,), or dict, optional
        The distribution w, given likewise; by default ``personalization``.
    tol : float
        Tolerance on the 1-norm of the error, as proved by ``error_bound``.
    max_iter : int, optional
        Most passes over the links. By default as many as plain power iteration can need for
        ``tol``, twice.
    x0 : array_like, shape (n,) or (n, k), dict or PageRankResult, optional
        Where to start, scaled to sum 1; by default ``personalization`` (Gauss-Seidel) or the
        uniform distribution (power iteration).
    callback : callable, optional
        Called as ``callback(iteration, error_bound)``: by power iteration after every pass, where
        the bound is an estimate while passes are made in single precision, which the last ones
        never are; by Gauss-Seidel after every proof, of which one or two are needed.
    method : {"auto", "gauss-seidel", "power"}
        Gauss-Seidel makes a copy of the links in a better order (see `Graph.prepare`) and needs a
        third of the passes or fewer; power iteration works on the graph as it is. By default
        Gauss-Seidel, unless its copy would take more than half of the memory that is free.
    top : int, optional
        Stop as soon as the ``top`` best nodes are proved to be these, in this order (in every
        column), even if ``error_bound`` is still above ``tol``. Nodes that tie go on to ``tol``.

    Returns
    -------
    PageRankResult
        ``scores``, ``error_bound``, ``iterations``, ``converged`` and ``top(k)``.

    Raises
    ------
    ConvergenceError
        ``max_iter`` passes did not reach ``tol`` (or the order of ``top``); carries the result so
        far. A ``tol`` below what float64 can prove on this graph (about 1e-14) ends so too.
    KeyError
        A dict names a label that the graph does not have.
    TypeError, ValueError
        An argument is not of its kind or out of its range.

    Notes
    -----
    Gauss-Seidel: nodes are ordered by strong components, or by degree where the given order is
    random; each component is swept, and every third sweep the last nine are combined [3]_.
    Without jumps from dangling nodes ranks solve a linear system, in which components depend on
    earlier ones only; the jumps change its scale, or add a second solution [4]_.

    Power iteration [1]_: accelerated by reduced rank extrapolation [2]_ of the last iterates; most
    passes are made in single precision, the last ones in double.

    Either ends with a pass of the PageRank map F in double precision, which proves the bound. F is
    a contraction by ``damping`` in the 1-norm, so for y = F(x), whatever x is,
    ``|y - exact| <= (damping * |y - x| + rho) / (1 - damping)``, where rho bounds the rounding
    errors of the pass. Each pass costs O(links); memory is some 14 vectors beside the graph and its
    copy, or, by power iteration on graphs of 2**25 nodes and more, seven beside the graph. The
    result does not depend on the number of threads.

    Columns are solved eight at a time, which share each walk over the links; threads take such
    parts, where there is memory for it. A column's last bits may depend on its neighbours.

    Agrees with `networkx.pagerank` (there ``tol`` bounds the change of the last step, per node).

    References
    ----------
    .. [1] A. Langville, C. Meyer, "Deeper inside PageRank", Internet Mathematics 1 (2004).
    .. [2] A. Sidi, "Vector Extrapolation Methods with Applications", SIAM, 2017, chapter 2.
    .. [3] P. Pratapa, P. Suryanarayana, J. Pask, "Anderson acceleration of the Jacobi iterative
       method", Journal of Computational Physics 306 (2016).
    .. [4] G. Del Corso, A. Gulli, F. Romani, "Fast PageRank computation via a sparse linear
       system", Internet Mathematics 2 (2005).

    Examples
    --------
    >>> import fastmml as fm
    >>> r = fm.pagerank(fm.Graph([0, 1, 2], [1, 0, 0], labels=["hub", "mate", "leaf"]))
    >>> [(label, round(score, 4)) for label, score in r.top(2)]
    [('hub', 0.4865), ('mate', 0.4635)]
    """
    g = as_graph(graph)
    factor, tolerance = _check.damping(damping), _check.positive("tol", tol)
    limit = _default_max_iter(factor, tolerance)
    if max_iter is not None:
        limit = _check.positive_int("max_iter", max_iter)
    if method not in _METHODS:
        raise ValueError(f"method: expected one of {_METHODS}, got {method!r}")
    if top is not None:
        top = _check.positive_int("top", top)
    teleport = weights_of("personalization", personalization, g)
    jump = teleport if dangling is None else weights_of("dangling", dangling, g, columns=False)
    start = weights_of("x0", x0.scores if isinstance(x0, PageRankResult) else x0, g)
    task = Task(factor, tolerance, limit, callback, top)
    columns = max(teleport.shape[1], start.shape[1])
    if min(teleport.shape[1], start.shape[1]) not in (1, columns):
        raise ValueError(
            f"x0: expected {teleport.shape[1]} columns, as personalization has, "
            f"got {start.shape[1]}"
        )
    several = len(_shape(personalization)) == 2 or start.shape[1] > 1
    n = g.num_nodes
    scores, bounds = kernels().empty((n, columns), np.float64), np.zeros(columns)
    if n == 0:
        return _assemble(g, scores, bounds, 0, task, several, Info({}))
    method = _chosen_method(g, method)
    is_small = g.num_edges * columns <= _SMALL_LINKS

    def rank() -> tuple[int, Info]:
        with one_thread(is_small):  # the solver keeps their number
            solver = _solver(g, method, task)
        parts, at_once = solver.parts(columns)
        passes = np.empty(len(parts), np.int64)

        def solve(first: int, last: int) -> None:
            for i in range(first, last):
                v = solver.take("teleport", teleport, parts[i])
                w = v if dangling is None else solver.take("jump", jump, parts[i])
                guess = None if x0 is None else solver.take("start", start, parts[i])
                solution = solver.solve(v, w, guess)
                solver.put(solution, scores, parts[i])
                count = parts[i].stop - parts[i].start
                bounds[parts[i]] = np.atleast_1d(solution.error_bound)[:count]
                passes[i] = solution.iterations

        run_blocks(solve, len(parts), at_once, 1)
        return int(passes.max()), solver.info

    is_alone = is_small or callback is not None or columns > 1 or method == "power"
    passes, info = rank() if is_alone else kernels().with_team(rank, get_num_threads())
    return _assemble(g, scores, bounds, passes, task, several, info)


def _chosen_method(g: Graph, method: str) -> str:
    """The method of this name, or the one that the graph asks for."""
    fits = g.num_nodes <= MAX_NODES
    if method == "gauss-seidel" and not fits:
        raise ValueError(f"method: gauss-seidel takes fewer than 2**31 nodes, got {g.num_nodes}")
    if method == "auto":
        copy = g.indices.nbytes + (0 if g.weights is None else g.weights.nbytes)
        needed = copy + _BYTES_PER_NODE * g.num_nodes
        fits = fits and (g._prepared is not None or needed <= _memory.available() // 2)
        method = "gauss-seidel" if fits else "power"
    return method


def _solver(g: Graph, method: str, task: Task) -> GaussSeidel | PowerIteration:
    """Make the solver of this name."""
    if method == "gauss-seidel":
        return GaussSeidel(g, task)
    from fastmml.graph.power_iteration import PowerIteration

    return PowerIteration(g, task)


def _default_max_iter(damping: float, tol: float) -> int:
    """Twice the passes after which power iteration is within tol, from any start."""
    if damping == 0:
        return 2
    passes = math.log(min(tol, 1) * (1 - damping) / 4) / math.log(damping)
    return 2 * math.ceil(passes) + 2


def _shape(value: Any) -> tuple[int, ...]:
    return () if isinstance(value, Mapping) else np.shape(value)


def _assemble(
    g: Graph, scores: F64, bounds: F64, iterations: int, task: Task, several: bool, info: Info
) -> PageRankResult:
    """Make the result; raise if a column did not converge."""
    bound: Any = bounds
    if not several:
        scores, bound = scores[:, 0], float(bounds[0])
    converged = task.is_done(bound, scores)
    result = PageRankResult(scores, bound, iterations, converged, info.as_dict(), g)
    if not converged:
        raise ConvergenceError(
            f"pagerank: the error bound is {bounds.max():.2g} after {iterations} iterations, "
            f"above tol = {task.tol:g}",
            result,
        )
    return result
