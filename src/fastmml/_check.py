"""Validation of arguments: the only place for its messages."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: Node ids are 32-bit.
MAX_NODES = 2**32


def node_count(name: str, value: Any) -> int:
    """Return an int in [0, 2**32]."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name}: expected an int, got {type(value).__name__}")
    if not 0 <= value <= MAX_NODES:
        raise ValueError(f"{name}: expected 0 to 2**32 (node ids are 32-bit), got {value}")
    return int(value)


def node_ids(name: str, values: ArrayLike, num_nodes: int | None = None) -> NDArray[Any]:
    """Return a 1-d integer array, every value in [0, num_nodes) or [0, 2**32)."""
    ids = np.asarray(values)
    if ids.ndim != 1:
        raise ValueError(f"{name}: expected a 1-d array, got {ids.ndim} dimensions")
    if ids.size == 0:
        return ids.astype(np.uint32)
    if ids.dtype.kind not in "iu":
        raise TypeError(f"{name}: expected integer node ids, got dtype {ids.dtype}")
    low, high = int(ids.min()), int(ids.max())
    limit = MAX_NODES if num_nodes is None else num_nodes
    if low < 0 or high >= limit:
        wrong = low if low < 0 else high
        bound = "2**32 (node ids are 32-bit)" if limit == MAX_NODES else f"num_nodes = {limit}"
        raise ValueError(f"{name}: expected ids from 0 to below {bound}, got {wrong}")
    return ids


def same_length(name: str, values: NDArray[Any], other: str, length: int) -> None:
    """Check that two parallel arrays have as many values."""
    if len(values) != length:
        raise ValueError(f"{name}: expected {length} values, as many as {other}, got {len(values)}")


def nonnegative(name: str, values: ArrayLike) -> NDArray[np.float64]:
    """Return a contiguous float64 array of finite values of at least 0."""
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name}: expected real numbers, got dtype {array.dtype}")
    array = np.ascontiguousarray(array, dtype=np.float64)
    if array.size and not (array.min() >= 0 and array.max() < math.inf):
        raise ValueError(f"{name}: expected finite values of at least 0")
    return array


def real(name: str, value: Any) -> float:
    """Return a float that is not NaN."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name}: expected a number, got {type(value).__name__}")
    if math.isnan(value):
        raise ValueError(f"{name}: expected a number, got NaN")
    return float(value)


def damping(value: Any) -> float:
    """Return a damping factor in [0, 1)."""
    factor = real("damping", value)
    if not 0 <= factor < 1:
        raise ValueError(f"damping: expected 0 <= damping < 1, got {value}")
    return factor


def positive(name: str, value: Any) -> float:
    """Return a float above 0."""
    number = real(name, value)
    if number <= 0:
        raise ValueError(f"{name}: expected a positive number, got {value}")
    return number


def positive_int(name: str, value: Any) -> int:
    """Return an int of at least 1."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name}: expected an int, got {type(value).__name__}")
    if value < 1:
        raise ValueError(f"{name}: expected at least 1, got {value}")
    return int(value)
