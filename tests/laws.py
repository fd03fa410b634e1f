"""What the tests of the kernels share: rounding errors, numbers of threads, ways to hold arrays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Numbers of threads whose results must have the same bits; 7 is more than most machines have.
THREADS = (1, 2, 3, 7)

#: Matrices times cubes of rows from which on several threads work on small ones (csrc/lanes.h).
TEAM_WORK = 1 << 23

#: Bytes of results from which on kernels store them past the caches (csrc/stream.h).
STREAMED = 1 << 24

UNIT_ROUNDOFF = 2.0**-53


def gamma(roundings: Any) -> Any:
    """Relative error that so many roundings can add up to (Higham, Accuracy and Stability, 3.1)."""
    return roundings * UNIT_ROUNDOFF / (1 - roundings * UNIT_ROUNDOFF)


def assert_same_for_all_threads(run: Callable[[int], tuple[Any, ...]]) -> None:
    """``run(threads)`` returns arrays and numbers that have the same bits for all threads."""
    expected = [np.asarray(part).tobytes() for part in run(THREADS[0])]
    for threads in THREADS[1:]:
        assert [np.asarray(part).tobytes() for part in run(threads)] == expected


def least_squares(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """The solution in `numpy.longdouble`, of full rank: refined together with its residual.

    Å. Björck, Iterative refinement of linear least squares solutions I, BIT 7 (1967).
    """
    wide, right = a.astype(np.longdouble), b.astype(np.longdouble)
    q, r = np.linalg.qr(a.astype(np.float64))
    x, rest = np.zeros((a.shape[1], *b.shape[1:]), np.longdouble), right.copy()
    for _ in range(12):
        first = (right - rest - wide @ x).astype(np.float64)
        second = -(wide.T @ rest).astype(np.float64)
        inside = q.T @ first - np.linalg.solve(r.T, second)
        x, rest = x + np.linalg.solve(r, inside), rest + first - q @ inside
    return x


def after_line(shape: tuple[int, ...], dtype: Any, start: int) -> NDArray[Any]:
    """Return an array that begins so many bytes after a cache line of 64."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.zeros(size + 128, np.uint8)
    first = -memory.ctypes.data % 64 + start
    return memory[first : first + size].view(dtype).reshape(shape)


def frozen(array: NDArray[Any]) -> NDArray[Any]:
    """Return a read-only copy."""
    copy = array.copy()
    copy.flags.writeable = False
    return copy


def mapped(array: NDArray[Any], path: Path) -> NDArray[Any]:
    """Return a read-only copy that lives in a file."""
    array.tofile(path)
    return np.memmap(path, array.dtype, "r", shape=array.shape)
