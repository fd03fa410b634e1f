"""Rank the packages of Debian 12 by PageRank and print the top 20.

    python examples/rank_debian.py

Needs ``backports.zstd`` (in ``pip install "fastmml[cli]"``) to read the compressed graph.
"""

from pathlib import Path

import fastmml as fm


def main() -> None:
    """Read the graph that ships beside this script, rank it, print the result."""
    graph = fm.read_graph(Path(__file__).with_name("debian12.tsv.zst"))
    result = fm.pagerank(graph, tol=1e-10)

    print(f"{graph.num_nodes:,} nodes, {graph.num_edges:,} links")
    for place, (name, score) in enumerate(result.top(20), start=1):
        print(f"{place:3}  {score:.8f}  {name}")
    print(f"{result.iterations} iterations; L1 error of all scores <= {result.error_bound:.1e}")


if __name__ == "__main__":
    main()
