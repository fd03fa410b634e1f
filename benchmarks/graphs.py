"""The graphs that benchmarks run on, as plain arrays of links.

``load(name)`` gives the links of a graph, once per process; `Unavailable` says why a graph is not
here. Real web graphs are looked for in ``../shared/data`` from the project's root, or in the folder
that ``FASTMML_DATA`` names. Every graph carries a float64 reference ranking for measuring errors.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

import fastmml as fm

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("FASTMML_DATA") or ROOT.parent / "shared" / "data")
DAMPING = 0.85

#: Error bound of the reference, far below the 1e-9 that is measured with it.
REFERENCE_BOUND = 1e-13
#: Rounding may keep the bound from falling that far; 0.85**300 is 7e-22.
MAX_PASSES = 300


class Unavailable(Exception):
    """A graph, a peer or a pair of them is left out; the message says why."""


@dataclass(frozen=True, eq=False)
class Links:
    """A directed graph: link k goes from node ``src[k]`` to node ``dst[k]``; links may repeat."""

    name: str
    num_nodes: int
    src: NDArray[np.uint32]
    dst: NDArray[np.uint32]

    @property
    def num_links(self) -> int:
        """Number of links, each repetition counted."""
        return len(self.src)

    @cached_property
    def reference(self) -> NDArray[np.float64]:
        """PageRank by plain power iteration in float64, independent of fastmml."""
        return power_iteration(self.matrix(transposed=True), REFERENCE_BOUND)

    def matrix(self, transposed: bool = False) -> Any:
        """Scipy's CSR matrix of the links, row = source (row = target when transposed)."""
        pair = (self.dst, self.src) if transposed else (self.src, self.dst)
        coordinates = tuple(ids.astype(np.int32) for ids in pair)
        shape = (self.num_nodes, self.num_nodes)
        return sp.csr_array((np.ones(self.num_links), coordinates), shape=shape)


def power_iteration(links_in: Any, tol: float) -> NDArray[np.float64]:
    """PageRank from the matrix of links into each node, to a proved L1 error of ``tol``.

    One pass contracts the error by the damping, so that the error after a pass is at most
    ``damping / (1 - damping)`` times the change that it made.
    """
    n = links_in.shape[0]
    strength = links_in.sum(axis=0)
    dangling = np.flatnonzero(strength == 0)
    strength[dangling] = np.inf
    x = np.full(n, 1 / n)
    for _ in range(MAX_PASSES):
        y = links_in @ (x / strength)
        y *= DAMPING
        y += (DAMPING * x[dangling].sum() + 1 - DAMPING) / n
        change = np.abs(y - x).sum()
        x = y
        if DAMPING / (1 - DAMPING) * change <= tol:
            break
    return x


def l1_error(links: Links, scores: NDArray[np.float64]) -> float:
    """Distance of a ranking, scaled to sum 1, from the reference."""
    return float(np.abs(scores / scores.sum() - links.reference).sum())


def _links(name: str, graph: fm.Graph) -> Links:
    dst = np.repeat(np.arange(graph.num_nodes, dtype=np.uint32), np.diff(graph.indptr))
    return Links(name, graph.num_nodes, np.asarray(graph.indices), dst)


def _debian12(name: str) -> Links:
    path = ROOT / "examples" / "debian12.tsv.zst"
    if not path.exists():
        raise Unavailable(f"{name}: {path.relative_to(ROOT)} does not exist")
    return _links(name, fm.read_graph(path))


def _saved_csr(name: str) -> Links:
    path = DATA / name / f"{name}.npz"
    if not path.exists():
        raise Unavailable(f"{name}: no {name}/{name}.npz in the data folder (FASTMML_DATA)")
    with np.load(path) as arrays:
        indptr, indices = arrays["indptr"], arrays["indices"]
    n = len(indptr) - 1
    src = np.repeat(np.arange(n, dtype=np.uint32), np.diff(indptr))
    return Links(name, n, src, indices.astype(np.uint32))


def _rmat(name: str, scale: int) -> Links:
    return _links(name, fm.rmat(scale))


#: Smallest first.
GRAPHS: dict[str, Callable[[str], Links]] = {
    "debian12": _debian12,
    "cnr-2000": _saved_csr,
    "debdocs": _saved_csr,
    "rmat-18": partial(_rmat, scale=18),
    "rmat-20": partial(_rmat, scale=20),
    "rmat-22": partial(_rmat, scale=22),
}
#: Without those that take minutes, which are left out unless they are named.
USUAL_GRAPHS = tuple(name for name in GRAPHS if name != "rmat-22")


@cache
def load(name: str) -> Links:
    """The links of a graph in `GRAPHS`; raises `Unavailable` with the reason."""
    return GRAPHS[name](name)


def write_edge_list(links: Links, path: Path) -> None:
    """Write ``source<TAB>target`` lines in random order, the harder case for a reader that sorts.

    R-MAT generators give their links in that order; published lists are often sorted by source.
    """
    order = np.random.default_rng(0).permutation(links.num_links)
    chunk = 1 << 20
    with path.open("w", encoding="ascii") as file:
        for start in range(0, links.num_links, chunk):
            rows = order[start : start + chunk]
            pairs = zip(links.src[rows].tolist(), links.dst[rows].tolist(), strict=True)
            file.write("".join(f"{src}\t{dst}\n" for src, dst in pairs))
