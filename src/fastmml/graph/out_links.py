"""Rows of out-links, for what follows links onwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastmml._backend import get_num_threads
from fastmml._kernels import F64, I64, U32
from fastmml.graph.build import build_rows, chunks_from_arrays

if TYPE_CHECKING:
    from fastmml.graph.graph import Graph


class OutLinks(NamedTuple):
    """Compressed rows of out-links: row i lists the targets of the links out of node i."""

    indptr: I64
    indices: U32
    weights: F64 | None
    strength: F64 | None  #: sums of the rows, where there are weights

    @property
    def nbytes(self) -> int:
        """Bytes that the arrays take."""
        return sum(array.nbytes for array in self if array is not None)

    def is_dangling(self, nodes: U32) -> NDArray[np.bool_]:
        """Whether these nodes have no links out, or none with weight."""
        if self.strength is None:
            return np.equal(self.indptr[1:][nodes], self.indptr[nodes])
        return np.equal(self.strength[nodes], 0)


def collect_out_links(g: Graph) -> OutLinks:
    """Sort the links of a graph by their source, in O(links)."""
    targets = np.repeat(np.arange(g.num_nodes, dtype=np.uint32), np.diff(g.indptr))
    chunks = chunks_from_arrays(targets, g.indices, g.weights)
    rows = build_rows(g.num_nodes, chunks, get_num_threads())
    return OutLinks(*rows, None if g.weights is None else g.out_strength())
