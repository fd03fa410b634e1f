"""Covariance, PCA and projections in fastmml, NumPy and scikit-learn, and errors of the results.

``python -m benchmarks.covariances`` prints the tables: medians of interleaved runs.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

import fastmml as fm
from benchmarks.factorisations import set_threads
from benchmarks.machine import describe, thread_counts
from benchmarks.panels import OURS, Panel, Row
from benchmarks.timing import Run, interleave, seconds_of

Matrix = NDArray[np.float32]
Array = NDArray[Any]

#: Rows, columns, and components of the PCA.
SHAPES = ((60_000, 784, 50), (1_000_000, 100, 10))
#: The mean, in standard deviations: what costs float32 its digits.
OFFSET = 1000
#: A peer with a larger error is shown, but is not the best peer.
ALLOWED = 1e-3
#: Rows and columns of data with many features, and of sparse data; their density.
WIDE, SPARSE, DENSITY = (2000, 10_000), (100_000, 20_000), 1e-3
COMPONENTS = 50
#: Variances with larger relative errors are not those of an exact solver.
SAME = 1e-5
#: What a covariance cannot be faster than.
LIMIT = "fastmml.gram (limit)"
#: The product alone, which centres nothing.
PRODUCT = "fastmml.matmul (product alone)"
ROUNDS = 3
#: scikit-learn's solvers of these; its covariance of so many features would take minutes.
WIDE_SOLVERS, SPARSE_SOLVERS = ("randomized", "arpack", "full"), ("arpack",)


def data(rows: int, columns: int) -> Matrix:
    """Independent columns whose standard deviations fall from 1 to a tenth."""
    x = np.random.default_rng(0).standard_normal((rows, columns), dtype=np.float32)
    x *= np.geomspace(1, 0.1, columns, dtype=np.float32)
    return np.add(x, OFFSET, out=x)


def centred_copy(x: Matrix) -> Matrix:
    """The covariance as one writes it."""
    rest = x - x.mean(axis=0)
    return np.asarray(rest.T @ rest / (len(x) - 1))


def covariances(x: Matrix) -> dict[str, Callable[[], Any]]:
    """The contestants, ours first, and the limit."""
    return {
        OURS: lambda: fm.covariance(x),
        "numpy.cov": lambda: np.cov(x, rowvar=False),
        "numpy, centred copy": lambda: centred_copy(x),
        LIMIT: lambda: fm.gram(x),
    }


def analyses(x: Matrix, k: int) -> dict[str, Callable[[], Any]]:
    """The contestants that are installed, ours first."""
    calls: dict[str, Callable[[], Any]] = {OURS: lambda: fm.PCA(k).fit(x).explained_variance_}
    try:
        sklearn = importlib.import_module("sklearn.decomposition")
    except ImportError:
        return calls
    for solver in ("covariance_eigh", "randomized"):
        model = sklearn.PCA(k, svd_solver=solver, random_state=0)
        calls[f"scikit-learn {solver}"] = lambda model=model: model.fit(x).explained_variance_
    return calls


def factors() -> Matrix:
    """200 factors whose strengths fall from 30 to 0.3, in noise of 1."""
    rng, (rows, columns) = np.random.default_rng(0), WIDE
    strengths = np.geomspace(30, 0.3, 200, dtype=np.float32)
    x = rng.standard_normal((rows, 200), dtype=np.float32) * strengths
    x = x @ rng.standard_normal((200, columns), dtype=np.float32)
    return np.asarray(x + rng.standard_normal((rows, columns), dtype=np.float32))


def sparse_data() -> Any:
    """Numbers from 0 to 1 in random places: there are no gaps in the spectrum."""
    rng, count = np.random.default_rng(0), int(SPARSE[0] * SPARSE[1] * DENSITY)
    places = rng.integers(0, SPARSE[0], count), rng.integers(0, SPARSE[1], count)
    return scipy.sparse.coo_matrix(
        (rng.random(count, dtype=np.float32), places), shape=SPARSE
    ).tocsr()


def wrong(model: Any, expected: Any) -> tuple[str, str]:
    """The largest relative error of a variance, and the largest sine of a component."""
    known, found = expected.components_, model.components_.astype(np.float64)
    variances = np.abs(model.explained_variance_ / expected.explained_variance_ - 1).max()
    inside = np.einsum("ij,ij->i", known, found)[:, np.newaxis] * known
    return f"{variances:.0e}", f"{np.linalg.norm(found - inside, axis=1).max():.0e}"


def compare_solvers(title: str, x: Any, solvers: tuple[str, ...]) -> Panel:
    """Fits of ours and of scikit-learn's solvers in turns, and how wrong each is."""
    sklearn = importlib.import_module("sklearn.decomposition")
    models = {OURS: fm.PCA(COMPONENTS)} | {
        f"scikit-learn {solver}": sklearn.PCA(COMPONENTS, svd_solver=solver, random_state=0)
        for solver in solvers
    }
    runs = {
        name: lambda model=model: seconds_of(lambda: model.fit(x)) for name, model in models.items()
    }
    ours, seconds = interleave(runs.pop(OURS), runs, ROUNDS)
    solver = "auto" if scipy.sparse.issparse(x) else "full"
    expected = fm.PCA(COMPONENTS, svd_solver=solver).fit(x.astype(np.float64))
    rows = []
    for name, time in ({OURS: ours} | seconds).items():
        errors = wrong(models[name], expected)
        rows.append(Row(name, time, errors, float(errors[0]) <= SAME))
    return Panel(title, ("error of variances", "of components"), tuple(rows))


def projections(x: Array, k: int) -> dict[str, tuple[dict[str, Callable[[], Any]], Any]]:
    """By method the contestants, which have the same components, and the exact result."""
    ours = fm.PCA(k).fit(x[:100_000])
    y, basis = ours.transform(x), ours.components_.astype(np.float64)
    exact = (x - ours.mean_) @ basis.T
    rest = ((x - ours.mean_ - exact @ basis) ** 2).sum(axis=1)
    points = y.astype(np.float64) @ basis + ours.mean_
    narrow = ours.components_.astype(x.dtype)
    found: dict[str, tuple[dict[str, Callable[[], Any]], Any]] = {
        "transform": (
            {OURS: lambda: ours.transform(x), PRODUCT: lambda: fm.matmul(x, narrow.T)},
            exact,
        ),
        "inverse_transform": (
            {OURS: lambda: ours.inverse_transform(y), PRODUCT: lambda: fm.matmul(y, narrow)},
            points,
        ),
        "reconstruction_errors": ({OURS: lambda: ours.reconstruction_errors(x)}, rest),
    }
    try:
        theirs = importlib.import_module("sklearn.decomposition").PCA(k).fit(x[:5000])
    except ImportError:
        return found
    theirs.components_, theirs.mean_ = narrow, ours.mean_.astype(x.dtype)
    found["transform"][0]["scikit-learn"] = lambda: theirs.transform(x)
    found["inverse_transform"][0]["scikit-learn"] = lambda: theirs.inverse_transform(y)
    found["reconstruction_errors"][0]["scikit-learn, by hand"] = lambda: np.square(
        x - theirs.inverse_transform(theirs.transform(x))
    ).sum(axis=1)
    return found


def error(found: Any, expected: Any) -> float:
    """The largest error beside the largest number."""
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def compare(title: str, calls: dict[str, Callable[[], Any]], expected: Any) -> Panel:
    """Run the contestants in turns; the errors are those of another call."""

    def run(call: Callable[[], object]) -> Run:
        return lambda: seconds_of(call)

    errors = {
        name: error(call(), expected)
        for name, call in calls.items()
        if name not in (LIMIT, PRODUCT)
    }
    runs = {name: run(call) for name, call in calls.items()}
    ours, seconds = interleave(runs.pop(OURS), runs, ROUNDS)
    rows = []
    for name, time in ({OURS: ours} | seconds).items():
        found = errors.get(name)
        is_right = found is not None and found <= ALLOWED
        rows.append(Row(name, time, ("" if found is None else f"{found:.0e}",), is_right))
    return Panel(title, ("relative error",), tuple(rows))


def print_solvers() -> None:
    """Print a table for each kind of data that iterations are for, and number of threads."""
    cases = {
        f"{WIDE[0]:,} x {WIDE[1]:,}, slowly falling": (data(*WIDE), WIDE_SOLVERS),
        f"{WIDE[0]:,} x {WIDE[1]:,}, 200 factors": (factors(), WIDE_SOLVERS),
        f"sparse {SPARSE[0]:,} x {SPARSE[1]:,}, {DENSITY:.0e}": (sparse_data(), SPARSE_SOLVERS),
    }
    for name, (x, solvers) in cases.items():
        for threads in thread_counts():
            set_threads(threads)
            about = f"PCA of {name}, k = {COMPONENTS}, {threads} thread{'s' * (threads > 1)}"
            print(compare_solvers(about, x, solvers).text(), flush=True)


def main() -> None:
    """Print a table for each shape and number of threads."""
    print(describe())
    print_solvers()
    for rows, columns, k in SHAPES:
        x = data(rows, columns)
        expected = fm.covariance(x.astype(np.float64))
        variances = np.linalg.eigvalsh(expected)[::-1][:k]
        for threads in thread_counts():
            set_threads(threads)
            about = f"{rows:,} x {columns}, float32, {threads} thread{'s' * (threads > 1)}"
            print(compare(f"covariance of {about}", covariances(x), expected).text(), flush=True)
            print(compare(f"PCA of {about}, k = {k}", analyses(x, k), variances).text(), flush=True)
        for dtype in ("float32", "float64"):
            _project(x.astype(dtype, copy=False), k)


def _project(x: Array, k: int) -> None:
    """Print a table for each method and number of threads."""
    about = f"{x.shape[0]:,} x {x.shape[1]}, {x.dtype}, k = {k}"
    for name, (calls, exact) in projections(x, k).items():
        for threads in thread_counts():
            set_threads(threads)
            title = f"{name} of {about}, {threads} thread{'s' * (threads > 1)}"
            print(compare(title, calls, exact).text(), flush=True)


if __name__ == "__main__":
    main()
