"""Draws how far from orthonormal the columns are that different methods make (needs matplotlib).

    python examples/orthogonality.py docs/orthogonality.svg

Matrices of 200 x 20 with singular values from 1 down to 1 / condition; each point is the median of
five. The classical Gram-Schmidt process loses orthogonality as the square of the condition number
grows, the modified one as the condition number itself does; ours does not.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

import fastmml as fm

ROWS, COLUMNS, DRAWS = 200, 20, 5
CONDITIONS = 10.0 ** np.arange(0, 17)
METHODS = {
    "classical Gram-Schmidt": ("cgs", "#64748b", "o"),
    "modified Gram-Schmidt": ("mgs", "#0e7490", "s"),
    "fm.gram_schmidt, fm.qr": ("auto", "#c2410c", "D"),
}


def matrix(condition: float, seed: int) -> NDArray[np.float64]:
    """Random singular vectors, singular values that fall evenly."""
    rng = np.random.default_rng(seed)
    left = np.linalg.qr(rng.normal(size=(ROWS, COLUMNS))).Q
    right = np.linalg.qr(rng.normal(size=(COLUMNS, COLUMNS))).Q
    values = np.geomspace(1, 1 / condition, COLUMNS)
    return np.asarray((left * values) @ right)


def loss(method: str, condition: float) -> float:
    """The median of ``|Q.T Q - I|``."""
    bases = (
        fm.qr(a).Q if method == "auto" else fm.gram_schmidt(a, method=method)
        for a in (matrix(condition, seed) for seed in range(DRAWS))
    )
    return float(np.median([fm.orthogonality(q) for q in bases]))


def draw(path: Path) -> None:
    """Draw all methods and the bounds from theory."""
    eps = np.finfo(float).eps
    figure = Figure(figsize=(7, 4.6), layout="constrained")
    axis = figure.subplots()
    for name, (method, colour, marker) in METHODS.items():
        losses = [loss(method, condition) for condition in CONDITIONS]
        axis.plot(CONDITIONS, losses, color=colour, marker=marker, markersize=4, label=name)
    grey = {"color": "#94a3b8", "linewidth": 1}
    axis.plot(CONDITIONS, eps * CONDITIONS**2, ":", label="condition² u", **grey)
    axis.plot(CONDITIONS, eps * CONDITIONS, "--", label="condition u", **grey)
    axis.axhline(10 * COLUMNS * eps, linestyle="-.", label="10 n u: our limit", **grey)
    axis.set(xscale="log", yscale="log", xlim=(1, 1e16), ylim=(1e-16, 1e2))
    axis.set(xlabel="condition number of the matrix", ylabel="|QᵀQ - I|, 2-norm")
    axis.grid(color="#e2e8f0", linewidth=0.7)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, fontsize=8, loc="upper left")
    matplotlib.rcParams["svg.hashsalt"] = "fastmml"  # the same bytes each time
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
