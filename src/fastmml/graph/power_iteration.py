"""PageRank by accelerated power iteration on the graph as it is: no second copy of its links."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastmml._backend import get_num_threads, kernels
from fastmml._kernels import F64, Real
from fastmml.graph.distribution import take
from fastmml.graph.extrapolate import Extrapolation
from fastmml.graph.graph import Graph
from fastmml.graph.solution import Info, Solution, Task, blocks_of, prove, rounded_sum

#: Passes in single precision pay from a step (1-norm) above this one on ...
_FAR = 1e-4
#: ... and reach down to this one, some ten times their rounding errors.
_SINGLE_REACHES = 1e-6
#: ... where shares of nodes are within this range: their products stay far from its limits.
_SINGLE_RANGE = 1e-18, 1e18


class _State(NamedTuple):
    """An iterate, how many passes made it, its bound, and whether to stop there."""

    x: Real
    iterations: int
    bound: float
    done: bool
    change: float = np.inf


class PowerIteration:
    """A graph prepared for ranking; for any number of distributions."""

    def __init__(self, g: Graph, task: Task) -> None:
        self._graph, self._task = g, task
        self._threads = get_num_threads()
        self.info = Info({"method": "power"})
        with self.info.timing("prepare"):
            self._prepare(g)

    def _prepare(self, g: Graph) -> None:
        self._inverse_strength = g.out_strength()
        linked = self._inverse_strength > 0
        np.divide(1, self._inverse_strength, out=self._inverse_strength, where=linked)
        low, high = _SINGLE_RANGE
        self._fits_single = bool(
            np.min(self._inverse_strength, where=linked, initial=1) > low
            and np.max(self._inverse_strength, initial=1) < high
        )

    def parts(self, columns: int) -> tuple[list[slice], int]:
        """Columns are solved one by one."""
        return [slice(i, i + 1) for i in range(columns)], 1

    def take(self, _: str, weights: F64, part: slice) -> F64:
        """Distributions from columns of weights."""
        return take(weights, part, self._graph.num_nodes)

    def put(self, solution: Solution, scores: F64, part: slice) -> None:
        """Write a solution into columns of the scores."""
        scores[:, part] = solution.scores[:, None]

    def solve(self, teleport: F64, jump: F64, start: F64 | None) -> Solution:
        """Iterate until the proved bound is at most tol, or max_iter passes are spent.

        The first pass tells how far the start is. From afar, passes in single precision, which
        move half the bytes, go most of the way; double precision goes the rest, and proves it.
        """
        n = self._graph.num_nodes
        state = _State(np.full(n, 1 / n) if start is None else start, 0, np.inf, False)
        with self.info.timing("iterate"):
            state = self._iterate(state, teleport, jump, np.float64, 0, passes=1)
            if not state.done and self._single_pays(state.change):
                state = self._iterate(state, teleport, jump, np.float32, _SINGLE_REACHES)
            if not state.done:
                state = self._iterate(state, teleport, jump, np.float64, 0)
        return Solution(np.asarray(state.x, np.float64), state.bound, state.iterations)

    def _iterate(
        self,
        state: _State,
        teleport: F64,
        jump: F64,
        dtype: type[np.floating[Any]],
        enough: float,
        passes: int | None = None,
    ) -> _State:
        """Iterate in this precision until the 1-norm of a step is at most enough, or it is done.

        It is done when the bound, which only double precision proves, is at most tol, or when
        max_iter passes are spent, the last of them in double precision.
        """
        proves = dtype is np.float64
        last = self._task.max_iter if proves else self._task.max_iter - 1
        last = min(last, state.iterations + (passes or last))
        inverse_strength = self._inverse_strength.astype(dtype, copy=False)
        teleport, jump = teleport.astype(dtype, copy=False), jump.astype(dtype, copy=False)
        history = Extrapolation(self._graph.num_nodes, dtype, self._threads)
        x = history.start
        x[:] = state.x / state.x.sum(dtype=np.float64)
        contribution = x * inverse_strength
        spare = np.empty_like(contribution)
        mass = self._mass(x)
        for iteration in range(state.iterations + 1, last + 1):
            y = history.next
            change, mass = kernels().rank_pull(
                self._graph.indptr, self._graph.indices, self._graph.weights, inverse_strength,
                teleport, jump, self._task.damping, 1.0, mass, x, contribution, y, spare,
                self._threads,
            )  # fmt: skip
            contribution, spare = spare, contribution
            bound = self._bound(change, y)
            if self._task.callback is not None:
                self._task.callback(iteration, bound)
            if change <= enough or (proves and self._task.is_done(bound, y)):
                break
            x = history.advance(change)
            if x is not y:
                np.multiply(x, inverse_strength, out=contribution)
                mass = self._mass(x)
        done = proves and (self._task.is_done(bound, y) or iteration == self._task.max_iter)
        return _State(y, iteration, bound, done, change)

    def _single_pays(self, change: float) -> bool:
        return change > _FAR and self._fits_single and self._task.max_iter > 2

    def _mass(self, x: Real) -> float:
        """Sum of x over dangling nodes."""
        parts = [
            x[rows][self._inverse_strength[rows] == 0].sum(dtype=np.float64)
            for rows in blocks_of(len(x))
        ]
        return float(np.sum(parts))

    def _bound(self, change: float, y: Real) -> float:
        """Bound the error of y; only in double precision are rounding errors proved, too.

        They are left out where the bound misses ``tol`` without them.
        """
        truncation = self._task.damping * change / (1 - self._task.damping)
        if y.dtype != np.float64 or truncation > self._task.tol:
            return truncation
        return float(prove(self._task, change, rounded_sum(self._graph.indptr, y)))
