"""How many threads the numba backend uses, and sums of what its blocks add up."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from fastmml._kernels import F64, T
from fastmml._numba._jit import jit

_setting = threading.local()


def get_num_threads() -> int:
    """See `fastmml._kernels.Kernels.get_num_threads`."""
    threads: int | None = getattr(_setting, "threads", None)
    return _default_threads() if threads is None else threads


def set_num_threads(threads: int) -> None:
    """See `fastmml._kernels.Kernels.set_num_threads`."""
    _setting.threads = threads


def with_team(function: Callable[[], T], threads: int) -> T:
    """See `fastmml._kernels.Kernels.with_team`: every kernel starts threads of its own."""
    return function()


def _default_threads() -> int:
    """OMP_NUM_THREADS (its first number), else the processors that this process may use."""
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if asked.isascii() and asked.isdigit() and int(asked) > 0:
        return int(asked)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@jit
def sum_pairwise(parts: F64) -> float:
    """Sum by halves: the error grows with log(count), the order never changes."""
    count = len(parts)
    if count <= 8:
        total = 0.0
        for part in parts:
            total += part
        return total
    return sum_pairwise(parts[: count // 2]) + sum_pairwise(parts[count // 2 :])
