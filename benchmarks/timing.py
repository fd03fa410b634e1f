"""Fair timing: contestants take turns with us, and medians are compared."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping

#: A contestant does one run and returns its seconds.
Run = Callable[[], float]

#: A peer slower than this runs once, not in every round.
SLOW_SECONDS = 8.0
#: A process that used less of so many seconds than a tenth has no thread that looks for work; some
#: libraries' never sleep.
SETTLE_SECONDS, MOST_SETTLES = 0.02, 25


def seconds_of(work: Callable[[], object]) -> float:
    """Time one call, without the garbage collector."""
    gc.disable()
    try:
        start = time.perf_counter()
        work()
        return time.perf_counter() - start
    finally:
        gc.enable()


def settle() -> None:
    """Wait until the threads of the library before sleep.

    OpenBLAS's look for work for up to 0.1 s after a call: the next library's would wait for their
    core, 4 ms at a time.
    """
    before = time.process_time()
    for _ in range(MOST_SETTLES):
        time.sleep(SETTLE_SECONDS)
        now = time.process_time()
        if now - before < SETTLE_SECONDS / 10:
            return
        before = now


def rested(run: Run) -> float:
    """Run when nobody else does."""
    settle()
    return run()


def interleave(ours: Run, peers: Mapping[str, Run], rounds: int) -> tuple[float, dict[str, float]]:
    """Run us, peer A, us, peer B, ... for some rounds; return our median and each peer's.

    Whatever disturbs the machine for a while disturbs us as much as the peers.
    """
    our_times: list[float] = []
    peer_times: dict[str, list[float]] = {name: [] for name in peers}
    for _ in range(rounds):
        our_times.append(rested(ours))
        for name, run in peers.items():
            times = peer_times[name]
            if not times or times[0] < SLOW_SECONDS:
                times.append(rested(run))
                our_times.append(rested(ours))
    medians = {name: statistics.median(times) for name, times in peer_times.items()}
    return statistics.median(our_times), medians
