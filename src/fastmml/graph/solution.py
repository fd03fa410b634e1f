"""What a PageRank solver is asked and returns, and the proof that all of them share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from fastmml._kernels import F64, I64

_UNIT_ROUNDOFF = 2.0**-53
#: Roundings of a component of the map beside those of its sum over links.
ROUNDINGS = 64.0
#: Rows that `column_sums` adds up side by side, and one after another.
_SIDE_BY_SIDE = 64
_IN_A_ROW = 64
#: Rows of a block, whose values stay in the cache.
_BLOCK = 1 << 15


class Task(NamedTuple):
    """How the ranks are defined, how near they must be, and who wants to watch."""

    damping: float
    tol: float
    max_iter: int
    callback: Callable[[int, float], object] | None
    top: int | None = None  #: enough is proved when the order of so many best nodes is

    def is_done(self, bound: Any, y: F64) -> bool:
        """Whether ranks y with these bounds on their errors, in every column, were asked for."""
        return bool(np.all(bound <= self.tol)) or self._is_ordered(bound, y)

    def _is_ordered(self, bound: Any, y: F64) -> bool:
        if self.top is None:
            return False
        columns = zip(y.reshape(len(y), -1).T, np.atleast_1d(bound), strict=True)
        return all(b <= self.tol or _is_ordered(column, self.top, b) for column, b in columns)


def _is_ordered(y: F64, k: int, bound: float) -> bool:
    """Whether no error of this 1-norm can change which nodes are the k best, nor their order.

    Two nodes change places only if their errors together are as large as the gap between them. That
    may be all of the error where they are equal, so that their rounding counts.
    """
    kept = min(k + 1, len(y))
    best = np.sort(np.partition(y, len(y) - kept)[len(y) - kept :])
    rounding = 8 * np.finfo(np.float64).eps * best[-1]
    return bool((np.diff(best) > bound + rounding).all())


class Solution(NamedTuple):
    """Scores, the proved bounds on their errors, and how many passes made them."""

    scores: F64  #: in the solver's order of the nodes
    error_bound: Any  #: a number, or one for each column
    iterations: int


class Info:
    """What a solver chose, and where the time went."""

    def __init__(self, choices: dict[str, Any]) -> None:
        self.choices = choices
        self.seconds: dict[str, float] = {}
        self._lock = Lock()

    @contextmanager
    def timing(self, stage: str) -> Iterator[None]:
        """Add the time of the block to a stage; columns side by side add theirs up."""
        start = perf_counter()
        yield
        with self._lock:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + perf_counter() - start

    def as_dict(self) -> dict[str, Any]:
        """Choices and seconds, as users see them."""
        return {**self.choices, "seconds": self.seconds}


def column_sums(values: F64) -> Any:
    """Sums of a column, or of each of several, blocked: the error grows with n / 4096 at most."""
    if values.ndim == 1:
        return float(values.sum())
    whole = len(values) // (_SIDE_BY_SIDE * _IN_A_ROW) * (_SIDE_BY_SIDE * _IN_A_ROW)
    columns = values.shape[1]
    # NumPy adds long rows up several times as fast as rows of a few columns.
    blocks = values[:whole].reshape(-1, _IN_A_ROW, _SIDE_BY_SIDE * columns).sum(axis=1)
    return blocks.sum(axis=0).reshape(-1, columns).sum(axis=0) + values[whole:].sum(axis=0)


def blocks_of(n: int) -> Iterator[slice]:
    """Cut n rows, so that what is computed on the way to a sum stays small."""
    return (slice(start, start + _BLOCK) for start in range(0, max(n, 1), _BLOCK))


def rounded_sum(indptr: I64, y: F64) -> float:
    """Sum of the components of y, each as often as it is rounded, slack included."""
    total = 0.0
    for rows in blocks_of(len(y)):
        links = np.diff(indptr[rows.start : rows.stop + 1])
        # einsum, since a matrix product would start the threads of the BLAS.
        total += float(np.einsum("i,i", links + ROUNDINGS, y[rows]))
    return total


def prove(task: Task, change: Any, rounded: Any) -> Any:
    """Bound the 1-norm of ``y - solution`` for the image y of an iterate ``change`` away from it.

    The map contracts by ``damping``; each component of y, which is not negative, carries gamma_k
    relative rounding error, k its number of roundings; ``rounded`` is their sum, so weighted.
    """
    truncation = task.damping * change / (1 - task.damping)
    return truncation + _UNIT_ROUNDOFF * 1.01 * rounded / (1 - task.damping)
