"""QR factorisations in fastmml, NumPy, SciPy and PyTorch, each to its own new arrays, and ours
with ``out=``, to arrays that are there.

``python -m benchmarks.factorisations`` prints the tables: medians of interleaved runs.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable

import numpy as np
import scipy.linalg
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

import fastmml as fm
from benchmarks.machine import describe, thread_counts
from benchmarks.panels import OURS, Panel, Row
from benchmarks.timing import Run, interleave, seconds_of

Matrix = NDArray[np.float64]

#: The last ones are stacks.
SHAPES = (
    *((1_000_000, 8), (1_000_000, 32), (100_000, 128), (10_000, 512), (2000, 2000)),
    *((100_000, 3, 3), (100_000, 8, 8), (100_000, 16, 4)),
)
ROUNDS = 5


def factorisers(a: Matrix) -> dict[str, Callable[[], object]]:
    """The contestants that are installed, ours first."""
    out = tuple(np.zeros_like(part) for part in fm.qr(a))
    calls: dict[str, Callable[[], object]] = {
        OURS: lambda: fm.qr(a),
        f"{OURS}, out=": lambda: fm.qr(a, out=out),
        "numpy": lambda: np.linalg.qr(a),
    }
    if a.ndim == 2:
        calls["scipy"] = lambda: scipy.linalg.qr(a, mode="economic")
    try:
        torch = importlib.import_module("torch")
    except ImportError:
        return calls
    tensor = torch.from_numpy(a)
    return calls | {"torch": lambda: torch.linalg.qr(tensor)}


def set_threads(threads: int) -> None:
    """Let every library use so many threads."""
    threadpool_limits(threads)
    fm.set_num_threads(threads)
    try:
        importlib.import_module("torch").set_num_threads(threads)
    except ImportError:
        return


def compare(shape: tuple[int, ...], threads: int) -> Panel:
    """Factorise a random matrix in turns."""
    a = np.random.default_rng(0).standard_normal(shape)
    set_threads(threads)

    def run(call: Callable[[], object]) -> Run:
        return lambda: seconds_of(call)

    runs = {name: run(call) for name, call in factorisers(a).items()}
    ours, seconds = interleave(runs.pop(OURS), runs, ROUNDS)
    rows = tuple(Row(name, time) for name, time in ({OURS: ours} | seconds).items())
    plural = "s" * (threads > 1)
    sizes = " x ".join(f"{size:,}" for size in shape)
    return Panel(f"QR of {sizes}, float64, {threads} thread{plural}", (), rows)


def main() -> None:
    """Print a table for each shape and number of threads."""
    print(describe())
    for shape in SHAPES:
        for threads in thread_counts():
            print(compare(shape, threads).text(), flush=True)


if __name__ == "__main__":
    main()
