"""What this machine can do at best: bytes read and fused multiply-adds a second.

A kernel that reads B bytes and computes F flops takes at least ``max(B / bandwidth, F / peak)``,
unless its data stay in a cache. Both are measured with numba, so that no compiler is needed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

F = TypeVar("F", bound=Callable[..., Any])

#: Read by each thread in a run: far more than the caches hold.
STREAM_BYTES = 256 << 20
#: Values that each thread works on in the peak measurement: 8 KiB or 16 KiB, within the L1 cache.
PEAK_VALUES = 2048
#: Fused multiply-adds for each load and store of a value. Zen 5, one thread, float32 GFLOP/s:
#: 152 with 4 (bound by stores), 224 with 12, 163 with 24 (chains too long for the scheduler).
CHAIN = 12
PEAK_SWEEPS = 100_000
#: The best of this many runs counts: a limit is what the machine can do undisturbed.
RUNS = 5


class Limits(NamedTuple):
    """Limits of a number of threads."""

    threads: int
    read_bytes: float  #: bytes a second, from memory
    float32_flops: float  #: flops a second; a fused multiply-add is two
    float64_flops: float


def _compiled(function: F) -> F:
    """Compile without the interpreter's lock and with fused multiply-adds, nothing reordered."""
    return cast(F, njit(nogil=True, fastmath={"contract"})(function))


@_compiled
def _read(values: NDArray[np.uint64]) -> np.uint64:
    total = np.uint64(0)  # integers: the compiler may vectorise the sum without fastmath
    for value in values:
        total += value
    return total


@_compiled
def _multiply_add(values: Any, factor: Any, summand: Any, sweeps: int) -> None:
    for _ in range(sweeps):
        for i in range(len(values)):
            x = values[i]
            for _ in range(CHAIN):  # unrolled; neighbouring i fill the vectors and the pipelines
                x = x * factor + summand
            values[i] = x


def _best_seconds(work: Callable[[int], object], threads: int) -> float:
    """Shortest time in which ``work(thread)`` ends on all threads; the first run compiles."""
    work(0)
    best = np.inf
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(RUNS):
            start = time.perf_counter()
            list(pool.map(work, range(threads)))
            best = min(best, time.perf_counter() - start)
    return float(best)


def read_bandwidth(threads: int) -> float:
    """Bytes a second that this many threads read from memory, each its own array."""
    arrays = [np.ones(STREAM_BYTES // 8, np.uint64) for _ in range(threads)]
    return threads * STREAM_BYTES / _best_seconds(lambda i: _read(arrays[i]), threads)


def peak_flops(dtype: type[np.floating[Any]], threads: int) -> float:
    """Flops a second of independent chains of fused multiply-adds on data in the L1 cache."""
    arrays = [np.ones(PEAK_VALUES, dtype) for _ in range(threads)]
    factor, summand = dtype(0.5), dtype(0.5)
    seconds = _best_seconds(
        lambda i: _multiply_add(arrays[i], factor, summand, PEAK_SWEEPS), threads
    )
    return threads * 2.0 * CHAIN * PEAK_SWEEPS * PEAK_VALUES / seconds


def measure(threads: int) -> Limits:
    """Measure all limits of this many threads, in about three seconds."""
    return Limits(
        threads,
        read_bandwidth(threads),
        peak_flops(np.float32, threads),
        peak_flops(np.float64, threads),
    )
