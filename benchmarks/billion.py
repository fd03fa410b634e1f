"""A billion links on one machine: build an R-MAT graph, save it, map it from the file, rank it.

``python -m benchmarks.billion FOLDER`` (5 GB of disk, 9 GB of memory at scale 26). Each stage is a
process of its own, whose peak of resident memory counts the pages of the mapped file, too.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from pathlib import Path

import fastmml as fm
from benchmarks import machine


def build(path: Path, scale: int, max_memory: int | None) -> None:
    """Draw the graph and save it."""
    start = time.perf_counter()
    graph = fm.rmat(scale, max_memory=max_memory)
    drawn = time.perf_counter()
    graph.save(path)
    saved = time.perf_counter()
    print(f"{graph.num_nodes:,} nodes, {graph.num_edges:,} links")
    print(f"drawn and sorted into rows in {drawn - start:.0f} s, saved in {saved - drawn:.0f} s")
    _print_memory(graph.num_edges)


def rank(path: Path, tol: float) -> None:
    """Rank the graph in the file."""
    start = time.perf_counter()
    graph = fm.read_graph(path)
    read = time.perf_counter()
    result = fm.pagerank(graph, tol=tol, method="power")
    done = time.perf_counter()
    print(f"checked and mapped in {read - start:.0f} s, ranked in {done - read:.0f} s")
    print(f"error at most {result.error_bound:.2g}, proved, after {result.iterations} passes")
    _print_memory(graph.num_edges)


def _print_memory(links: int) -> None:
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    print(f"peak of resident memory {peak / 1e9:.2f} GB, {peak / links:.2f} bytes a link")


def main() -> None:
    """Run the stages, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the graph is kept")
    parser.add_argument("--scale", type=int, default=26, help="2**scale nodes, 16 links for each")
    parser.add_argument("--tol", type=float, default=1e-8, help="1-norm of the error")
    parser.add_argument("--max-memory", type=int, help="bytes that links may take to be sorted")
    parser.add_argument("--stage", choices=["build", "rank"], help="only this, in this process")
    args = parser.parse_args()
    path = args.folder / f"rmat-{args.scale}.fastmml"
    if args.stage == "build":
        build(path, args.scale, args.max_memory)
    elif args.stage == "rank":
        rank(path, args.tol)
    else:
        print(machine.describe())
        for stage in ("build", "rank"):
            command = [sys.executable, "-m", "benchmarks.billion", *sys.argv[1:], "--stage", stage]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
