"""Rank a NetworkX graph with NetworkX and with fastmml, and compare.

    python examples/compare_networkx.py

Needs ``networkx``. The bound is proved for fastmml's scores; NetworkX has an error of its own,
which its small ``tol`` keeps far below.
"""

import networkx as nx

import fastmml as fm


def main() -> None:
    """Rank one random graph both ways and print the largest difference and the bound."""
    graph = nx.gnp_random_graph(2000, 0.002, seed=1, directed=True)
    expected = nx.pagerank(graph, tol=1e-15, max_iter=1000)

    ours = fm.Graph.from_networkx(graph)
    result = fm.pagerank(ours, tol=1e-9)
    scores = dict(result.top(ours.num_nodes))

    largest = max(abs(scores[node] - expected[node]) for node in graph)
    print(f"{ours.num_nodes:,} nodes, {ours.num_edges:,} links")
    print(f"largest difference of a score: {largest:.1e}")
    print(f"proved bound on the L1 error:  {result.error_bound:.1e}")


if __name__ == "__main__":
    main()
