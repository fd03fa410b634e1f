"""The iteration behind PageRank: where the time goes, and where the bound is proved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastmml._backend import get_num_threads, kernels
from fastmml._kernels import F64, Real
from fastmml.graph.extrapolate import Extrapolation
from fastmml.graph.graph import Graph

_UNIT_ROUNDOFF = 2.0**-53
#: Roundings of a component of the map beside those of its sum over links.
_ROUNDINGS = 64
#: Passes in single precision pay from a step (1-norm) above this one on ...
_FAR = 1e-4
#: ... and reach down to this one, some ten times their rounding errors.
_SINGLE_REACHES = 1e-6
#: ... where shares of nodes are within this range: their products stay far from its limits.
_SINGLE_RANGE = 1e-18, 1e18


@dataclass(frozen=True)
class Solution:
    """Scores, the proved bound on their error, and how many passes made them."""

    scores: F64
    error_bound: float
    iterations: int


@dataclass(frozen=True)
class _State:
    """An iterate, how many passes made it, its bound, and whether to stop there."""

    x: Real
    iterations: int
    bound: float
    done: bool
    change: float = np.inf


class Problem:
    """A graph prepared for ranking; solved for any number of distributions."""

    def __init__(
        self,
        g: Graph,
        damping: float,
        tol: float,
        max_iter: int,
        callback: Callable[[int, float], object] | None,
    ) -> None:
        self._graph = g
        self._damping, self._tol, self._max_iter = damping, tol, max_iter
        self._callback = callback
        self._threads = get_num_threads()
        self._inverse_strength = g.out_strength()
        linked = self._inverse_strength > 0
        np.divide(1, self._inverse_strength, out=self._inverse_strength, where=linked)
        self._dangling = np.flatnonzero(~linked)
        shares = self._inverse_strength[linked]
        low, high = _SINGLE_RANGE
        self._fits_single = len(shares) == 0 or bool(low < shares.min() and shares.max() < high)

    def solve(self, teleport: F64, jump: F64, start: F64) -> Solution:
        """Iterate until the proved bound is at most tol, or max_iter passes are spent.

        The first pass tells how far the start is. From afar, passes in single precision, which
        move half the bytes, go most of the way; double precision goes the rest, and proves it.
        """
        state = _State(np.broadcast_to(start, self._graph.num_nodes), 0, np.inf, False)
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
        last = self._max_iter if proves else self._max_iter - 1
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
                teleport, jump, self._damping, mass, x, contribution, y, spare, self._threads,
            )  # fmt: skip
            contribution, spare = spare, contribution
            bound = self._bound(change, y)
            if self._callback is not None:
                self._callback(iteration, bound)
            if change <= enough or (proves and bound <= self._tol):
                break
            x = history.advance(change)
            if x is not y:
                np.multiply(x, inverse_strength, out=contribution)
                mass = self._mass(x)
        done = proves and (bound <= self._tol or iteration == self._max_iter)
        return _State(y, iteration, bound, done, change)

    def _single_pays(self, change: float) -> bool:
        return change > _FAR and self._fits_single and self._max_iter > 2

    def _mass(self, x: Real) -> float:
        """Sum of x over dangling nodes."""
        return float(x[self._dangling].sum(dtype=np.float64))

    def _bound(self, change: float, y: Real) -> float:
        """Prove how far y is from the solution, given the change that led to it."""
        truncation = self._damping * change / (1 - self._damping)
        if truncation > self._tol or y.dtype != np.float64:
            return truncation
        return truncation + self._rounding(y) / (1 - self._damping)

    def _rounding(self, y: Real) -> float:
        """Bound the rounding error of a pass: gamma_k per component, k its number of roundings."""
        links = np.diff(self._graph.indptr)
        return float(_UNIT_ROUNDOFF * ((links + _ROUNDINGS) * np.abs(y)).sum() * 1.01)
