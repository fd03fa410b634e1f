"""Linear regression beside scikit-learn and scikit-learn-intelex; least squares beside NumPy.

``python -m benchmarks.regressions`` prints the tables: medians of interleaved runs, and how far the
coefficients are from ours.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

import fastmml as fm
from benchmarks.machine import describe, thread_counts
from benchmarks.panels import OURS, Panel, Row
from benchmarks.timing import Run, interleave, seconds_of

Matrix = NDArray[np.float64]
Fit = Callable[[], Any]

ROUNDS = 3


def regressions(x: Matrix, y: Matrix, threads: int) -> dict[str, Fit]:
    """Fits of a model with an intercept, ours first; they return the coefficients."""
    fits: dict[str, Fit] = {OURS: lambda: fm.LinearRegression().fit(x, y).coef_}
    try:
        model = importlib.import_module("sklearn.linear_model").LinearRegression
        fits["scikit-learn"] = lambda: model().fit(x, y).coef_
        importlib.import_module("daal4py").daalinit(threads)
        faster = importlib.import_module("sklearnex.linear_model").LinearRegression
        fits["scikit-learn-intelex"] = lambda: faster().fit(x, y).coef_
    except ImportError:
        pass
    return fits


def solvers(x: Matrix, y: Matrix, threads: int) -> dict[str, Fit]:
    """Solutions of the least squares problem without intercept, ours first."""
    del threads
    fits: dict[str, Fit] = {
        OURS: lambda: fm.lstsq(x, y).x,
        "numpy": lambda: np.linalg.lstsq(x, y)[0],
    }
    try:
        model = importlib.import_module("sklearn.linear_model").LinearRegression
        fits["scikit-learn"] = lambda: model(fit_intercept=False).fit(x, y).coef_
    except ImportError:
        pass
    return fits


CASES = (
    ("LinearRegression", regressions, (10_000_000, 10)),
    ("LinearRegression", regressions, (1_000_000, 100)),
    ("lstsq", solvers, (1_000_000, 100)),
)


def compare(
    name: str, make: Callable[..., dict[str, Fit]], shape: tuple[int, int], threads: int
) -> Panel:
    """Fit the same random data in turns."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape)
    y = x @ rng.standard_normal(shape[1]) + rng.standard_normal(shape[0])
    threadpool_limits(threads)
    fm.set_num_threads(threads)
    fits, found = make(x, y, threads), {}

    def run(peer: str, fit: Fit) -> Run:
        def keep() -> None:
            found[peer] = fit()

        return lambda: seconds_of(keep)

    runs = {peer: run(peer, fit) for peer, fit in fits.items()}
    ours, seconds = interleave(runs.pop(OURS), runs, ROUNDS)
    rows = tuple(
        Row(peer, time, (f"{np.abs(found[peer] - found[OURS]).max():.0e}",))
        for peer, time in ({OURS: ours} | seconds).items()
    )
    title = f"{name} of {shape[0]:,} x {shape[1]}, {threads} thread{'s' * (threads > 1)}"
    return Panel(title, ("difference",), rows)


def main() -> None:
    """Print a table for each problem and number of threads."""
    print(describe())
    for case in CASES:
        for threads in thread_counts():
            print(compare(*case, threads).text(), flush=True)


if __name__ == "__main__":
    main()
