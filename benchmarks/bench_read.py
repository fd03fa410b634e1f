"""Reading the edge list of an R-MAT graph into memory, beside the peers, on all cores.

Run by ``pytest benchmarks/``. ``extra_info`` tells the size of the text in megabytes and the
megabytes a second of the median run.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.graphs import Unavailable, load, write_edge_list
from benchmarks.readers import READERS, Reader

ROUNDS = 3


@pytest.fixture(scope="module", params=["rmat-18", "rmat-20"])
def edge_list(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the links of a graph, written once."""
    path = tmp_path_factory.mktemp("edges") / f"{request.param}.tsv"
    write_edge_list(load(request.param), path)
    return path


@pytest.mark.parametrize("reader_type", READERS, ids=lambda reader_type: reader_type.name)
def bench_read(benchmark: BenchmarkFixture, edge_list: Path, reader_type: type[Reader]) -> None:
    """Time one reader on one file."""
    try:
        reader = reader_type()
        reader.check_size(edge_list)
    except Unavailable as reason:
        pytest.skip(str(reason))
    benchmark.group = f"read {edge_list.stem}"
    benchmark.pedantic(  # type: ignore[no-untyped-call]
        reader.read, args=(edge_list,), rounds=ROUNDS, warmup_rounds=1
    )
    megabytes = edge_list.stat().st_size / 1e6
    benchmark.extra_info["megabytes"] = megabytes
    if benchmark.stats is not None:  # None when benchmarks are disabled
        benchmark.extra_info["megabytes_per_second"] = megabytes / benchmark.stats.stats.median
