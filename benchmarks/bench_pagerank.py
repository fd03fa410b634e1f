"""PageRank of a graph in memory, to a true L1 error of at most 1e-9, beside the peers.

Run by ``pytest benchmarks/``. Every timed call is a first call. ``extra_info`` tells the tolerance
that each library was given and the error that it reached.
"""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.graphs import USUAL_GRAPHS, Unavailable, load
from benchmarks.machine import thread_counts
from benchmarks.peers import PEERS, Contest, enter

ROUNDS = 5


@pytest.fixture(
    scope="module",  # one pair at a time is in memory
    params=[(graph, peer) for graph in USUAL_GRAPHS for peer in PEERS],
    ids=lambda pair: f"{pair[0]}-{pair[1].name}",
)
def contest(request: pytest.FixtureRequest) -> Contest:
    """A peer that is ready to rank a graph."""
    graph, peer = request.param
    try:
        return enter(peer, load(graph))
    except Unavailable as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize("threads", thread_counts())
def bench_pagerank(benchmark: BenchmarkFixture, contest: Contest, threads: int) -> None:
    """Time one peer on one graph."""
    if threads > 1 and not contest.peer.parallel:
        pytest.skip(f"{contest.peer.name}: single-threaded")
    benchmark.group = f"pagerank {contest.links.name}"
    benchmark.extra_info |= {"tolerance": contest.tolerance, "l1_error": contest.error}
    contest.peer.set_threads(threads)
    benchmark.pedantic(  # type: ignore[no-untyped-call]
        contest.peer.rank,
        setup=lambda: ((contest.peer.fresh(contest.graph), contest.tolerance), {}),
        rounds=ROUNDS,
    )
