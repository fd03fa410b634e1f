"""Random graphs that look like the web: R-MAT."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fastmml import _check, _memory
from fastmml._backend import get_num_threads, kernels
from fastmml.graph import spill
from fastmml.graph.build import EdgeChunk, build_rows
from fastmml.graph.graph import Graph

_CHUNK_EDGES = 1 << 22
_MAX_SCALE = 32
_EDGE_BYTES = 8


def rmat(
    scale: int, edge_factor: int = 16, seed: int = 0, *, max_memory: int | None = None
) -> Graph:
    """Make an R-MAT graph with the parameters of Graph500 and GAP.

    Parameters
    ----------
    scale : int
        The graph has ``2**scale`` nodes; 0 to 32.
    edge_factor : int
        It has ``edge_factor * 2**scale`` links, parallel ones and self-loops among them.
    seed : int
        From 0 to ``2**64 - 1``. The same seed gives the same graph on every machine, backend and
        number of threads.
    max_memory : int, optional
        Bytes that links may take in memory, as in `read_graph`; by default half of what is free.

    Raises
    ------
    TypeError, ValueError
        An argument is not an integer in its range.

    Notes
    -----
    Each link falls into a quadrant of the adjacency matrix with probabilities 0.57, 0.19, 0.19 and
    0.05, again and again until one entry is left [1]_; ids are scrambled. O(scale) a link.

    References
    ----------
    .. [1] D. Chakrabarti, Y. Zhan, C. Faloutsos, "R-MAT: a recursive model for graph mining",
       SIAM International Conference on Data Mining, 2004.

    Examples
    --------
    >>> import fastmml as fm
    >>> fm.rmat(10, edge_factor=8, seed=1)
    Graph(num_nodes=1024, num_edges=8192)
    """
    scale = _check.int_up_to("scale", scale, _MAX_SCALE)
    factor = _check.positive_int("edge_factor", edge_factor)
    if not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**64:
        raise ValueError(f"seed: expected an int from 0 to 2**64 - 1, got {seed!r}")
    edges, most = factor << scale, spill.budget(max_memory)
    chunks = _chunks(scale, edges, int(seed))
    if edges * _EDGE_BYTES > most:
        return Graph.from_rows(spill.build_rows(1 << scale, chunks, edges, most))
    return Graph.from_rows(build_rows(1 << scale, list(chunks), get_num_threads()))


def _chunks(scale: int, edges: int, seed: int) -> Iterator[EdgeChunk]:
    for first in range(0, edges, _CHUNK_EDGES):
        count = min(_CHUNK_EDGES, edges - first)
        chunk = EdgeChunk(_memory.empty(count, np.uint32), _memory.empty(count, np.uint32))
        kernels().rmat_edges(scale, seed, first, chunk.src, chunk.dst, get_num_threads())
        yield chunk
