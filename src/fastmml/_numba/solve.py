"""PageRank as a linear system: Gauss-Seidel by segments, Anderson's mixing between sweeps.

The formulas stand in `fastmml._kernels.Kernels`, the reasoning in csrc/kernels/rank_solve.c.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fastmml._kernels import CYCLIC, F64, I64, INDEPENDENT, U8, U32, RankPlan, Real
from fastmml._numba._blocks import sum_pairwise
from fastmml._numba._jit import jit, jit_reordered, readonly, readonly_or_none
from fastmml._numba.rank import sum_links
from fastmml._threads import is_stopped, run_blocks

WINDOW = 9  #: sweeps that are combined
PERIOD = 3  #: sweeps between two combinations
REGULARISATION = 1e-10  #: relative weight of the diagonal of the least-squares problem
LARGEST_COEFFICIENT = 1e8  #: larger ones come of steps that are all rounding errors
SUM_ROUNDING = 2.0**-46  #: relative rounding error of a sum over parts, taken large
PART_NODES = 512  #: ranks that are added up one after another
COMBINATION_WORK = 4096  #: links and rows that can be swept in the time of a combination
FAILURE = 4.0  #: a change so many times the last one shows that a combination has failed
LEAST_RATE = 0.1  #: changes are not expected to fall faster
#: Links read before Ctrl-C is let through between segments of one block: some 10 milliseconds.
_LINKS_AT_ONCE = 1 << 23


@jit
def _substitute(
    start: int,
    end: int,
    indptr: I64,
    indices: U32,
    weights: F64 | None,
    earlier: U32,
    inverse_strength: F64,
    base: F64,
    damping: float,
    y: F64,
    c: F64,
) -> None:
    """Solve rows that depend on earlier nodes and, by their last links, on themselves."""
    stride = 1 if len(base) > 1 else 0
    for i in range(start, end):
        loops = indptr[i] + earlier[i]
        y[i] = damping * sum_links(indices, weights, c, indptr[i], loops) + base[i * stride]
        if loops < indptr[i + 1]:
            c[i] = inverse_strength[i]
            returning = sum_links(indices, weights, c, loops, indptr[i + 1])
            y[i] /= 1.0 - damping * returning
        c[i] = y[i] * inverse_strength[i]


@jit
def _start_block(
    start: int,
    end: int,
    indptr: I64,
    indices: U32,
    weights: F64 | None,
    earlier: U32,
    inverse_strength: F64,
    base: F64,
    damping: float,
    y: F64,
    c: F64,
    own_base: F64,
) -> None:
    """What earlier segments and the base give to the rows of a block; the first guess's shares."""
    stride = 1 if len(base) > 1 else 0
    for i in range(start, end):
        c[i] = y[i] * inverse_strength[i]
        total = sum_links(indices, weights, c, indptr[i], indptr[i] + earlier[i])
        own_base[i - start] = damping * total + base[i * stride]


@jit
def _sweep_block(
    start: int,
    end: int,
    indptr: I64,
    indices: U32,
    weights: F64 | None,
    earlier: U32,
    inverse_strength: F64,
    damping: float,
    y: F64,
    c: F64,
    own_base: F64,
    step: Real,
) -> float:
    change = 0.0
    for i in range(start, end):
        total = sum_links(indices, weights, c, indptr[i] + earlier[i], indptr[i + 1])
        value = damping * total + own_base[i - start]
        moved = value - y[i]
        change += abs(moved)
        step[i - start] = moved
        y[i] = value
        c[i] = value * inverse_strength[i]
    return change


@jit_reordered
def _inner_product(a: Real, b: Real) -> float:
    total = 0.0
    for i in range(len(a)):
        total += np.float64(a[i]) * np.float64(b[i])
    return total


@jit
def _update_gram(sweeps: int, combined: int, steps: Real, gram: F64) -> None:
    """Inner products of the steps since the last combination with all kept ones."""
    count = min(sweeps, WINDOW)
    for i in range(count):
        for j in range(i + 1):
            age = min((sweeps - 1 - i) % WINDOW, (sweeps - 1 - j) % WINDOW)
            if age < sweeps - combined:
                gram[i, j] = gram[j, i] = _inner_product(steps[i], steps[j])


@jit
def _factorise(a: F64) -> bool:
    """Cholesky factor of a in its lower triangle; False when a is not positive definite."""
    for j in range(len(a)):
        for k in range(j):
            a[j, j] -= a[j, k] * a[j, k]
        if not a[j, j] > 0.0:
            return False
        a[j, j] = math.sqrt(a[j, j])
        for i in range(j + 1, len(a)):
            for k in range(j):
                a[i, j] -= a[i, k] * a[j, k]
            a[i, j] /= a[j, j]
    return True


@jit
def _solve_factorised(a: F64, x: F64) -> None:
    for i in range(len(a)):
        for k in range(i):
            x[i] -= a[i, k] * x[k]
        x[i] /= a[i, i]
    for i in range(len(a) - 1, -1, -1):
        for k in range(i + 1, len(a)):
            x[i] -= a[k, i] * x[k]
        x[i] /= a[i, i]


@jit
def _find_coefficients(count: int, gram: F64, coefficients: F64) -> bool:
    """Coefficients that sum to 1 and make the combined step smallest; False: there are none."""
    scale = np.empty(count)
    for i in range(count):
        if not gram[i, i] > 0.0:
            return False
        scale[i] = 1.0 / math.sqrt(gram[i, i])
    a = np.empty((count, count))
    for i in range(count):
        for j in range(count):
            a[i, j] = gram[i, j] * scale[i] * scale[j]
        a[i, i] += REGULARISATION
    if not _factorise(a):
        return False
    scale /= scale.max()
    coefficients[:count] = scale
    _solve_factorised(a, coefficients[:count])
    coefficients[:count] *= scale
    coefficients[:count] /= coefficients[:count].sum()
    usable = True
    for i in range(count):
        usable = usable and abs(coefficients[i]) < LARGEST_COEFFICIENT  # False for NaN
    return usable


@jit
def _combine(
    origin: int,
    sweeps: int,
    combined: int,
    first_jump: int,
    steps: Real,
    jumps: Real,
    gram: F64,
    scales: F64,
    inverse_strength: F64,
    y: F64,
    c: F64,
) -> None:
    """Move y to the best combination of the last images; stay where there is none.

    The last combination was made after sweep ``combined``, the first one after ``first_jump``; all
    was multiplied by ``scales[k % WINDOW]`` before sweep k.
    """
    n = steps.shape[1]
    count = min(sweeps, WINDOW)
    coefficients = np.zeros(WINDOW)
    _update_gram(sweeps, combined, steps, gram)
    sums = np.zeros(n)
    if _find_coefficients(count, gram, coefficients):
        weight = last = 0.0
        for k in range(sweeps - count + 1, sweeps):
            weight += coefficients[(k - 1) % WINDOW]
            if k % PERIOD == 0 and k >= first_jump:
                jump = jumps[k // PERIOD % (WINDOW // PERIOD)]
                for i in range(n):
                    sums[i] -= weight * jump[i]
            unscaled = weight / scales[k % WINDOW]
            last += unscaled - weight
            weight = unscaled
            step = steps[k % WINDOW]
            for i in range(n):
                sums[i] -= weight * step[i]
        for i in range(n):
            sums[i] += last * y[origin + i]
    out = jumps[sweeps // PERIOD % (WINDOW // PERIOD)]
    for i in range(n):
        out[i] = sums[i]
        y[origin + i] += sums[i]
        c[origin + i] = y[origin + i] * inverse_strength[origin + i]


@jit
def _sum_in_parts(values: F64) -> float:
    total = 0.0
    for start in range(0, len(values), PART_NODES):
        part = 0.0
        for i in range(start, min(start + PART_NODES, len(values))):
            part += values[i]
        total += part
    return total


@jit
def _balance(damping: float, kept: F64, own_base: F64, y: F64, c: F64) -> float:
    """Scale a segment so that what leaves it is what its base brings in; returns the scale."""
    brought, ranks = _sum_in_parts(own_base), _sum_in_parts(y)
    stays = damping * _sum_in_parts(kept * c)
    left = ranks - stays
    if not (brought > 0.0 and left > 0.0 and abs(brought - left) > SUM_ROUNDING * (ranks + stays)):
        return 1.0
    scale = brought / left
    y *= scale
    c *= scale
    return scale


@jit
def _solve_block(
    start: int,
    end: int,
    indptr: I64,
    indices: U32,
    weights: F64 | None,
    earlier: U32,
    inverse_strength: F64,
    base: F64,
    damping: float,
    y: F64,
    c: F64,
    tolerance: float,
    max_sweeps: int,
    own_base: F64,
    steps: Real,
    jumps: Real,
    gram: F64,
    kept: F64 | None,
) -> int:
    """Solve a cyclic segment of one block; returns the sweeps made."""
    scales = np.ones(WINDOW)
    _start_block(
        start, end, indptr, indices, weights, earlier, inverse_strength, base, damping, y, c,
        own_base,
    )  # fmt: skip
    work = indptr[end] - indptr[start] + end - start
    before, rate = math.inf, 1.0
    trusted, done = True, False
    sweeps = combined = first_jump = 0
    while sweeps < max_sweeps and not done:
        change = _sweep_block(
            start, end, indptr, indices, weights, earlier, inverse_strength, damping, y, c,
            own_base, steps[sweeps % WINDOW],
        )  # fmt: skip
        sweeps += 1
        if sweeps > 1 and sweeps - 1 != combined:
            rate = max(change / before, LEAST_RATE) if change < before else 1.0
        done = change * rate <= tolerance
        trusted = trusted and (change <= FAILURE * before or change <= tolerance)
        before = change
        pays = sweeps * work >= COMBINATION_WORK
        if trusted and pays and (done or sweeps % PERIOD == 0):
            first_jump = first_jump if combined else sweeps
            _combine(
                start, sweeps, combined, first_jump, steps, jumps, gram, scales,
                inverse_strength, y, c,
            )  # fmt: skip
            combined = sweeps
        if trusted and kept is not None:
            scale = _balance(
                damping, kept[start:end], own_base[: end - start], y[start:end], c[start:end]
            )
            scales[sweeps % WINDOW] = scale
            before *= scale
    return sweeps


@jit
def _solve_single_blocks(
    first: int,
    enough: int,
    indptr: I64,
    indices: U32,
    weights: F64 | None,
    earlier: U32,
    blocks: I64,
    segments: I64,
    kinds: U8,
    inverse_strength: F64,
    base: F64,
    damping: float,
    tolerance: float,
    max_sweeps: int,
    y: F64,
    c: F64,
    own_base: F64,
    steps: Real,
    jumps: Real,
    gram: F64,
    kept: F64 | None,
) -> tuple[int, int]:
    """Solve segments from the first on, up to one of several blocks or until enough links are read.

    Returns the segment to go on with, and the links read.
    """
    visits = 0
    segment = first
    while segment < len(kinds) and visits < enough:
        if segments[segment + 1] - segments[segment] > 1:
            break
        start, end = blocks[segments[segment]], blocks[segments[segment] + 1]
        n = end - start
        sweeps = 1
        if kinds[segment] != CYCLIC:
            _substitute(
                start, end, indptr, indices, weights, earlier, inverse_strength, base, damping,
                y, c,
            )  # fmt: skip
        else:
            sweeps = _solve_block(
                start, end, indptr, indices, weights, earlier, inverse_strength, base, damping,
                y, c, tolerance * n, max_sweeps, own_base,
                steps[: WINDOW * n].reshape(WINDOW, n),
                jumps[: WINDOW // PERIOD * n].reshape(WINDOW // PERIOD, n), gram, kept,
            )  # fmt: skip
        visits += sweeps * (indptr[end] - indptr[start])
        segment += 1
    return segment, visits


class _Solver:
    """One call of `rank_solve`: its arguments, and scratch for the largest segment."""

    def __init__(
        self,
        plan: RankPlan,
        inverse_strength: F64,
        base: F64,
        damping: float,
        y: F64,
        c: F64,
        threads: int,
    ) -> None:
        self.blocks, self.segments = plan.blocks, plan.segments
        self.kinds, self.waves = plan.kinds, plan.waves
        nodes = np.diff(plan.blocks[plan.segments])[plan.kinds == CYCLIC]
        self.cyclic, largest = int(nodes.sum()), int(nodes.max(initial=0))
        self.rows = (
            readonly(plan.indptr),
            readonly(plan.indices),
            readonly_or_none(plan.weights),
        )
        self.earlier, self.kept = readonly(plan.earlier), readonly_or_none(plan.kept)
        self.inverse_strength, self.base = readonly(inverse_strength), readonly(base)
        self.damping, self.y, self.c, self.threads = float(damping), y, c, threads
        self.own_base = np.empty(largest)
        self.steps = np.empty(WINDOW * largest, np.float32)
        self.jumps = np.empty(WINDOW // PERIOD * largest, np.float32)
        self.gram = np.empty((WINDOW, WINDOW))

    def solve_single_blocks(self, first: int, tolerance: float, max_sweeps: int) -> tuple[int, int]:
        return _solve_single_blocks(
            first, _LINKS_AT_ONCE, *self.rows, self.earlier, readonly(self.blocks),
            readonly(self.segments), readonly(self.kinds), self.inverse_strength, self.base,
            self.damping, tolerance, max_sweeps, self.y, self.c, self.own_base, self.steps,
            self.jumps, self.gram, self.kept,
        )  # fmt: skip

    def _for_each_block(
        self,
        segment: int,
        work: Callable[[int, int, int], object],
        threads: int,
        wave: int = 0,
        waves: int = 1,
    ) -> None:
        """Call ``work(block, start, end)`` for the blocks of a wave, on several threads."""
        first, last = int(self.segments[segment]), int(self.segments[segment + 1])
        wanted = range(wave, last - first, waves)

        def run(low: int, high: int) -> None:
            for block in wanted[low:high]:
                work(block, int(self.blocks[first + block]), int(self.blocks[first + block + 1]))

        run_blocks(run, len(wanted), threads, 1)

    def substitute(self, segment: int) -> None:
        """Solve an independent segment, or an acyclic one, block after block."""
        independent = self.kinds[segment] == INDEPENDENT
        self._for_each_block(
            segment,
            lambda _, start, end: _substitute(
                start, end, *self.rows, self.earlier, self.inverse_strength, self.base,
                self.damping, self.y, self.c,
            ),
            threads=self.threads if independent else 1,
        )  # fmt: skip

    def _start(self, segment: int, origin: int) -> None:
        self._for_each_block(
            segment,
            lambda _, start, end: _start_block(
                start, end, *self.rows, self.earlier, self.inverse_strength, self.base,
                self.damping, self.y, self.c, self.own_base[start - origin :],
            ),
            self.threads,
        )  # fmt: skip

    def _sweep(self, segment: int, origin: int, end: int, step: NDArray[np.float32]) -> float:
        """One sweep over all blocks, wave after wave."""
        n = len(self.y)
        self.c[n + origin : n + end] = self.c[origin:end]
        changes = np.empty(self.segments[segment + 1] - self.segments[segment])

        def sweep(block: int, start: int, end: int) -> None:
            changes[block] = _sweep_block(
                start, end, *self.rows, self.earlier, self.inverse_strength, self.damping, self.y,
                self.c, self.own_base[start - origin :], step[start - origin :],
            )  # fmt: skip

        waves = int(self.waves[segment])
        for wave in range(waves):
            self._for_each_block(segment, sweep, self.threads, wave, waves)
        return sum_pairwise(changes)

    def solve_cyclic(self, segment: int, tolerance: float, max_sweeps: int) -> int:
        """Solve a cyclic segment of several blocks; returns the sweeps made."""
        origin = int(self.blocks[self.segments[segment]])
        end = int(self.blocks[self.segments[segment + 1]])
        n = end - origin
        steps = self.steps[: WINDOW * n].reshape(WINDOW, n)
        jumps = self.jumps[: WINDOW // PERIOD * n].reshape(WINDOW // PERIOD, n)
        before, rate, trusted, combined = math.inf, 1.0, True, 0
        scales = np.ones(WINDOW)
        self._start(segment, origin)
        for sweeps in range(1, max_sweeps + 1):
            change = self._sweep(segment, origin, end, steps[(sweeps - 1) % WINDOW])
            if sweeps > 1 and sweeps - 1 != combined:
                rate = max(change / before, LEAST_RATE) if change < before else 1.0
            done = change * rate <= tolerance * n
            trusted = trusted and (change <= FAILURE * before or change <= tolerance * n)
            before = change
            # The segment is large: a combination pays from the first on.
            if trusted and (done or sweeps % PERIOD == 0):
                _combine(
                    origin, sweeps, combined, PERIOD, steps, jumps, self.gram, scales,
                    self.inverse_strength, self.y, self.c,
                )  # fmt: skip
                combined = sweeps
            if trusted and self.kept is not None:
                scale = _balance(
                    self.damping, self.kept[origin:end], self.own_base[:n], self.y[origin:end],
                    self.c[origin:end],
                )  # fmt: skip
                scales[sweeps % WINDOW] = scale
                before *= scale
            if done:
                return sweeps
        return max_sweeps


def rank_solve(
    plan: RankPlan,
    inverse_strength: F64,
    base: F64,
    damping: float,
    tolerance: float,
    max_sweeps: int,
    y: F64,
    c: F64,
    threads: int,
) -> tuple[float, float, int]:
    """See `fastmml._kernels.Kernels.rank_solve`."""
    c[:] = 0  # links without weight may read ahead
    solver = _Solver(plan, inverse_strength, base, damping, y, c, threads)
    per_node = tolerance / max(solver.cyclic, 1)
    segment = visits = 0
    while segment < len(plan.kinds):
        segment, read = solver.solve_single_blocks(segment, per_node, max_sweeps)
        visits += read
        if is_stopped():
            raise KeyboardInterrupt
        if segment == len(plan.kinds) or plan.segments[segment + 1] - plan.segments[segment] == 1:
            continue
        sweeps = 1
        if plan.kinds[segment] == CYCLIC:
            sweeps = solver.solve_cyclic(segment, per_node, max_sweeps)
        else:
            solver.substitute(segment)
        start, end = plan.blocks[plan.segments[segment : segment + 2]]
        visits += sweeps * int(plan.indptr[end] - plan.indptr[start])
        segment += 1
    c[len(y) :] = c[: len(y)]
    return float(y.sum()), float(y[inverse_strength == 0].sum()), visits


def rank_solve_columns(
    plan: RankPlan,
    inverse_strength: F64,
    base: F64,
    damping: float,
    tolerance: float,
    max_sweeps: int,
    y: F64,
    c: F64,
    threads: int,
) -> tuple[F64, F64, int]:
    """See `fastmml._kernels.Kernels.rank_solve_columns`: one by one, which is not slower here."""
    columns, visits = y.shape[1], 0
    total, dangling_mass, shares = np.empty(columns), np.empty(columns), np.empty(2 * len(y))
    for i in range(columns):
        column = y[:, i].copy()
        total[i], dangling_mass[i], read = rank_solve(
            plan, inverse_strength, base[:, i].copy(), damping, tolerance, max_sweeps, column,
            shares, threads,
        )  # fmt: skip
        visits = max(visits, read)
        y[:, i], c[:, i] = column, shares
    return total, dangling_mass, visits
