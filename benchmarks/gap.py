"""PageRank beside ``pr`` of the GAP benchmark suite, C++ with OpenMP, at equal true L1 error.

Compile ``pr`` (https://github.com/sbeamer/gapbs) with ``-O3 -march=native -fopenmp``, then::

    python -m benchmarks.gap PATH/TO/pr --graphs rmat-18 rmat-20

``pr`` sweeps in place until the change is small and drops what dangling nodes hold: its fixed point
is PageRank (dangling mass spread evenly) but for a factor, so that its scores are scaled to sum 1.
It prints no scores. `sweeps_needed` repeats its arithmetic and counts the sweeps to an error of
`TARGET` or, in its single precision, to the lowest error that there is; ``pr`` is then timed for as
many sweeps and fastmml for that error. Give ``--type double`` if ``pr`` was compiled with
``typedef double ScoreT``. Reading, and for ``pr`` making rows of in- and out-links, is not timed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numba import njit

import fastmml as fm
from benchmarks.graphs import DAMPING, GRAPHS, Links, l1_error, load
from benchmarks.machine import describe, thread_counts
from benchmarks.panels import OURS, Panel, Row
from benchmarks.peers import TARGET, Fastmml
from benchmarks.timing import Run, interleave, seconds_of

TYPES = {"float": np.float32, "double": np.float64}
MOST_SWEEPS = 150
#: Single precision is done when the error is within this factor of the lowest one.
NEARLY = 2.0
TRIALS = 3


class Goal(NamedTuple):
    """What both are to do."""

    sweeps: int  #: of ``pr``
    error: float  #: true L1 error of its scores, scaled to sum 1


@njit
def _sweep(
    indptr: Any, indices: Any, out_degree: Any, base: Any, damping: Any, scores: Any, shares: Any
) -> None:
    for i in range(len(scores)):
        total = scores.dtype.type(0)
        for link in range(indptr[i], indptr[i + 1]):
            total += shares[indices[link]]
        scores[i] = base + damping * total
        shares[i] = scores[i] / out_degree[i]


def sweeps_needed(links: Links, graph: fm.Graph, dtype: type[np.floating[Any]]) -> Goal:
    """Count the sweeps of ``pr`` on one thread; on several it sees a few older values."""
    n = links.num_nodes
    out_degree = np.bincount(links.src, minlength=n).astype(dtype)
    out_degree[out_degree == 0] = np.inf
    scores = np.full(n, 1 / n, dtype)
    shares = scores / out_degree
    base, damping = dtype((1 - DAMPING) / n), dtype(DAMPING)
    errors: list[float] = []
    while len(errors) < MOST_SWEEPS and min(errors, default=np.inf) > TARGET:
        _sweep(graph.indptr, graph.indices, out_degree, base, damping, scores, shares)
        errors.append(l1_error(links, scores.astype(np.float64)))
    enough = TARGET if errors[-1] <= TARGET else NEARLY * min(errors)
    sweeps = next(i for i, error in enumerate(errors) if error <= enough)
    return Goal(sweeps + 1, errors[sweeps])


def compare(name: str, program: Path, type_name: str, rounds: int, folder: Path) -> list[Panel]:
    """Time both on a graph, for each number of threads."""
    links, ours = load(name), Fastmml()
    graph = ours.prepare(links)
    goal = sweeps_needed(links, graph, TYPES[type_name])
    path = folder / f"{name}.sg"
    fm.write_graph(graph, path)
    prepared = ours.fresh(graph)
    prepared.prepare()
    label = f"GAP pr, {type_name}"

    def panel(threads: int) -> Panel:
        def first_call() -> float:
            ours.set_threads(threads)
            fresh = ours.fresh(graph)
            return seconds_of(lambda: ours.rank(fresh, goal.error))

        def later_call() -> float:
            ours.set_threads(threads)
            return seconds_of(lambda: ours.rank(prepared, goal.error))

        later, theirs = f"{OURS}, prepared", time_program(program, path, goal.sweeps, threads)
        our_seconds, seconds = interleave(first_call, {later: later_call, label: theirs}, rounds)
        result = ours.rank(prepared, goal.error)
        error = f"{l1_error(links, result.scores):.1e}"
        passes = f"{result.iterations}"
        rows = (
            Row(OURS, our_seconds, (passes, error)),
            Row(later, seconds[later], (passes, error)),
            Row(label, seconds[label], (f"{goal.sweeps}", f"{goal.error:.1e}")),
        )
        plural = "s" * (threads > 1)
        return Panel(f"PageRank {name}, {threads} thread{plural}", ("passes", "L1 error"), rows)

    return [panel(threads) for threads in thread_counts()]


def time_program(program: Path, path: Path, sweeps: int, threads: int) -> Run:
    """Make a run of ``pr``: the median of what it says that some trials took."""
    command = [str(program), "-f", str(path), "-i", str(sweeps), "-t", "0", "-n", str(TRIALS)]

    def run() -> float:
        environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        lines = [line.split() for line in done.stdout.splitlines()]
        return statistics.median(float(line[-1]) for line in lines if line[:1] == ["Trial"])

    return run


def main() -> None:
    """Print a table for each graph and number of threads."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gap")
    parser.add_argument("program", type=Path, help="the compiled pr")
    parser.add_argument("--type", choices=TYPES, default="float", help="its ScoreT")
    parser.add_argument("--graphs", nargs="+", choices=GRAPHS, default=["rmat-18", "rmat-20"])
    parser.add_argument("--rounds", type=int, default=5, help="runs of each (default: 5)")
    settings = parser.parse_args()
    print(describe())
    with tempfile.TemporaryDirectory() as folder:
        for name in settings.graphs:
            for panel in compare(
                name, settings.program.resolve(), settings.type, settings.rounds, Path(folder)
            ):
                print(panel.text(), flush=True)


if __name__ == "__main__":
    main()
