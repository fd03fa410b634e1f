"""PageRank by Gauss-Seidel over strong components, proved by one pass of the PageRank map.

Without the jumps from dangling nodes the ranks solve ``y = damping Pᵀy + teleport``, up to their
scale, and a component depends on earlier ones only. The jumps go one way, so they add a multiple of
a second such solution, or, where they go the way of the teleport, change the scale alone (G. Del
Corso, A. Gulli, F. Romani, Fast PageRank computation via a sparse linear system, Internet
Mathematics 2, 2005).

Ranks are of one column, (n,), or of `COLUMNS` columns, (n, COLUMNS), which share one walk over the
links; of sums, bounds and the like there is one for each column.
"""

from __future__ import annotations

import math
import threading
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from fastmml import _memory
from fastmml._backend import get_num_threads, kernels
from fastmml._kernels import COLUMNS, F64
from fastmml.graph.distribution import scaled, take
from fastmml.graph.graph import Graph
from fastmml.graph.plan import prepare
from fastmml.graph.solution import ROUNDINGS, Info, Solution, Task, blocks_of, column_sums, prove

#: The last change of every segment overstates the error that is left, on web graphs and random ones
#: some ten times: the first tolerance is so many times what the theory asks for.
_SLACK = 4
#: Where only an order is asked for, the error to start with.
_FIRST_ERROR = 1e-4
#: A tolerance that missed the bound is lowered by what it missed by, within these limits ...
_LOWER_BY = 1e-3, 0.5
#: ... and no further than this: smaller changes of a sweep are rounding errors.
_LOWEST = 1e-17
#: So many columns and more are solved side by side, the rest of `COLUMNS` left unused.
_WORTH_PADDING = 3
#: What columns side by side take while they are solved, and their results.
_BYTES_PER_NODE = 1200


class _Unknowns:
    """Solutions of ``y = damping Pᵀy + base``: for the teleport and, if it differs, the jump."""

    def __init__(self, base: F64, value: F64, tolerance: float) -> None:
        self.bases, self.values = [base], [value]
        self.tolerance = tolerance  #: on the change of a sweep, 1-norm


class _Ranks(NamedTuple):
    """Ranks up to their scale, and what follows from them."""

    values: F64
    shares: F64  #: values times inverse strength, twice: what the links of a plan read
    total: Any  #: sum of the values
    dangling: Any  #: their sum over dangling nodes

    def plus(self, factor: Any, other: _Ranks) -> _Ranks:
        """Return these ranks and ``factor`` times the others."""
        return _Ranks(
            self.values + factor * other.values,
            self.shares + factor * other.shares,
            self.total + factor * other.total,
            self.dangling + factor * other.dangling,
        )


class _Room(threading.local):
    """Arrays that each thread keeps from one part to the next: touching new memory takes longer
    than most of what is done in it."""

    def __init__(self) -> None:
        self._arrays: dict[str, F64] = {}

    def array(self, name: str, rows: int, like: F64) -> F64:
        """Array of so many rows, as wide as those of the other; it holds anything."""
        return self.of_shape(name, (rows, *like.shape[1:]))

    def of_shape(self, name: str, shape: tuple[int, ...]) -> F64:
        """Array of this shape; it holds anything."""
        found = self._arrays.get(name)
        if found is None or found.shape != shape:
            found = self._arrays[name] = kernels().empty(shape, np.float64)
        return found


class GaussSeidel:
    """A graph prepared for solving; for any number of distributions, in any number of threads."""

    def __init__(self, g: Graph, task: Task) -> None:
        self._task = task
        self.info = Info({"method": "gauss-seidel"})
        with self.info.timing("prepare"):
            self._prepared = g._prepared or prepare(g)
        self._links = max(g.num_edges, 1)
        self._kernels = kernels()
        self._threads = get_num_threads()
        self._room = _Room()
        self.info.choices["order"] = self._prepared.by
        self.info.choices["cyclic_nodes"] = self._prepared.cyclic_nodes

    def parts(self, columns: int) -> tuple[list[slice], int]:
        """Cut columns into parts to solve, and say how many to solve at the same time.

        Eight columns side by side take as long as two or three, and a thread for each part needs
        no barriers; but there must be memory for all that is under way.
        """
        n, threads = len(self._prepared.order), self._threads
        room = _memory.available() // 2 // (_BYTES_PER_NODE * n)
        if room < 1:
            return [slice(i, i + 1) for i in range(columns)], 1
        wide = columns // COLUMNS * COLUMNS
        if columns - wide >= _WORTH_PADDING:
            wide = columns
        cuts = [*range(0, wide, COLUMNS), *range(wide, columns + 1)]
        parts = [slice(a, b) for a, b in pairwise(cuts)]
        at_once = 1 if self._task.callback else min(len(parts), threads, room)
        self._threads = max(threads // at_once, 1)
        return parts, at_once

    def take(self, name: str, weights: F64, part: slice) -> F64:
        """Distributions from columns of weights, in the plan's order; the last one is repeated."""
        order, count = self._prepared.order, part.stop - part.start
        if len(weights) == 1:
            return take(weights, part, len(order))
        shape = (len(order),) if count == 1 else (len(order), COLUMNS)
        taken = self._room.of_shape(name, shape)
        first, count = (0, 1) if weights.shape[1] == 1 else (part.start, count)
        out = taken.reshape(len(order), -1)
        self._kernels.gather_values(order, weights, first, count, out, self._threads)
        return scaled(taken)

    def put(self, solution: Solution, scores: F64, part: slice) -> None:
        """Write a solution into columns of the scores, in the graph's order."""
        order, count = self._prepared.order, part.stop - part.start
        values = solution.scores.reshape(len(order), -1)
        self._kernels.scatter_values(order, values, scores, part.start, count, self._threads)

    def solve(self, v: F64, w: F64, start: F64 | None) -> Solution:
        """Solve, prove, and go on more tightly until the proved bound is at most tol.

        Distributions and scores are in the plan's order; scores are valid until the calling thread
        solves again. A guess is proved before anything is solved. ``w is v`` saves half the work.
        """
        task = self._task
        unknowns = self._begin(v, w, start)
        x, iterations = self._advance(unknowns, task.max_iter - 1 if start is None else 0)
        while True:
            bound, y = self._prove(x, v, w)
            iterations += 1
            if task.callback is not None:
                task.callback(iterations, float(np.max(bound)))
            exhausted = iterations >= task.max_iter or unknowns.tolerance <= _LOWEST
            if exhausted or task.is_done(bound, y):
                return Solution(y, bound, iterations)
            if iterations > 1:
                missed_by = np.clip(task.tol / np.max(bound) / 2, *_LOWER_BY)
                unknowns.tolerance = max(unknowns.tolerance * missed_by, _LOWEST)
            x, passes = self._advance(unknowns, task.max_iter - iterations - 1)
            iterations += passes

    def _begin(self, v: F64, w: F64, start: F64 | None) -> _Unknowns:
        """Guess the unknowns, from guessed ranks if there are any."""
        damping, task = self._task.damping, self._task
        ranks = v if start is None else start
        scale = 1 / (1 - damping * (1 - self._over_dangling(ranks)))
        error = task.tol if task.top is None else max(task.tol, _FIRST_ERROR)
        tolerance = _SLACK * error * (1 - damping) * float(np.min(scale)) / max(damping, _LOWEST)
        y = self._spread("y", ranks)
        if start is None:
            self._guess(y, v)
        else:
            y *= scale
        unknowns = _Unknowns(v, y, tolerance)
        if w is not v:
            unknowns.bases.append(w)
            unknowns.values.append(self._spread("jumped", w))
            self._guess(unknowns.values[1], w)
        return unknowns

    def _guess(self, y: F64, base: F64) -> None:
        """Guess an unknown: its base, and as much again as goes along links.

        On random graphs a node gets its part of the links of that, elsewhere its part of the base.
        """
        damping, indptr = self._task.damping, self._prepared.plan.indptr
        along = 1 - self._over_dangling(base)
        if not self._prepared.is_random:
            y /= 1 - damping * along
            return
        to_linked = float(indptr[self._prepared.linked]) / self._links
        per_link = damping * along / (1 - damping * to_linked) / self._links
        for rows in blocks_of(len(y)):
            links = np.diff(indptr[rows.start : rows.stop + 1])
            y[rows] += np.multiply.outer(links, per_link)

    def _spread(self, name: str, values: F64) -> F64:
        """Give every node a value of its own, also where a single one stands for all."""
        array = self._room.array(name, len(self._prepared.order), values)
        array[:] = values
        return array

    def _over_dangling(self, values: F64) -> Any:
        """Sums over dangling nodes, which are the last ones."""
        dangling = len(self._prepared.order) - self._prepared.linked
        if len(values) == 1:
            return values[0] * dangling
        return column_sums(values[len(values) - dangling :])

    def _advance(self, unknowns: _Unknowns, passes: int) -> tuple[_Ranks, int]:
        """Solve in at most so many passes; return ranks, and how many passes it took."""
        sweeps = passes // len(unknowns.bases)
        if sweeps < 1:
            return self._ranks(unknowns.values[0]), 0
        prepared, visits = self._prepared, 0
        solved: list[_Ranks] = []
        with self.info.timing("solve"):
            for base, y in zip(unknowns.bases, unknowns.values, strict=True):
                solve = (
                    self._kernels.rank_solve if y.ndim == 1 else self._kernels.rank_solve_columns
                )
                shares = self._room.array(f"shares {len(solved)}", 2 * len(y), y)
                total, dangling, read = solve(
                    prepared.plan, prepared.inverse_strength, base, self._task.damping,
                    unknowns.tolerance, sweeps, y, shares, self._threads,
                )  # fmt: skip
                solved.append(_Ranks(y, shares, total, dangling))
                visits += read
        return self._combine(solved), math.ceil(visits / self._links)

    def _combine(self, solved: list[_Ranks]) -> _Ranks:
        """Ranks from the unknowns: the mass on dangling nodes says how much to add of the jump."""
        x = solved[0]
        if len(solved) == 2:
            damping, jumped = self._task.damping, solved[1]
            x = x.plus(damping * x.dangling / (1 - damping * jumped.dangling), jumped)
        return x

    def _ranks(self, values: F64) -> _Ranks:
        """Ranks that were not solved for."""
        inverse = self._prepared.inverse_strength
        shares = values * (inverse if values.ndim == 1 else inverse[:, None])
        return _Ranks(
            values,
            np.concatenate([shares, shares]),
            column_sums(values),
            self._over_dangling(values),
        )

    def _prove(self, x: _Ranks, v: F64, w: F64) -> tuple[Any, F64]:
        """One pass of the PageRank map: the image of the ranks, and the bound on its error."""
        y = self._room.array("image", len(x.values), x.values)
        image = self._kernels.rank_image if y.ndim == 1 else self._kernels.rank_image_columns
        with self.info.timing("prove"):
            change, rounded = image(
                *self._prepared.rows, v, w, self._task.damping, x.total, x.dangling, ROUNDINGS,
                x.values, x.shares, y, self._threads,
            )  # fmt: skip
        return prove(self._task, change / x.total, rounded), y
