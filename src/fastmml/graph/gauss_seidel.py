"""PageRank by Gauss-Seidel over strong components, proved by one pass of the PageRank map.

Without the jumps from dangling nodes the ranks solve ``y = damping Pᵀy + base``, in which a
component depends on earlier ones only. The jumps go one way, so they add a multiple of a second
such solution, or, where they go the way of the teleport, change the scale alone (G. Del Corso,
A. Gulli, F. Romani, Fast PageRank computation via a sparse linear system, Internet Mathematics 2,
2005).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fastmml._backend import get_num_threads, kernels
from fastmml._kernels import F64
from fastmml.graph.graph import Graph
from fastmml.graph.plan import arrange, prepare, scatter
from fastmml.graph.solution import Info, Solution, Task, prove

#: The last change of every segment overstates the error that is left, on web graphs and random ones
#: some ten times: the first tolerance is so many times what the theory asks for.
_SLACK = 4
#: Where only an order is asked for, the error to start with.
_FIRST_ERROR = 1e-4
#: A tolerance that missed the bound is lowered by what it missed by, within these limits ...
_LOWER_BY = 1e-3, 0.5
#: ... and no further than this: smaller changes of a sweep are rounding errors.
_LOWEST = 1e-17


@dataclass
class _Unknowns:
    """Solutions of ``y = damping Pᵀy + base``: for the teleport and, if it differs, the jump."""

    bases: list[F64]
    values: list[F64]
    tolerance: float  #: on the change of a sweep, 1-norm


class GaussSeidel:
    """A graph prepared for solving; for any number of distributions."""

    def __init__(self, g: Graph, task: Task) -> None:
        self._task = task
        self.info = Info({"method": "gauss-seidel"})
        with self.info.timing("prepare"):
            self._prepared = g._prepared or prepare(g)
        self._links = max(g.num_edges, 1)
        self._is_dangling = self._prepared.inverse_strength == 0
        self._threads = get_num_threads()
        self.info.choices["order"] = self._prepared.by
        self.info.choices["cyclic_nodes"] = self._prepared.cyclic_nodes

    def solve(self, teleport: F64, jump: F64, start: F64 | None) -> Solution:
        """Solve, prove, and go on more tightly until the proved bound is at most tol.

        A guess is proved before anything is solved. ``jump is teleport`` saves half the work.
        """
        task, order = self._task, self._prepared.order
        v = arrange(teleport, order)
        w = v if jump is teleport else arrange(jump, order)
        x = np.array(np.broadcast_to(v if start is None else arrange(start, order), len(order)))
        x /= x.sum()
        unknowns = self._begin(v, w, x)
        iterations = 0
        if start is None:
            x, iterations = self._advance(unknowns, x, task.max_iter - 1)
        while True:
            change, x = self._map(x, v, w)
            iterations += 1
            bound = prove(task, change, x, self._prepared.plan.indptr)
            if task.callback is not None:
                task.callback(iterations, bound)
            exhausted = iterations >= task.max_iter or unknowns.tolerance <= _LOWEST
            if task.is_done(bound, x) or exhausted:
                return Solution(scatter(x, order), bound, iterations)
            if iterations > 1:
                missed_by = np.clip(task.tol / bound / 2, *_LOWER_BY)
                unknowns.tolerance = max(unknowns.tolerance * missed_by, _LOWEST)
            x, passes = self._advance(unknowns, x, task.max_iter - iterations - 1)
            iterations += passes

    def _begin(self, v: F64, w: F64, x: F64) -> _Unknowns:
        """Guess the unknowns from guessed ranks."""
        damping = self._task.damping
        loss = damping * float(x[self._is_dangling].sum())
        scale = (1 - damping) / (1 - damping + loss)
        error = self._task.tol if self._task.top is None else max(self._task.tol, _FIRST_ERROR)
        tolerance = _SLACK * error * (1 - damping) * scale / max(damping, _LOWEST)
        unknowns = _Unknowns([(1 - damping) * v], [x * scale], tolerance)
        if w is not v:
            unknowns.bases.append(damping * w)
            unknowns.values.append(damping * np.broadcast_to(w, len(x)))
        return unknowns

    def _advance(self, unknowns: _Unknowns, x: F64, passes: int) -> tuple[F64, int]:
        """Solve in at most so many passes; return ranks, and how many passes it took."""
        sweeps = passes // len(unknowns.bases)
        if sweeps < 1:
            return x, 0
        prepared, visits = self._prepared, 0
        scratch = np.empty(2 * len(x))
        with self.info.timing("solve"):
            for base, y in zip(unknowns.bases, unknowns.values, strict=True):
                visits += kernels().rank_solve(
                    prepared.plan, prepared.inverse_strength, base, self._task.damping,
                    unknowns.tolerance, sweeps, y, scratch, self._threads,
                )  # fmt: skip
            ranks = self._combine(unknowns)
        return ranks, math.ceil(visits / self._links)

    def _combine(self, unknowns: _Unknowns) -> F64:
        """Ranks from the unknowns: the mass on dangling nodes says how much to add of the jump."""
        x = unknowns.values[0].copy()
        if len(unknowns.values) == 2:
            jumped = unknowns.values[1]
            mass, again = x[self._is_dangling].sum(), jumped[self._is_dangling].sum()
            x += mass / (1 - again) * jumped
        np.maximum(x, 0, out=x)  # a combination of iterates may end just below
        x /= x.sum()
        return x

    def _map(self, x: F64, v: F64, w: F64) -> tuple[float, F64]:
        """One pass of the PageRank map: how far x is from its image, and the image."""
        prepared, n = self._prepared, len(x)
        y = np.empty(n)
        contribution = np.tile(x * prepared.inverse_strength, 2)
        mass = float(x[self._is_dangling].sum())
        with self.info.timing("prove"):
            change, _ = kernels().rank_pull(
                *prepared.rows, prepared.inverse_strength, v, w, self._task.damping, mass, x,
                contribution, y, np.empty(n), self._threads,
            )  # fmt: skip
        return change, y
