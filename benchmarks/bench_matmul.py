"""Matrix products beside NumPy's and PyTorch's. Run by ``pytest benchmarks/``."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.graphs import Unavailable
from benchmarks.machine import thread_counts
from benchmarks.products import GROUPS, LIBRARIES, Case


@pytest.fixture(
    scope="module",  # one case at a time is in memory
    params=[(group, number) for group, cases in GROUPS.items() for number in range(len(cases))],
    ids=lambda pair: f"{pair[0]}-{pair[1]}",
)
def case(request: pytest.FixtureRequest) -> Case:
    """A product."""
    group, number = request.param
    return GROUPS[group][number]()


@pytest.mark.parametrize("threads", thread_counts())
@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library.name)
def bench_matmul(benchmark: BenchmarkFixture, case: Case, library: Any, threads: int) -> None:
    """Time one library at one product."""
    try:
        contestant = library(case)
    except Unavailable as reason:
        pytest.skip(str(reason))
    benchmark.group = f"{case.name}, {threads} threads"
    contestant.set_threads(threads)
    benchmark(contestant.call)
    if benchmark.stats is not None:  # else benchmarks are switched off
        benchmark.extra_info["gflops"] = case.flops / benchmark.stats["median"] / 1e9
