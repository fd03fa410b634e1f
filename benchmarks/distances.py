"""Distances and nearest neighbours in fastmml, scikit-learn and faiss, each to its own new arrays.

``python -m benchmarks.distances`` prints the tables: medians of interleaved runs. MNIST's digits
are looked for in ``../shared/data``, or in ``FASTMML_DATA``; else random rows stand alone.
"""

from __future__ import annotations

import argparse
import importlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

import fastmml as fm
from benchmarks.graphs import ROOT
from benchmarks.machine import describe, thread_counts
from benchmarks.panels import OURS, Panel, Row
from benchmarks.timing import Run, interleave, seconds_of

Matrix = NDArray[np.float32]
Calls = dict[str, Callable[[], object]]

NEIGHBORS = 10
SHAPE = (10_000, 784)
ROUNDS = 5


def data_sets() -> dict[str, Matrix]:
    """Random rows, and digits where they are."""
    found = {"normal": np.random.default_rng(0).standard_normal(SHAPE, np.float32)}
    folder = Path(os.environ.get("FASTMML_DATA") or ROOT.parent / "shared" / "data")
    file = folder / "mnist-t10k" / "mnist_t10k.npz"
    if file.exists():
        found["MNIST"] = (np.load(file)["images"] / 255).astype(np.float32)
    return found


def peer(name: str) -> Any:
    """A module, or None where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def distance_calls(x: Matrix) -> Calls:
    """All distances between rows of one matrix."""
    calls: Calls = {OURS: lambda: fm.pairwise_distances(x)}
    if metrics := peer("sklearn.metrics"):
        calls["scikit-learn"] = lambda: metrics.euclidean_distances(x)
    return calls


def neighbor_calls(x: Matrix) -> Calls:
    """The nearest rows of the same matrix, each row among its own; indices are built before."""
    calls: Calls = {OURS: lambda: fm.kneighbors(x, x, NEIGHBORS)}
    if neighbors := peer("sklearn.neighbors"):
        model = neighbors.NearestNeighbors(n_neighbors=NEIGHBORS, algorithm="brute").fit(x)
        calls["scikit-learn"] = lambda: model.kneighbors(x)
    if faiss := peer("faiss"):
        index = faiss.IndexFlatL2(x.shape[1])
        index.add(x)
        calls["faiss"] = lambda: index.search(x, NEIGHBORS)
    return calls


def set_threads(threads: int) -> None:
    """Let every library use so many threads."""
    threadpool_limits(threads)
    fm.set_num_threads(threads)
    if faiss := peer("faiss"):
        faiss.omp_set_num_threads(threads)


def compare(title: str, calls: Calls, threads: int, rounds: int) -> Panel:
    """Let all compute in turns."""
    set_threads(threads)

    def run(call: Callable[[], object]) -> Run:
        return lambda: seconds_of(call)

    runs = {name: run(call) for name, call in calls.items()}
    ours, seconds = interleave(runs.pop(OURS), runs, rounds)
    rows = tuple(Row(name, time) for name, time in ({OURS: ours} | seconds).items())
    return Panel(f"{title}, float32, {threads} thread{'s' * (threads > 1)}", (), rows)


def main() -> None:
    """Print a table for each data set, task and number of threads."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    rounds = parser.parse_args().rounds
    print(describe())
    for name, x in data_sets().items():
        size = f"{x.shape[0]:,} x {x.shape[1]} ({name})"
        for threads in thread_counts():
            title = f"Distances of {size}"
            print(compare(title, distance_calls(x), threads, rounds).text(), flush=True)
            title = f"{NEIGHBORS} nearest neighbours of {size}"
            print(compare(title, neighbor_calls(x), threads, rounds).text(), flush=True)


if __name__ == "__main__":
    main()
