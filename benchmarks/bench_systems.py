"""Stacks of small matrices beside NumPy and PyTorch; run by ``pytest benchmarks/``."""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.machine import thread_counts
from benchmarks.systems import Task, contestants, equal_threads, tasks

ROUNDS = 5


@pytest.mark.parametrize("threads", thread_counts())
@pytest.mark.parametrize("task", tasks(), ids=str)
@pytest.mark.parametrize("name", contestants())
def bench_systems(benchmark: BenchmarkFixture, name: str, task: Task, threads: int) -> None:
    """Time one function of one library."""
    benchmark.group = f"{task}, {threads} thread{'s' * (threads > 1)}"
    call = contestants()[name](task, task.operands())
    with equal_threads(threads):
        benchmark.pedantic(call, rounds=ROUNDS, warmup_rounds=1)  # type: ignore[no-untyped-call]
