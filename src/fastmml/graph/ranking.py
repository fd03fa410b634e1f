"""What every ranking of nodes can be asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fastmml import _check
from fastmml._kernels import F64
from fastmml.graph.graph import Graph

if TYPE_CHECKING:

    class _Ranking(Protocol):
        @property
        def scores(self) -> F64: ...

        @property
        def _graph(self) -> Graph: ...


class HasTop:
    """The best nodes of a result with ``scores`` and a graph."""

    def top(self: _Ranking, k: int = 10, column: int = 0) -> list[tuple[Any, float]]:
        """Return the k best nodes as (label, score), best first; equal scores by node id."""
        scores = self.scores if self.scores.ndim == 1 else self.scores[:, column]
        best = largest(scores, min(_check.positive_int("k", k), len(scores)))
        return list(zip(self._graph._labels.at(best), scores[best].tolist(), strict=True))


def largest(values: F64, k: int) -> NDArray[np.int64]:
    """Indices of the k largest values, falling; equal ones by index."""
    if k == 0:
        return np.empty(0, np.int64)
    threshold = np.partition(values, -k)[-k]
    candidates = np.flatnonzero(values >= threshold)
    return candidates[np.argsort(-values[candidates], kind="stable")[:k]]
