"""Personalised PageRank from single nodes, by local push beside the ranking of all nodes.

Run by ``pytest benchmarks/``. A call ranks from each of a few random nodes that have links out, on
one thread and a graph that is prepared for both functions of fastmml. igraph, which always goes on
to full precision, ranks all nodes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import fastmml as fm
from benchmarks.graphs import DAMPING, USUAL_GRAPHS, Links, Unavailable, load

SEEDS = 10
ROUNDS = 3
TOLERANCES = (1e-2, 1e-4, 1e-8)

Rank = Callable[[int], object]


@pytest.fixture(scope="module", params=USUAL_GRAPHS)
def links(request: pytest.FixtureRequest) -> Links:
    """Links of a graph that is here."""
    try:
        return load(request.param)
    except Unavailable as reason:
        pytest.skip(str(reason))


def local(links: Links, tol: float) -> Rank:
    """Rank by local push."""
    g = fm.Graph(links.src, links.dst, num_nodes=links.num_nodes)
    return lambda seed: fm.local_pagerank(g, seed, DAMPING, tol)


def everywhere(links: Links, tol: float) -> Rank:
    """Rank all nodes."""
    g = fm.Graph(links.src, links.dst, num_nodes=links.num_nodes).prepare()
    return lambda seed: fm.pagerank(g, DAMPING, {seed: 1}, tol=tol)


def igraph(links: Links, _: float) -> Rank:
    """Rank all nodes by PRPACK."""
    module = pytest.importorskip("igraph")
    g = module.Graph(links.num_nodes, np.column_stack([links.src, links.dst]), directed=True)
    return lambda seed: g.personalized_pagerank(damping=DAMPING, reset_vertices=[seed])


@pytest.mark.parametrize("tol", TOLERANCES)
@pytest.mark.parametrize("make", [local, everywhere, igraph])
def bench_local_pagerank(
    benchmark: BenchmarkFixture, links: Links, make: Callable[[Links, float], Rank], tol: float
) -> None:
    """Time one function at one tolerance."""
    if make is igraph and tol > min(TOLERANCES):
        pytest.skip("igraph has no tolerance")
    seeds = np.random.default_rng(0).choice(np.unique(links.src), SEEDS).tolist()
    rank = make(links, tol)
    benchmark.group = f"personalised pagerank {links.name}, {SEEDS} seeds"
    with fm.threads(1):
        benchmark.pedantic(  # type: ignore[no-untyped-call]
            lambda: [rank(seed) for seed in seeds], rounds=ROUNDS, warmup_rounds=1
        )
