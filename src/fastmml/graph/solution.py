"""What a PageRank solver is asked and returns, and the proof that all of them share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np

from fastmml._kernels import F64, I64

_UNIT_ROUNDOFF = 2.0**-53
#: Roundings of a component of the map beside those of its sum over links.
_ROUNDINGS = 64


@dataclass(frozen=True)
class Task:
    """How the ranks are defined, how near they must be, and who wants to watch."""

    damping: float
    tol: float
    max_iter: int
    callback: Callable[[int, float], object] | None
    top: int | None = None  #: enough is proved when the order of so many best nodes is

    def is_done(self, bound: float, y: F64) -> bool:
        """Whether ranks y with this bound on their error are what was asked for."""
        return bound <= self.tol or (self.top is not None and _is_ordered(y, self.top, bound))


def _is_ordered(y: F64, k: int, bound: float) -> bool:
    """Whether no error of this 1-norm can change which nodes are the k best, nor their order.

    Two nodes change places only if their errors together are as large as the gap between them.
    """
    kept = min(k + 1, len(y))
    best = np.sort(np.partition(y, len(y) - kept)[len(y) - kept :])
    return bool((np.diff(best) > bound).all())


@dataclass(frozen=True)
class Solution:
    """Scores, the proved bound on their error, and how many passes made them."""

    scores: F64
    error_bound: float
    iterations: int


@dataclass
class Info:
    """What a solver chose, and where the time went."""

    choices: dict[str, Any]
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timing(self, stage: str) -> Iterator[None]:
        """Add the time of the block to a stage."""
        start = perf_counter()
        yield
        self.seconds[stage] = self.seconds.get(stage, 0.0) + perf_counter() - start

    def as_dict(self) -> dict[str, Any]:
        """Choices and seconds, as users see them."""
        return {**self.choices, "seconds": self.seconds}


def prove(task: Task, change: float, y: F64, indptr: I64) -> float:
    """Bound the 1-norm of ``y - solution`` for the image y of an iterate ``change`` away from it.

    The map contracts by ``damping``; each component of y carries gamma_k relative rounding error,
    k its number of roundings. They are left out where the bound misses ``tol`` without them.
    """
    truncation = task.damping * change / (1 - task.damping)
    if truncation > task.tol:
        return truncation
    rounding = _UNIT_ROUNDOFF * 1.01 * float(((np.diff(indptr) + _ROUNDINGS) * np.abs(y)).sum())
    return truncation + rounding / (1 - task.damping)
