"""Distributions over the nodes of a graph, as users give them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from fastmml import _check
from fastmml._kernels import COLUMNS, F64
from fastmml.graph.graph import Graph
from fastmml.graph.solution import column_sums

Distribution: TypeAlias = ArrayLike | Mapping[Any, float] | None


def weights_of(name: str, value: Any, g: Graph, *, columns: bool = True) -> F64:
    """Return weights of the nodes, (n, k), or (1, 1) where all are equal; no column sums to 0."""
    if value is None:
        return np.ones((1, 1))
    weights = np.require(_check.nonnegative(name, _from_labels(value, g)), requirements="A")
    if weights.ndim not in ((1, 2) if columns else (1,)):
        raise ValueError(f"{name}: expected shape (n,) or (n, k), got {weights.shape}")
    if len(weights) != g.num_nodes:
        raise ValueError(f"{name}: expected {g.num_nodes} values, one per node, got {len(weights)}")
    if weights.shape[1:] == (0,):
        raise ValueError(f"{name}: expected at least one column")
    if g.num_nodes > 0 and not weights.any(axis=0).all():
        raise ValueError(f"{name}: expected a positive sum of weights, got 0")
    return weights.reshape(g.num_nodes, -1)


def _from_labels(value: Any, g: Graph) -> Any:
    if not isinstance(value, Mapping):
        return value
    weights = np.zeros(g.num_nodes)
    labels: list[Hashable] = list(value)
    weights[g.ids(labels)] = [value[label] for label in labels]
    return weights


def take(weights: F64, part: slice, n: int) -> F64:
    """Scale columns to sum 1; a single number stands for the n of a uniform distribution.

    One column comes back as (n,), several as (n, COLUMNS), the last one repeated.
    """
    columns = part.stop - part.start
    if len(weights) == 1:
        return np.full(1 if columns == 1 else (1, COLUMNS), 1 / n)
    if weights.shape[1] == 1:
        part = slice(0, 1)
    taken = np.empty(n if columns == 1 else (n, COLUMNS))
    taken.reshape(n, -1)[:, :columns] = weights[:, part]
    taken.reshape(n, -1)[:, columns:] = weights[:, part][:, -1:]
    return scaled(taken)


def scaled(taken: F64) -> F64:
    """Scale columns to sum 1, in place."""
    with np.errstate(over="ignore"):
        sums = column_sums(taken)
    if not np.isfinite(sums).all():
        taken /= taken.max(axis=0)
        sums = column_sums(taken)
    taken /= sums
    return taken
