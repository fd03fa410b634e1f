"""Threads of the numba backend: fixed blocks of work, handed out to a few threads.

The blocks of a kernel depend on its input alone and each writes its own part of the output, so
the result has the same bits for any number of threads. Threads live as long as one call (starting
one takes 50 microseconds, a pool would save 30 of them): nothing is shared between callers, and
nothing is lost in a fork.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from fastmml._kernels import F64
from fastmml._numba._jit import jit

_setting = threading.local()

#: Every thread gets at least about this many ranges of blocks, so that all finish together.
RANGES_PER_THREAD = 8


def get_num_threads() -> int:
    """See `fastmml._kernels.Kernels.get_num_threads`."""
    threads: int | None = getattr(_setting, "threads", None)
    return _default_threads() if threads is None else threads


def set_num_threads(threads: int) -> None:
    """See `fastmml._kernels.Kernels.set_num_threads`."""
    _setting.threads = threads


def _default_threads() -> int:
    """OMP_NUM_THREADS (its first number), else the processors that this process may use."""
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if asked.isascii() and asked.isdigit() and int(asked) > 0:
        return int(asked)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Team:
    """Threads that take ranges of blocks until none is left, or one of them fails."""

    def __init__(self, work: Callable[[int, int], object], blocks: int, size: int) -> None:
        self._work = work
        self._blocks = blocks
        self._size = size
        self._next = 0
        self._lock = threading.Lock()
        self.error: BaseException | None = None

    def _take(self) -> int:
        """First block of the next range; at or past the number of blocks when none is left."""
        with self._lock:
            first = self._next
            self._next += self._size
        return first

    def run(self) -> None:
        while (first := self._take()) < self._blocks:
            self._work(first, min(first + self._size, self._blocks))

    def stop(self) -> None:
        with self._lock:
            self._next = self._blocks

    def help(self) -> None:
        """`run`, in a helper thread: the error is left for the caller."""
        try:
            self.run()
        except BaseException as error:
            self.error = error
            self.stop()


def run_blocks(work: Callable[[int, int], object], blocks: int, threads: int, at_once: int) -> None:
    """Call ``work(first, last)`` on ranges that together are ``range(blocks)``.

    A range has at most ``at_once`` blocks, which should take a few milliseconds: the calling
    thread works too, and notices Ctrl-C between its ranges. Then, and after any other exception,
    no further range starts, and the exception is raised when those under way have ended.
    """
    size = max(1, min(at_once, blocks // (max(threads, 1) * RANGES_PER_THREAD)))
    team = _Team(work, blocks, size)
    helpers: list[threading.Thread] = []
    try:
        for _ in range(min(threads, -(-blocks // size)) - 1):
            helper = threading.Thread(target=team.help, name="fastmml-numba", daemon=True)
            try:
                helper.start()
            except RuntimeError:  # the system has no more threads: go on with those there are
                break
            helpers.append(helper)
        team.run()
    finally:
        team.stop()
        for helper in helpers:
            helper.join()
    if team.error is not None:
        raise team.error


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
