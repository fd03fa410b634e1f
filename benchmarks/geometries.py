"""Lengths, distances and angles of `InnerProduct` beside plain NumPy, and Mahalanobis' distances.

``python -m benchmarks.geometries`` prints the tables: medians of interleaved runs, float64.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fastmml as fm
from benchmarks.distances import Calls, peer, set_threads
from benchmarks.machine import describe, thread_counts
from benchmarks.panels import OURS, Panel, Row
from benchmarks.timing import Run, interleave, seconds_of

Array = NDArray[np.float64]

SHAPES = ((1_000_000, 3), (100_000, 30), (10_000, 300))
#: Rows, queries, columns, and neighbours of each query.
ROWS, QUERIES, COLUMNS, NEIGHBORS = 5_000, 500, 30, 5
ROUNDS = 7
NUMPY = "NumPy"


def arccosine(x: Array, y: Array) -> Any:
    """Angles as they are usually computed, with half of the digits near 0 and pi."""
    cosines = np.vecdot(x, y) / np.linalg.norm(x, axis=-1) / np.linalg.norm(y, axis=-1)
    return np.arccos(np.clip(cosines, -1, 1))


def standard(x: Array, y: Array) -> dict[str, Calls]:
    """Under the standard inner product."""
    product = fm.InnerProduct()
    return {
        "norm": {OURS: lambda: product.norm(x), NUMPY: lambda: np.linalg.norm(x, axis=-1)},
        "distance": {
            OURS: lambda: product.distance(x, y),
            NUMPY: lambda: np.linalg.norm(x - y, axis=-1),
        },
        "angle": {OURS: lambda: product.angle(x, y), NUMPY: lambda: arccosine(x, y)},
    }


def others(x: Array, y: Array) -> dict[str, Calls]:
    """Under a matrix, whose Cholesky factor NumPy is given."""
    matrix = np.eye(x.shape[1]) + 0.1
    product, factor = fm.InnerProduct(matrix), np.linalg.cholesky(matrix)
    return {
        "norm, matrix": {
            OURS: lambda: product.norm(x),
            NUMPY: lambda: np.linalg.norm(x @ factor, axis=-1),
        },
        "angle, matrix": {
            OURS: lambda: product.angle(x, y),
            NUMPY: lambda: arccosine(x @ factor, y @ factor),
        },
    }


def mahalanobis() -> dict[str, Calls]:
    """All distances, and nearest neighbours, under the inverse of a covariance."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(ROWS, COLUMNS)), rng.normal(size=(QUERIES, COLUMNS))
    matrix = np.linalg.inv(np.cov(rng.normal(size=(200, COLUMNS)), rowvar=False))
    name = "mahalanobis"
    calls: dict[str, Calls] = {
        "distances": {OURS: lambda: fm.pairwise_distances(x, y, name, VI=matrix)},
        "neighbours": {OURS: lambda: fm.kneighbors(x, y, NEIGHBORS, name, VI=matrix)},
    }
    if scipy := peer("scipy.spatial.distance"):
        calls["distances"]["SciPy (1 thread)"] = lambda: scipy.cdist(x, y, name, VI=matrix)
    if neighbors := peer("sklearn.neighbors"):
        model = neighbors.NearestNeighbors(
            n_neighbors=NEIGHBORS, algorithm="brute", metric=name, metric_params={"VI": matrix}
        ).fit(x)
        calls["neighbours"]["scikit-learn"] = lambda: model.kneighbors(y)
    return calls


def compare(title: str, calls: Calls, rounds: int) -> Panel:
    """Let all compute in turns."""

    def run(call: Callable[[], object]) -> Run:
        return lambda: seconds_of(call)

    runs = {name: run(call) for name, call in calls.items()}
    ours, seconds = interleave(runs.pop(OURS), runs, rounds)
    rows = tuple(Row(name, time) for name, time in ({OURS: ours} | seconds).items())
    return Panel(title, (), rows)


def main() -> None:
    """Print a table for each task, size and number of threads."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    rounds = parser.parse_args().rounds
    print(describe())
    for threads in thread_counts():
        set_threads(threads)
        label = f"{threads} thread{'s' * (threads > 1)}"
        for m, n in SHAPES:
            x, y = np.random.default_rng(0).normal(size=(2, m, n))
            for name, calls in (standard(x, y) | others(x, y)).items():
                print(compare(f"{name}, {m:,} x {n}, {label}", calls, rounds).text(), flush=True)
        for name, calls in mahalanobis().items():
            title = f"Mahalanobis {name}, {ROWS:,} x {QUERIES} x {COLUMNS}, {label}"
            print(compare(title, calls, rounds).text(), flush=True)


if __name__ == "__main__":
    main()
